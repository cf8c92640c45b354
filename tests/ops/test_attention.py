import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import attention_drop, sample_maps, spatial_softmax
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

RNG = np.random.default_rng(3)
SCORES = RNG.normal(scale=3, size=(2, 3, 5, 7)).astype("float32")
IMAGES = RNG.integers(1, 256, (3, 11, 7, 3)).astype("uint8")
MAPS = RNG.uniform(size=(3, 2, 5)).astype("float32")


def to_numpy(tensor):
    if keras.backend.standardize_dtype(tensor.dtype) == "bfloat16":
        tensor = ops.cast(tensor, "float32")
    return ops.convert_to_numpy(tensor)


def reference_softmax(scores):
    result = np.zeros(scores.shape)
    for b in range(scores.shape[0]):
        for k in range(scores.shape[3]):
            powers = np.exp(scores[b, :, :, k].astype("float64"))
            result[b, :, :, k] = powers / powers.sum()
    return result


def reference_resize(heatmap, height, width):
    """Bilinear, pixel centres at half integers, edges repeated."""
    result = np.zeros((height, width))
    for i, j in np.ndindex(height, width):
        y = np.clip((i + 0.5) * heatmap.shape[0] / height - 0.5, 0, None)
        x = np.clip((j + 0.5) * heatmap.shape[1] / width - 0.5, 0, None)
        y = min(y, heatmap.shape[0] - 1)
        x = min(x, heatmap.shape[1] - 1)
        for r, c in np.ndindex(heatmap.shape):
            share = max(1 - abs(y - r), 0) * max(1 - abs(x - c), 0)
            result[i, j] += share * heatmap[r, c]
    return result


def reference_drop(images, maps, thresholds):
    result = images.copy()
    for image, heatmap, threshold in zip(result, maps, thresholds, strict=True):
        resized = reference_resize(heatmap, *image.shape[:2])
        for i, j in np.ndindex(resized.shape):
            if resized[i, j] >= threshold * resized.max():
                image[i, j] = 0
    return result


def test_softmax_matches_a_loop():
    np.testing.assert_allclose(
        to_numpy(compiled(spatial_softmax)(ops.convert_to_tensor(SCORES))),
        reference_softmax(SCORES),
        **TOLERANCES["float32"],
    )


def test_softmax_limits():
    flat = to_numpy(spatial_softmax(np.zeros((2, 3, 5, 7), "float32")))
    np.testing.assert_allclose(flat, 1 / 15, **TOLERANCES["float32"])
    peaks = to_numpy(spatial_softmax(1e4 * SCORES))
    largest = SCORES.max((1, 2), keepdims=True) == SCORES
    np.testing.assert_allclose(peaks, largest, **TOLERANCES["float32"])


def test_softmax_ignores_a_constant_and_follows_the_pixels():
    expected = to_numpy(spatial_softmax(SCORES))
    shift = RNG.normal(size=(2, 1, 1, 7)).astype("float32")
    shifted = to_numpy(spatial_softmax(SCORES + shift))
    np.testing.assert_allclose(shifted, expected, **TOLERANCES["float32"])
    flipped = to_numpy(spatial_softmax(SCORES[:, ::-1].copy()))
    np.testing.assert_allclose(
        flipped, expected[:, ::-1], **TOLERANCES["float32"]
    )


