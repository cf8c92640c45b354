import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import group_bilinear, group_codes, interpolate_channels
from tests.gradients import check_gradient, compiled
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

FEATURES = np.random.default_rng(7).normal(size=(2, 3, 5, 14))
FEATURES = FEATURES.astype("float32")


def reference(features, groups):
    """Sum over groups of the outer products, number by number."""
    size = features.shape[-1] // groups
    result = np.zeros((*features.shape[:3], size * size))
    for b, y, x in np.ndindex(features.shape[:3]):
        for g in range(groups):
            for i in range(size):
                for j in range(size):
                    first = float(features[b, y, x, g * size + i])
                    second = float(features[b, y, x, g * size + j])
                    result[b, y, x, i * size + j] += first * second
    return result


def interpolated(values, channels):
    """Each channel from the two around the centre of its cell."""
    old = len(values)
    result = np.zeros(channels)
    for j in range(channels):
        position = min(max((j + 0.5) * old / channels - 0.5, 0), old - 1)
        lower = int(position)
        upper = min(lower + 1, old - 1)
        share = position - lower
        result[j] = (1 - share) * values[lower] + share * values[upper]
    return result


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


@pytest.mark.parametrize("groups", [1, 2, 7, 14])
def test_bilinear_matches_a_loop(groups):
    expected = reference(FEATURES, groups)
    fn = compiled(lambda x: group_bilinear(x, groups))
    for found in (
        group_bilinear(FEATURES, groups),
        fn(ops.convert_to_tensor(FEATURES)),
    ):
        np.testing.assert_allclose(
            to_numpy(found), expected, **TOLERANCES["float32"]
        )


def test_as_many_groups_as_channels_is_the_sum_of_squares():
    np.testing.assert_allclose(
        to_numpy(group_bilinear(FEATURES, 14)),
        np.sum(FEATURES**2, axis=-1, keepdims=True),
        **TOLERANCES["float32"],
    )


def test_bilinear_is_symmetric_and_forgets_the_order_of_groups():
    found = to_numpy(group_bilinear(FEATURES, 2))
    pairs = found.reshape(2, 3, 5, 7, 7)
    np.testing.assert_allclose(
        pairs, np.swapaxes(pairs, 3, 4), **TOLERANCES["float32"]
    )
    moved = np.concatenate([FEATURES[..., 7:], FEATURES[..., :7]], axis=-1)
    np.testing.assert_allclose(
        to_numpy(group_bilinear(moved, 2)), found, **TOLERANCES["float32"]
    )


def test_bilinear_gradient():
    weights = np.random.default_rng(1).normal(size=9)

    def value(features):
        pairs = group_bilinear(features, 2)
        return ops.sum(ops.cast(weights, pairs.dtype) * pairs)

    check_gradient(value, FEATURES[:1, :2, :, :6])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_bilinear_in_half_precision(dtype):
    features = ops.cast(FEATURES, dtype)
    found = group_bilinear(features, 2)
    assert ops.dtype(found) == dtype
    np.testing.assert_allclose(
        to_numpy(found), reference(to_numpy(features), 2), **TOLERANCES[dtype]
    )


def test_bilinear_multiplies_in_float32(monkeypatch):
    """Not left to the kernel: some sum half precision in half precision."""
    seen, matmul = [], ops.matmul

    def spy(first, second):
        seen.extend([ops.dtype(first), ops.dtype(second)])
        return matmul(first, second)

    monkeypatch.setattr(ops, "matmul", spy)
    group_bilinear(ops.cast(FEATURES, "float16"), 2)
    assert seen == ["float32", "float32"]


