import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import heatmap_to_box, minmax_normalize
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

WHOLE_IMAGE = [0.0, 0.0, 1.0, 1.0]


def reference_box(heatmap, threshold, min_size):
    height, width = heatmap.shape
    cells = [
        (i, j)
        for i in range(height)
        for j in range(width)
        if heatmap[i, j] >= threshold
    ]
    if not cells:
        return WHOLE_IMAGE
    rows, columns = zip(*cells, strict=True)
    box_height = (max(rows) + 1 - min(rows)) / height
    box_width = (max(columns) + 1 - min(columns)) / width
    if min(box_height, box_width) < min_size:
        return WHOLE_IMAGE
    return [
        min(rows) / height,
        min(columns) / width,
        (max(rows) + 1) / height,
        (max(columns) + 1) / width,
    ]


def random_heatmaps(height=5, width=7):
    generator = np.random.default_rng(3)
    return generator.uniform(-2, 5, (11, height, width)).astype("float32")


def boxes_of(heatmap, threshold, min_size=0.0):
    return ops.convert_to_numpy(heatmap_to_box(heatmap, threshold, min_size))


def test_normalizes_each_map():
    heatmaps = random_heatmaps()
    result = ops.convert_to_numpy(minmax_normalize(heatmaps))
    for ours, x in zip(result, heatmaps, strict=True):
        expected = (x - x.min()) / (x.max() - x.min())
        np.testing.assert_allclose(ours, expected, **TOLERANCES["float32"])
        assert ours.min() == 0
        assert ours.max() == 1


@pytest.mark.parametrize("value", [-3.0, 0.0, 65504.0])
def test_constant_map_becomes_ones(value):
    heatmap = np.full((2, 5, 7), value, "float16")
    result = minmax_normalize(heatmap)
    np.testing.assert_array_equal(ops.convert_to_numpy(result), 1.0)
    np.testing.assert_array_equal(boxes_of(result, 1.0), [WHOLE_IMAGE] * 2)


def test_scale_and_offset_do_not_matter():
    heatmaps = random_heatmaps()
    np.testing.assert_allclose(
        ops.convert_to_numpy(minmax_normalize(3 * heatmaps + 11)),
        ops.convert_to_numpy(minmax_normalize(heatmaps)),
        **TOLERANCES["float32"],
    )


def test_gradient_of_normalizing():
    weights = np.random.default_rng(1).normal(size=(2, 3, 5))
    heatmaps = random_heatmaps(3, 5)[:2]

    def loss(heatmap):
        return ops.sum(
            minmax_normalize(heatmap) * ops.convert_to_tensor(weights)
        )

    check_gradient(loss, heatmaps)


def test_finite_gradient_of_a_constant_map():
    def loss(heatmap):
        return ops.sum(minmax_normalize(heatmap))

    (result,) = gradient(loss, np.zeros((2, 3, 5), "float32"))
    np.testing.assert_array_equal(result, 0.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    heatmaps = random_heatmaps()
    result = minmax_normalize(ops.cast(heatmaps, dtype))
    assert ops.dtype(result) == dtype
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(result, "float32")),
        ops.convert_to_numpy(minmax_normalize(heatmaps)),
        **TOLERANCES[dtype],
    )
    assert ops.dtype(heatmap_to_box(result, 0.5)) == "float32"


@pytest.mark.parametrize("min_size", [0.0, 0.3, 3 / 7, 1.0])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.8, 0.97, 1.0])
def test_box_matches_search(threshold, min_size):
    heatmaps = ops.convert_to_numpy(minmax_normalize(random_heatmaps()))
    expected = [reference_box(x, threshold, min_size) for x in heatmaps]
    np.testing.assert_allclose(
        boxes_of(heatmaps, threshold, min_size),
        expected,
        **TOLERANCES["float32"],
    )


def test_nothing_reaches_the_threshold():
    heatmap = np.full((2, 5, 7), 0.2, "float32")
    np.testing.assert_array_equal(boxes_of(heatmap, 0.3), [WHOLE_IMAGE] * 2)


def test_a_side_of_exactly_min_size_is_kept():
    # 0.9 - 0.6 < 0.3 in floating point.
    heatmap = np.zeros((1, 10, 10), "float32")
    heatmap[0, 6:9, 6:9] = 1.0
    expected = [[0.6, 0.6, 0.9, 0.9]]
    np.testing.assert_allclose(
        boxes_of(heatmap, 0.5, min_size=0.3), expected, **TOLERANCES["float32"]
    )