def test_softmax_gradient():
    weights = RNG.normal(size=(2, 2, 3, 2))

    def loss(scores):
        return ops.sum(spatial_softmax(scores) * ops.convert_to_tensor(weights))

    check_gradient(loss, SCORES[:, :2, :3, :2])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_softmax_of_half_precision_is_float32(dtype):
    half = ops.cast(SCORES, dtype)
    result = spatial_softmax(half)
    assert ops.dtype(result) == "float32"
    np.testing.assert_allclose(
        to_numpy(result),
        reference_softmax(to_numpy(half)),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("threshold", [0.4, 0.6, 0.9])
def test_drop_matches_a_loop(threshold):
    drop = compiled(lambda x, a: attention_drop(x, a, threshold))
    found = drop(ops.convert_to_tensor(IMAGES), ops.convert_to_tensor(MAPS))
    assert ops.dtype(found) == "uint8"
    expected = reference_drop(IMAGES, MAPS, [threshold] * 3)
    np.testing.assert_array_equal(to_numpy(found), expected)
    assert 0 < np.sum(expected > 0) < IMAGES.size


def test_drop_takes_a_threshold_for_each_image():
    thresholds = np.float32([0.2, 0.9, 0.6])
    np.testing.assert_array_equal(
        to_numpy(attention_drop(IMAGES, MAPS, thresholds)),
        reference_drop(IMAGES, MAPS, thresholds),
    )


def test_drop_limits():
    zeros = np.zeros_like(IMAGES)
    everything = to_numpy(attention_drop(IMAGES, MAPS, 0.0))
    np.testing.assert_array_equal(everything, zeros)
    dead = to_numpy(attention_drop(IMAGES, 0 * MAPS, 0.5))
    np.testing.assert_array_equal(dead, IMAGES)
    constant = to_numpy(attention_drop(IMAGES, 0 * MAPS + 0.3, 0.5))
    np.testing.assert_array_equal(constant, zeros)


def test_drop_does_not_see_the_scale_of_a_map():
    np.testing.assert_array_equal(
        to_numpy(attention_drop(IMAGES, 8 * MAPS, 0.5)),
        to_numpy(attention_drop(IMAGES, MAPS, 0.5)),
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_drop_keeps_the_dtype_of_the_images(dtype):
    found = attention_drop(ops.cast(IMAGES, dtype), ops.cast(MAPS, dtype), 0.5)
    assert ops.dtype(found) == dtype
    maps = to_numpy(ops.cast(MAPS, dtype))
    expected = reference_drop(IMAGES, maps, [0.5] * 3)
    np.testing.assert_array_equal(to_numpy(found), expected)


def test_drop_passes_gradients_to_kept_pixels_only():
    def total(images, maps):
        return ops.sum(attention_drop(images, maps, 0.5))

    to_images, to_maps = gradient(total, IMAGES.astype("float32"), MAPS)
    kept = reference_drop(IMAGES, MAPS, [0.5] * 3) > 0
    np.testing.assert_array_equal(to_images, kept)
    np.testing.assert_array_equal(to_maps, 0.0)


def draws(attention, **kwargs):
    """Which map is drawn for each image; map k holds k + 1 somewhere."""
    drawn = to_numpy(sample_maps(attention, **kwargs))
    found = []
    for maps, chosen in zip(attention, drawn, strict=True):
        same = [np.array_equal(m, chosen) for m in np.moveaxis(maps, -1, 0)]
        assert sum(same) == 1
        found.append(same.index(True))
    return np.array(found)


def test_draws_follow_the_root_of_the_mean_activation():
    # Means 0, 1, 4, 9: probabilities 0, 1/6, 2/6, 3/6.
    attention = np.zeros((3000, 1, 2, 4), "float32")
    attention[:, 0, 0] = [0, 2, 8, 18]
    counts = np.bincount(draws(attention, seed=7), minlength=4)
    assert counts[0] == 0
    np.testing.assert_allclose(
        counts / 3000, [0, 1 / 6, 2 / 6, 3 / 6], atol=0.04
    )
    counts = np.bincount(draws(attention, seed=7, uniform=True), minlength=4)
    np.testing.assert_allclose(counts / 3000, 1 / 4, atol=0.04)


def test_maps_of_zeros_are_drawn_uniformly():
    attention = np.full((3000, 1, 2, 3), -1.0, "float32")
    attention[:, 0, 0] = [-1, -2, -3]  # told apart, and none above zero
    counts = np.bincount(draws(attention, seed=7), minlength=3)
    np.testing.assert_allclose(counts / 3000, 1 / 3, atol=0.04)
    zeros = to_numpy(sample_maps(np.zeros((2, 3, 5, 7), "float32"), seed=0))
    np.testing.assert_array_equal(zeros, np.zeros((2, 3, 5)))


def test_a_generator_draws_anew_and_an_integer_the_same():
    attention = RNG.uniform(size=(101, 1, 2, 7)).astype("float32")
    generator = keras.random.SeedGenerator(5)
    first, second = (draws(attention, seed=generator) for _ in range(2))
    assert np.any(first != second)
    first, second = (draws(attention, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_gradient_reaches_the_drawn_map():
    attention = RNG.uniform(size=(5, 2, 3, 7)).astype("float32")
    attention[0] = 0.0

    def total(attention):
        return ops.sum(sample_maps(attention, seed=3))

    (found,) = gradient(total, attention, compile=False)
    assert np.all(np.isfinite(found))
    per_map = found.sum((1, 2))
    np.testing.assert_array_equal(np.sort(per_map, axis=1)[:, -1], 6.0)
    np.testing.assert_array_equal(per_map.sum(1), 6.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_draws_in_half_precision(dtype):
    attention = ops.cast(RNG.uniform(size=(5, 3, 5, 7)), dtype)
    drawn = sample_maps(attention, seed=3)
    assert ops.dtype(drawn) == dtype
    assert drawn.shape == (5, 3, 5)
    assert np.all(np.isfinite(to_numpy(drawn)))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("jit", [False, True])
def test_unknown_sizes_and_jit(jit):
    import tensorflow as tf

    unknown = tf.TensorSpec([None, None, None, 7])
    images = tf.TensorSpec([None, None, None, 3], "uint8")

    # XLA compiles for the sizes it is called with.
    @tf.function(input_signature=[unknown, images], jit_compile=jit)
    def fn(scores, images):
        masks = spatial_softmax(scores)
        drawn = sample_maps(masks, seed=1)
        return masks, attention_drop(images, drawn, 0.5)

    images = np.full((2, 7, 11, 3), 9, "uint8")
    masks, dropped = fn(SCORES, images)
    np.testing.assert_allclose(
        masks, reference_softmax(SCORES), **TOLERANCES["float32"]
    )
    drawn = to_numpy(sample_maps(masks, seed=1))
    if not jit:  # XLA draws other numbers from the same seed
        np.testing.assert_array_equal(
            dropped, reference_drop(images, drawn, [0.5, 0.5])
        )


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`scores` must have 4 axes"):
        spatial_softmax(SCORES[0])
    with pytest.raises(ValueError, match="`attention` must have 4 axes"):
        sample_maps(MAPS, seed=0)
    with pytest.raises(ValueError, match="`images` must have 4 axes"):
        attention_drop(IMAGES[0], MAPS, 0.5)
    with pytest.raises(ValueError, match="`attention` must have 3 axes"):
        attention_drop(IMAGES, MAPS[..., None], 0.5)
    with pytest.raises(ValueError, match="`threshold` must be between 0 and 1"):
        attention_drop(IMAGES, MAPS, 1.5)