def test_codes_match_the_formula():
    codes = group_codes(3, 15, base=2.0)
    expected = np.zeros((3, 5))
    for g in range(3):
        for k in range(5):
            wave = np.cos if k % 2 else np.sin
            expected[g, k] = wave(g / 2.0 ** (2 * (k // 2) / 5))
    np.testing.assert_allclose(codes, expected, **TOLERANCES["float32"])
    assert codes.dtype == "float32"


@pytest.mark.parametrize(
    ("size", "least"), [(4, 0.1), (5, 0.1), (7, 0.1), (16, 0.5), (64, 0.5)]
)
def test_each_group_has_its_own_code(size, least):
    """The published code has two codes for 32 groups."""
    for groups in range(2, 65):
        codes = group_codes(groups, groups * size)
        for g in range(groups):
            for h in range(g):
                distance = np.sqrt(np.mean((codes[g] - codes[h]) ** 2))
                assert distance > least, (groups, g, h)


def test_codes_tell_the_order_of_groups():
    codes = group_codes(2, 14).reshape(-1)
    moved = np.concatenate([FEATURES[..., 7:], FEATURES[..., :7]], axis=-1)
    found, other = (group_bilinear(x + codes, 2) for x in (FEATURES, moved))
    assert np.abs(to_numpy(found) - to_numpy(other)).max() > 0.5


# Shorter by a whole number, odd and even; by other numbers; longer; alike.
@pytest.mark.parametrize("channels", [2, 7, 1, 5, 13, 17, 28, 14])
def test_interpolation_matches_a_loop(channels):
    expected = np.apply_along_axis(interpolated, -1, FEATURES, channels)
    fn = compiled(lambda x: interpolate_channels(x, channels))
    for found in (
        interpolate_channels(FEATURES, channels),
        fn(ops.convert_to_tensor(FEATURES)),
    ):
        np.testing.assert_allclose(
            to_numpy(found), expected, **TOLERANCES["float32"]
        )


@pytest.mark.parametrize("channels", [2, 5, 28])
def test_interpolation_is_an_image_resize(channels):
    images = FEATURES[0, :, 0, :, None, None]  # (3, 14, 1, 1)
    resized = ops.image.resize(
        images, (channels, 1), data_format="channels_last"
    )
    np.testing.assert_allclose(
        to_numpy(interpolate_channels(FEATURES[0, :, 0], channels)),
        to_numpy(resized)[..., 0, 0],
        **TOLERANCES["float32"],
    )


def test_interpolation_keeps_the_same_and_a_constant():
    np.testing.assert_array_equal(
        to_numpy(interpolate_channels(FEATURES, 14)), FEATURES
    )
    for channels in (1, 2, 9, 40):
        found = to_numpy(interpolate_channels(np.full((3, 14), 2.5), channels))
        np.testing.assert_allclose(found, 2.5, rtol=1e-6)


@pytest.mark.parametrize("channels", [2, 5, 9])
def test_interpolation_gradient(channels):
    weights = np.random.default_rng(2).normal(size=channels)

    def value(features):
        found = interpolate_channels(features, channels)
        return ops.sum(ops.cast(weights, found.dtype) * found**2)

    check_gradient(value, FEATURES[0, 0, :2, :6])


@pytest.mark.parametrize("channels", [7, 9])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_interpolation_in_half_precision(dtype, channels):
    features = ops.cast(FEATURES, dtype)
    found = interpolate_channels(features, channels)
    assert ops.dtype(found) == dtype
    expected = np.apply_along_axis(
        interpolated, -1, to_numpy(features), channels
    )
    np.testing.assert_allclose(to_numpy(found), expected, **TOLERANCES[dtype])


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("channels", [7, 9])
def test_unknown_sizes_and_jit(jit, channels):
    import tensorflow as tf

    @tf.function(
        autograph=False,
        jit_compile=jit,
        input_signature=[tf.TensorSpec([None, None, None, 14])],
    )
    def fn(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pairs = group_bilinear(features, 2)
            found = interpolate_channels(pairs, channels)
        return found, tape.gradient(found, features)

    found, slopes = fn(FEATURES)
    expected = np.apply_along_axis(
        interpolated, -1, reference(FEATURES, 2), channels
    )
    np.testing.assert_allclose(found, expected, **TOLERANCES["float32"])
    assert slopes.shape == FEATURES.shape


def test_wrong_arguments():
    message = "`groups` must divide the number of channels.*groups=3 for 14"
    with pytest.raises(ValueError, match=message):
        group_bilinear(FEATURES, 3)
    with pytest.raises(ValueError, match=message):
        group_codes(3, 14)
    with pytest.raises(ValueError, match="`groups` must be at least 1"):
        group_bilinear(FEATURES, 0)
    with pytest.raises(TypeError, match="`groups` must be an integer"):
        group_bilinear(FEATURES, 2.0)
    with pytest.raises(ValueError, match="`features` must have 4 axes"):
        group_bilinear(FEATURES[0], 2)
    with pytest.raises(ValueError, match=r"`base` must be above 1.*base=1"):
        group_codes(2, 14, base=1)
    with pytest.raises(TypeError, match="`channels` must be an integer"):
        group_codes(2, 14.0)
    with pytest.raises(ValueError, match="`channels` must be at least 1"):
        interpolate_channels(FEATURES, 0)