def test_flipping_the_map_flips_the_box():
    heatmaps = ops.convert_to_numpy(minmax_normalize(random_heatmaps()))
    y_min, x_min, y_max, x_max = boxes_of(heatmaps, 0.9).T
    flipped = boxes_of(heatmaps[:, :, ::-1].copy(), 0.9)
    np.testing.assert_allclose(
        flipped,
        np.stack([y_min, 1 - x_max, y_max, 1 - x_min], axis=-1),
        **TOLERANCES["float32"],
    )


def test_compiled_is_the_same():
    heatmaps = ops.convert_to_tensor(random_heatmaps())

    def fn(heatmaps):
        return heatmap_to_box(minmax_normalize(heatmaps), 0.7, 0.5)

    np.testing.assert_allclose(
        ops.convert_to_numpy(compiled(fn)(heatmaps)),
        ops.convert_to_numpy(fn(heatmaps)),
        **TOLERANCES["float32"],
    )


def test_wrong_arguments():
    heatmap = np.zeros((2, 5, 7), "float32")
    with pytest.raises(ValueError, match="`threshold` must be between 0 and 1"):
        heatmap_to_box(heatmap, 1.5)
    with pytest.raises(ValueError, match="`min_size` must be between 0 and 1"):
        heatmap_to_box(heatmap, 0.5, min_size=10)
    with pytest.raises(ValueError, match="`heatmap` must have 3 axes"):
        heatmap_to_box(heatmap[..., None], 0.5)
    with pytest.raises(ValueError, match="`heatmap` must have 3 axes"):
        minmax_normalize(heatmap[0])


def reference_central(profile, quantile):
    """Where the running sum of a profile reaches a share of its total."""
    wanted, passed = quantile * profile.sum(), 0.0
    for cell, value in enumerate(profile):
        if passed + value >= wanted and value > 0:
            return (cell + (wanted - passed) / value) / len(profile)
        passed += value
    return 1.0


@pytest.mark.parametrize("mass", [0.3, 0.9])
def test_box_by_mass_cuts_as_much_off_on_each_side(mass):
    heatmaps = ops.convert_to_numpy(minmax_normalize(random_heatmaps()))
    found = ops.convert_to_numpy(
        compiled(lambda x: heatmap_to_box(x, mass=mass))(heatmaps)
    )
    low, high = (1 - mass) / 2, (1 + mass) / 2
    for box, heatmap in zip(found, heatmaps, strict=True):
        rows, columns = heatmap.sum(1), heatmap.sum(0)
        expected = [
            reference_central(profile, quantile)
            for quantile in (low, high)
            for profile in (rows, columns)
        ]
        np.testing.assert_allclose(box, expected, atol=1e-4)


def test_box_by_mass_has_limits():
    heatmap = np.zeros((2, 4, 5), "float32")
    heatmap[0, 1, 2] = 1.0
    one = [0.25, 0.4, 0.5, 0.6]  # the whole of the one cell
    for mass, expected in ((1.0, one), (0.0, [0.375, 0.5, 0.375, 0.5])):
        found = ops.convert_to_numpy(heatmap_to_box(heatmap, mass=mass))
        np.testing.assert_allclose(found, [expected, WHOLE_IMAGE], atol=1e-4)
    found = ops.convert_to_numpy(heatmap_to_box(heatmap, None, 0.3, mass=1.0))
    np.testing.assert_array_equal(found, [WHOLE_IMAGE] * 2)


def test_one_bright_cell_far_away_moves_the_box_by_mass_little():
    heatmap = np.zeros((1, 10, 10), "float32")
    heatmap[0, 2:6, 2:6] = 1.0
    before = ops.convert_to_numpy(heatmap_to_box(heatmap, mass=0.8))
    heatmap[0, 9, 9] = 1.0
    after = ops.convert_to_numpy(heatmap_to_box(heatmap, mass=0.8))
    assert np.abs(after - before).max() < 0.1
    assert boxes_of(heatmap, 0.5)[0].tolist() == pytest.approx([0.2, 0.2, 1, 1])


@pytest.mark.parametrize("options", [{}, {"threshold": 0.5, "mass": 0.5}])
def test_box_is_by_threshold_or_by_mass(options):
    with pytest.raises(ValueError, match="one of `threshold` and `mass`"):
        heatmap_to_box(random_heatmaps(), **options)


def test_mass_is_a_share():
    with pytest.raises(ValueError, match="`mass` must be between 0"):
        heatmap_to_box(random_heatmaps(), mass=1.2)
