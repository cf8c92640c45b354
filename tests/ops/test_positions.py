import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops._positions import resample_positions

SEED = 5


def _positions(rows, columns, channels=7):
    rng = np.random.default_rng(SEED)
    return rng.normal(size=(2, rows * columns, channels)).astype("float32")


def _cubic(x):
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def _resampled(line, size):
    """One axis, cell by cell: weights of the old cells in each new one."""
    old = len(line)
    stretch = max(old / size, 1)
    cells = []
    for new in range(size):
        centre = (new + 0.5) * old / size - 0.5
        weights = [_cubic((centre - cell) / stretch) for cell in range(old)]
        cells.append(np.dot(weights, line) / sum(weights))
    return np.array(cells)


@pytest.mark.parametrize("new", [(5, 7), (2, 3), (3, 11)])
def test_resample_positions_against_loops(new):
    positions = _positions(3, 5)
    expected = positions.reshape(2, 3, 5, 7).astype("float64")
    expected = np.apply_along_axis(_resampled, 1, expected, new[0])
    expected = np.apply_along_axis(_resampled, 2, expected, new[1])
    result = resample_positions(positions, (3, 5), new)
    expected = expected.reshape(2, new[0] * new[1], 7)
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("new", [(16, 16), (5, 9), (32, 32), (7, 20)])
def test_resample_positions_equals_timm(new):
    # timm.layers.resample_abs_pos_embed is this call of PyTorch.
    torch = pytest.importorskip("torch")
    positions = _positions(14, 14)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(positions.reshape(2, 14, 14, 7).transpose(0, 3, 1, 2)),
        size=new,
        mode="bicubic",
        antialias=True,
    )
    expected = expected.numpy().transpose(0, 2, 3, 1).reshape(2, -1, 7)
    result = resample_positions(positions, (14, 14), new)
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), expected, rtol=1e-4, atol=1e-5
    )


def test_same_grid_is_unchanged_and_constants_stay():
    positions = _positions(3, 5)
    assert resample_positions(positions, (3, 5), (3, 5)) is positions
    ones = np.ones((1, 15, 2), "float32")
    result = resample_positions(ones, (3, 5), (7, 2))
    np.testing.assert_allclose(ops.convert_to_numpy(result), 1, rtol=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a graph of TensorFlow"
)
@pytest.mark.parametrize("new", [(3, 5), (4, 7)])
def test_a_size_that_only_the_graph_knows(new):
    import tensorflow as tf

    positions = _positions(3, 5)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 1))])
    def resampled(images):
        size = ops.shape(images)[1:3]
        return resample_positions(positions, (3, 5), size)

    expected = ops.convert_to_numpy(resample_positions(positions, (3, 5), new))
    found = resampled(np.zeros((1, *new, 1), "float32"))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
