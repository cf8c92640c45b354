import math

import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import foreground, location_heatmap
from keras_fgvc.ops._resizing import resize_nearest
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

SHAPES = ((2, 5, 7, 3), (2, 3, 2, 11), (2, 1, 2, 5))


def random_maps(seed=3):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES]


def reference_mask(features):
    """One image: 1 above the mean of the sums over channels."""
    sums = np.array([[sum(map(float, cell)) for cell in r] for r in features])
    return (sums > sums.mean()).astype(float)


def reference_resize(mask, height, width):
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            total = 0.0
            for i, row in corners_of(y, height, mask.shape[0]):
                for j, column in corners_of(x, width, mask.shape[1]):
                    total += row * column * mask[i, j]
            result[y, x] = total
    return result


def corners_of(pixel, pixels, cells):
    """The two cells around a pixel's centre and their weights."""
    position = (pixel + 0.5) * cells / pixels - 0.5
    low = math.floor(position)
    share = position - low
    return [
        (min(max(low, 0), cells - 1), 1 - share),
        (min(max(low + 1, 0), cells - 1), share),
    ]


def reference_heatmap(maps, height, width):
    return np.array(
        [
            np.stack(
                [
                    reference_resize(reference_mask(m[image]), height, width)
                    for m in maps
                ],
                axis=-1,
            )
            for image in range(2)
        ]
    )


@pytest.mark.parametrize("size", [None, (5, 7), (13, 11), (2, 3)])
def test_heatmap_matches_loops(size):
    maps = random_maps()

    def fn(*maps):
        return location_heatmap(list(maps), size)

    result = compiled(fn)(*map(ops.convert_to_tensor, maps))
    expected = reference_heatmap(maps, *(size or (5, 7)))
    assert ops.dtype(result) == "float32"
    result = ops.convert_to_numpy(result)
    np.testing.assert_allclose(result, expected, **TOLERANCES["float32"])
    assert result.min() >= 0.0
    assert result.max() <= 1.0
    assert 0 < result.mean() < 1


def test_a_cell_at_the_mean_is_not_marked():
    line = np.array([0.0, 1.0, 2.0]).reshape(1, 1, 3, 1)
    result = ops.convert_to_numpy(location_heatmap([line]))
    np.testing.assert_array_equal(result[0, 0, :, 0], [0, 0, 1])


@pytest.mark.parametrize("value", [0.0, 0.1, 0.7, -1.3, 1e4 / 3])
def test_a_constant_map_marks_nothing(value):
    """Not even where its float32 mean is below it."""
    for side in (3, 7, 11, 13):
        constant = np.full((1, side, side, 3), value, "float32")
        result = ops.convert_to_numpy(location_heatmap([constant]))
        np.testing.assert_array_equal(result, 0.0)


