import numpy as np
import pytest
from keras.ops import cast
from keras.ops import convert_to_numpy as to_numpy
from keras.ops import sum as sum_

from keras_fgvc.layers import GroupBilinear
from keras_fgvc.ops import group_codes, interpolate_channels
from tests.gradients import check_gradient
from tests.tolerances import TOLERANCES

RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(2, 3, 5, 14)).astype("float32")


def reference(features, groups, codes):
    """The mean over groups, then the tanh; s^2 channels, pixel by pixel."""
    batch, height, width, channels = features.shape
    size = channels // groups
    code = group_codes(groups, channels) if codes else np.zeros((groups, 1))
    result = np.zeros((batch, height, width, size**2))
    for b, y, x in np.ndindex(batch, height, width):
        for g in range(groups):
            values = features[b, y, x, g * size : (g + 1) * size] + code[g]
            result[b, y, x] += np.outer(values, values).reshape(-1) / groups
    return np.tanh(result)


@pytest.mark.parametrize("codes", [True, False])
def test_matches_a_loop(codes):
    found = GroupBilinear(2, filters=49, codes=codes)(FEATURES)
    expected = reference(FEATURES, 2, codes)
    np.testing.assert_allclose(
        to_numpy(found), expected, **TOLERANCES["float32"]
    )


@pytest.mark.parametrize(
    ("filters", "channels"), [(None, 14), (7, 7), (53, 53)]
)
def test_interpolates_to_its_filters(filters, channels):
    found = to_numpy(GroupBilinear(2, filters=filters)(FEATURES))
    assert found.shape == (2, 3, 5, channels)
    expected = interpolate_channels(reference(FEATURES, 2, True), channels)
    np.testing.assert_allclose(
        found, to_numpy(expected), **TOLERANCES["float32"]
    )


def test_codes_tell_groups_apart():
    moved = np.concatenate([FEATURES[..., 7:], FEATURES[..., :7]], axis=-1)
    for codes in (True, False):
        layer = GroupBilinear(2, codes=codes)
        found = np.abs(to_numpy(layer(FEATURES)) - to_numpy(layer(moved)))
        assert (found.max() > 0.1) == codes


def test_repeating_a_group_changes_nothing_without_codes():
    twice = np.concatenate([FEATURES, FEATURES], axis=-1)
    np.testing.assert_allclose(
        to_numpy(GroupBilinear(4, filters=49, codes=False)(twice)),
        to_numpy(GroupBilinear(2, filters=49, codes=False)(FEATURES)),
        **TOLERANCES["float32"],
    )


def test_gradient():
    layer = GroupBilinear(2, dtype="float32")
    layer.build((1, 1, 2, 6))
    weights = np.random.default_rng(4).normal(size=6)

    def value(features):
        # The layer computes in float32 whatever comes in.
        pairs = layer.call(features)
        return sum_(cast(weights, "float32") * pairs)

    check_gradient(
        value, FEATURES[:1, :1, :2, :6] / 2, float32_on=("tensorflow", "jax")
    )


def test_large_values_do_not_overflow_in_half_precision():
    layer = GroupBilinear(2, codes=False, dtype="mixed_float16")
    found = to_numpy(cast(layer(np.full((1, 1, 1, 4), 300.0)), "float32"))
    np.testing.assert_array_equal(found, 1.0)


def test_errors():
    with pytest.raises(ValueError, match="`groups` must be at least 1"):
        GroupBilinear(0)
    with pytest.raises(TypeError, match="`filters` must be an integer"):
        GroupBilinear(2, filters=2.5)
    with pytest.raises(ValueError, match="`groups` must divide the number"):
        GroupBilinear(3)(FEATURES)
    with pytest.raises(ValueError, match="`features` must have 4 axes"):
        GroupBilinear(2)(FEATURES[0])
