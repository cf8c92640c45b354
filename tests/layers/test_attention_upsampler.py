import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import AttentionUpsampler
from keras_fgvc.ops._upsampling import upsample
from tests.gradients import check_gradient
from tests.tolerances import TOLERANCES

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(2, 3, 5, 7)).astype("float32")


def resized(maps, factor):
    size = (maps.shape[1] * factor, maps.shape[2] * factor)
    return to_numpy(ops.image.resize(maps, size, data_format="channels_last"))


def reference(maps, kernel, factor):
    """Spreads each cell over the pixels around it, one tap at a time."""
    batch, height, width, count = maps.shape
    size = len(kernel)
    start = (size - factor) // 2
    far = size  # cells repeated beyond the border, more than enough
    result = np.zeros((batch, height * factor, width * factor, count))
    for i in range(-far, height + far):
        for j in range(-far, width + far):
            cell = maps[:, np.clip(i, 0, height - 1), np.clip(j, 0, width - 1)]
            for p, q in np.ndindex(kernel.shape):
                row, column = i * factor + p - start, j * factor + q - start
                if 0 <= row < height * factor and 0 <= column < width * factor:
                    result[:, row, column] += kernel[p, q] * cell
    return result


@pytest.mark.parametrize(
    ("factor", "kernel_size"),
    [(1, None), (2, None), (3, None), (4, 10), (5, 15), (6, None), (1, 5)],
)
def test_starts_as_bilinear_resize_also_at_the_border(factor, kernel_size):
    layer = AttentionUpsampler(factor, kernel_size=kernel_size)
    np.testing.assert_allclose(
        to_numpy(layer(MAPS)), resized(MAPS, factor), **TOLERANCES["float32"]
    )


def test_a_single_cell_fills_its_pixels():
    masks = to_numpy(AttentionUpsampler(4)(np.full((1, 1, 1, 1), 3.0)))
    np.testing.assert_allclose(masks, np.full((1, 4, 4, 1), 3.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("factor", "kernel_size"), [(2, None), (3, None), (2, 6), (3, 11), (1, 3)]
)
def test_is_a_transposed_convolution(factor, kernel_size):
    layer = AttentionUpsampler(factor, kernel_size=kernel_size)
    layer.build(MAPS.shape)
    size = kernel_size or 2 * factor - factor % 2
    kernel = RNG.normal(size=(size, size)).astype("float32")
    layer.set_weights([kernel])
    np.testing.assert_allclose(
        to_numpy(layer(MAPS)),
        reference(MAPS, kernel, factor),
        **TOLERANCES["float32"],
    )


def test_each_map_is_treated_alone_whatever_their_number():
    layer = AttentionUpsampler(3)
    layer(MAPS[..., :1])
    layer.set_weights([RNG.normal(size=(5, 5)).astype("float32")])
    together = to_numpy(layer(MAPS))
    for k in range(7):
        np.testing.assert_allclose(
            together[..., k : k + 1],
            to_numpy(layer(MAPS[..., k : k + 1])),
            **TOLERANCES["float32"],
        )


def test_mirroring_the_map_mirrors_the_mask():
    layer = AttentionUpsampler(4)
    np.testing.assert_allclose(
        to_numpy(layer(MAPS[:, ::-1].copy())),
        to_numpy(layer(MAPS))[:, ::-1],
        **TOLERANCES["float32"],
    )


def test_gradient_reaches_kernel_and_maps():
    layer = AttentionUpsampler(3)
    layer.build((None, 2, 3, 2))
    weights = RNG.normal(size=(2, 6, 9, 2))

    def loss(kernel, maps):
        masks = upsample(maps, kernel, 3)
        return ops.sum(masks * ops.convert_to_tensor(weights))

    check_gradient(loss, to_numpy(layer.kernel), MAPS[:, :2, :3, :2])


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
def test_half_precision(policy):
    layer = AttentionUpsampler(3, dtype=f"mixed_{policy}")
    masks = layer(MAPS)
    assert keras.backend.standardize_dtype(masks.dtype) == policy
    np.testing.assert_allclose(
        to_numpy(ops.cast(masks, "float32")),
        resized(MAPS, 3),
        **TOLERANCES[policy],
    )


def test_unknown_sizes_and_number_of_maps():
    inputs = keras.Input((None, None, None))
    output = AttentionUpsampler(2)(inputs)
    assert output.shape == (None, None, None, None)
    model = keras.Model(inputs, output)
    np.testing.assert_allclose(
        model.predict(MAPS, verbose=0),
        resized(MAPS, 2),
        **TOLERANCES["float32"],
    )


def test_frozen_is_bilinear_for_good():
    layer = AttentionUpsampler(2, trainable=False)
    layer.build(MAPS.shape)
    assert not layer.trainable_weights


def test_wrong_arguments():
    with pytest.raises(TypeError, match=r"`factor` must be an integer.*2\.5"):
        AttentionUpsampler(2.5)
    with pytest.raises(ValueError, match="`factor` must be at least 1"):
        AttentionUpsampler(0)
    with pytest.raises(ValueError, match="`kernel_size` must be at least 8"):
        AttentionUpsampler(4, kernel_size=6)
    with pytest.raises(ValueError, match=r"`kernel_size` must be 5 plus an"):
        AttentionUpsampler(3, kernel_size=6)
    with pytest.raises(ValueError, match="`inputs` must have 4 axes"):
        AttentionUpsampler(3)(MAPS[0])