def test_scale_shift_and_order_of_channels_do_not_matter():
    maps = random_maps()
    changed = [4.0 * m[..., ::-1] + 3.0 for m in maps]
    np.testing.assert_array_equal(
        ops.convert_to_numpy(location_heatmap(changed)),
        ops.convert_to_numpy(location_heatmap(maps)),
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_summed_in_float32(dtype):
    # The sums, 66560 and 66800, are infinite or equal in half precision.
    features = np.full((1, 2, 2, 130), 512.0)
    features[0, 1, 0, :60] = 516.0
    result = location_heatmap([ops.cast(features, dtype)])
    assert ops.dtype(result) == "float32"
    np.testing.assert_array_equal(
        ops.convert_to_numpy(result)[0, ..., 0], [[0, 0], [1, 0]]
    )


def test_heatmap_lets_no_gradient_through():
    gradients = gradient(
        lambda *maps: (
            ops.sum(location_heatmap(list(maps)))
            + 0.0 * sum(ops.sum(m) for m in maps)
        ),
        *random_maps(),
    )
    for result in gradients:
        np.testing.assert_array_equal(result, 0.0)


@pytest.mark.parametrize("maps", [1, 2, 3])
def test_foreground_is_the_majority(maps):
    rng = np.random.default_rng(5)
    # Quarters: exact in any order, and many sums right at the half.
    heatmap = rng.integers(0, 5, (2, 5, 7, maps)) / 4
    expected = np.zeros((2, 5, 7))
    for cell in np.ndindex(2, 5, 7):
        expected[cell] = sum(heatmap[cell]) / maps >= 0.5
    result = compiled(foreground)(ops.convert_to_tensor(heatmap, "float32"))
    assert ops.dtype(result) == "float32"
    np.testing.assert_array_equal(ops.convert_to_numpy(result), expected)


def test_an_image_without_foreground_is_all_foreground():
    heatmap = np.zeros((2, 5, 7, 3), "float32")
    heatmap[1, 2, 3] = 1.0
    result = ops.convert_to_numpy(foreground(heatmap))
    np.testing.assert_array_equal(result[0], 1.0)
    np.testing.assert_array_equal(result[1], heatmap[1, ..., 0])


def test_foreground_of_constant_feature_maps_is_everything():
    maps = [np.full(shape, 0.3, "float32") for shape in SHAPES]
    result = ops.convert_to_numpy(foreground(location_heatmap(maps)))
    np.testing.assert_array_equal(result, 1.0)


def test_foreground_lets_no_gradient_through():
    heatmap = (
        np.random.default_rng(5).uniform(size=(2, 5, 7, 3)).astype("float32")
    )
    (result,) = gradient(
        lambda x: ops.sum(foreground(x)) + 0.0 * ops.sum(x), heatmap
    )
    np.testing.assert_array_equal(result, 0.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_foreground_in_half_precision(dtype):
    heatmap = ops.cast(np.full((1, 2, 1, 2), [[[0.75, 0.25]]]), dtype)
    result = foreground(heatmap)
    assert ops.dtype(result) == "float32"
    np.testing.assert_array_equal(ops.convert_to_numpy(result), 1.0)


@pytest.mark.parametrize("size", [(5, 7), (3, 2), (1, 1), (10, 14), (13, 11)])
def test_nearest_takes_the_cell_under_each_centre(size):
    features = np.random.default_rng(1).normal(size=(2, 5, 7, 3))
    expected = np.zeros((2, *size, 3))
    for y, x in np.ndindex(*size):
        # In whole numbers: (y + 1/2) / size of the rows, rounded down.
        row, column = (2 * y + 1) * 5 // (2 * size[0]), 0
        column = (2 * x + 1) * 7 // (2 * size[1])
        expected[:, y, x] = features[:, row, column]
    result = resize_nearest(ops.convert_to_tensor(features, "float32"), *size)
    assert result.shape == (2, *size, 3)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(result), expected.astype("float32")
    )


def test_gradient_of_nearest():
    rng = np.random.default_rng(1)
    features, weights = rng.normal(size=(2, 3, 2, 5)), rng.normal(size=(7, 3))

    def loss(x):
        weighted = ops.convert_to_tensor(weights)[None, :, :, None]
        return ops.sum(resize_nearest(x, 7, 3) ** 2 * weighted)

    check_gradient(loss, features)


def test_wrong_arguments():
    maps = random_maps()
    message = r"`feature_maps` must be a list of at least one map"
    with pytest.raises(ValueError, match=message):
        location_heatmap([])
    message = r"`feature_maps\[1\]` must have 4 axes.*\(3, 2, 11\)"
    with pytest.raises(ValueError, match=message):
        location_heatmap([maps[0], maps[1][0]])
    with pytest.raises(ValueError, match=r"`feature_maps\[0\]` must have 4"):
        location_heatmap(maps[0])
    with pytest.raises(ValueError, match="`size` must be a pair"):
        location_heatmap(maps, (14,))
    with pytest.raises(ValueError, match="`heatmap` must have 4 axes"):
        foreground(maps[0][0])


def test_one_integer_is_a_square():
    maps = [np.random.default_rng(1).random((2, 5, 7, 3), "float32")]
    np.testing.assert_array_equal(
        ops.convert_to_numpy(location_heatmap(maps, 11)),
        ops.convert_to_numpy(location_heatmap(maps, (11, 11))),
    )
