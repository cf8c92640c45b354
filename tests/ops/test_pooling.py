import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import global_k_max_pool
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

# One turn of the loop takes 5, 2, 1, 4 and 7 pixels of these.
SIZES = [(3, 5), (2, 11), (11, 13), (2, 2), (7, 5)]


def reference(features, k, weights=None):
    batch, _, _, channels = features.shape
    weights = np.ones(k) if weights is None else weights
    result = np.zeros((batch, channels))
    for b in range(batch):
        for c in range(channels):
            values = sorted(features[b, :, :, c].ravel(), reverse=True)
            for rank in range(k):
                result[b, c] += weights[rank] * values[rank] / k
    return result


def reference_gradient(features, k, upstream, weights=None):
    """Each rank passes its weight to all pixels of its value, equally."""
    weights = np.ones(k) if weights is None else weights
    result = np.zeros(features.shape)
    for b, c in np.ndindex(upstream.shape):
        pixels = features[b, :, :, c]
        values = sorted(pixels.ravel(), reverse=True)
        for rank in range(k):
            equals = pixels == values[rank]
            share = upstream[b, c] * weights[rank] / k / equals.sum()
            result[b, :, :, c] += share * equals
    return result


def random_features(height, width, kind="distinct"):
    generator = np.random.default_rng(7)
    shape = (2, height, width, 3)
    if kind == "distinct":
        return generator.permutation(np.prod(shape)).reshape(shape) / 10.0
    return generator.integers(0, 3 if kind == "tied" else 1, shape) * 1.0


def pool(features, k, weights=None):
    """global_k_max_pool in a compiled graph, as an array."""
    fn = compiled(lambda x: global_k_max_pool(x, k, weights))
    return ops.convert_to_numpy(fn(ops.convert_to_tensor(features)))


@pytest.mark.parametrize("k", [2, 3, 4, 8, 9])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_matches_sorting(height, width, k):
    k = min(k, height * width)
    features = random_features(height, width).astype("float32")
    np.testing.assert_allclose(
        pool(features, k), reference(features, k), **TOLERANCES["float32"]
    )


@pytest.mark.parametrize("k", [1, 4, 9])
def test_eager_matches_sorting(k):
    features = ops.convert_to_tensor(random_features(3, 5), "float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(global_k_max_pool(features, k)),
        reference(random_features(3, 5), k),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("k", [1, 3, 4, 9])
def test_weights_are_per_rank(k):
    features = random_features(3, 5).astype("float32")
    weights = np.linspace(2.0, -1.0, k).astype("float32")
    np.testing.assert_allclose(
        pool(features, k, weights),
        reference(features, k, weights),
        **TOLERANCES["float32"],
    )


def test_limits_are_max_and_mean():
    features = random_features(3, 5).astype("float32")
    np.testing.assert_array_equal(pool(features, 1), features.max((1, 2)))
    np.testing.assert_allclose(
        pool(features, 15), features.mean((1, 2)), **TOLERANCES["float32"]
    )


@pytest.mark.parametrize("k", [1, 4, 9, 15])
def test_weights_of_one_are_the_plain_mean(k):
    features = random_features(3, 5).astype("float32")
    np.testing.assert_allclose(
        pool(features, k, np.ones(k, "float32")),
        pool(features, k),
        **TOLERANCES["float32"],
    )


def test_order_of_pixels_does_not_matter():
    features = random_features(3, 5).astype("float32")
    shuffled = features.reshape(2, 15, 3)[:, np.random.permutation(15)]
    np.testing.assert_array_equal(
        pool(shuffled.reshape(2, 3, 5, 3), 4), pool(features, 4)
    )


@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("weighted", [False, True], ids=["mean", "weighted"])
@pytest.mark.parametrize("kind", ["distinct", "tied", "constant"])
@pytest.mark.parametrize("k", [3, 9])
def test_gradient_shares_ties(k, kind, weighted, compile):
    features = random_features(7, 5, kind)
    upstream = np.random.default_rng(1).normal(size=(2, 3))
    weights = np.linspace(2.0, -1.0, k) if weighted else None

    def loss(features):
        pooled = global_k_max_pool(features, k, weights)
        return ops.sum(pooled * ops.convert_to_tensor(upstream))

    (result,) = gradient(loss, features, compile=compile)
    expected = reference_gradient(features, k, upstream, weights)
    np.testing.assert_allclose(result, expected, **TOLERANCES["float64"])


@pytest.mark.parametrize("k", [1, 4, 15])
def test_gradient_matches_finite_differences(k):
    features = random_features(3, 5)
    weights = np.linspace(2.0, -1.0, k)

    def loss(features, weights):
        plain = global_k_max_pool(features, k)
        weighted = global_k_max_pool(features, k, weights)
        return ops.sum(ops.square(plain) + ops.square(weighted))

    check_gradient(loss, features, weights)


@pytest.mark.parametrize("k", [1, 4, 15])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype, k):
    features = random_features(3, 5)
    weights = np.linspace(1.5, 0.5, k)
    half = ops.cast(features, dtype)
    rounded = ops.convert_to_numpy(ops.cast(half, "float32"))
    plain = compiled(lambda x: global_k_max_pool(x, k))(half)
    weighted = compiled(lambda x: global_k_max_pool(x, k, weights))(half)
    assert ops.dtype(plain) == ops.dtype(weighted) == dtype
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(plain, "float32")),
        reference(rounded, k),
        **TOLERANCES[dtype],
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(weighted, "float32")),
        reference(rounded, k, weights),
        **TOLERANCES[dtype],
    )


def test_half_precision_counts_many_ties():
    # 300 equal pixels: bfloat16 would count 256 of them.
    def loss(features):
        features = ops.cast(features, "bfloat16")
        return ops.sum(ops.cast(global_k_max_pool(features, 4), "float32"))

    (result,) = gradient(loss, np.ones((1, 15, 20, 1), "float32"))
    np.testing.assert_allclose(result, 1 / 300, **TOLERANCES["bfloat16"])


def test_finite_gradient_at_zero():
    (result,) = gradient(
        lambda x: ops.sum(global_k_max_pool(x, 4)),
        np.zeros((2, 3, 5, 7), "float32"),
    )
    np.testing.assert_allclose(result, 1 / 15, **TOLERANCES["float32"])


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
def test_unknown_height_and_width():
    import tensorflow as tf

    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec([None, None, None, 3])],
    )
    def fn(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            result = global_k_max_pool(features, 4)
        return result, tape.gradient(result, features)

    features = random_features(3, 5).astype("float32")
    result, slopes = fn(features)
    np.testing.assert_allclose(
        result, reference(features, 4), **TOLERANCES["float32"]
    )
    expected = reference_gradient(features, 4, np.ones((2, 3)))
    np.testing.assert_allclose(slopes, expected, **TOLERANCES["float32"])
    with pytest.raises(tf.errors.InvalidArgumentError):
        fn(features[:, :1, :3])


def test_wrong_k():
    features = np.zeros((2, 3, 4, 7), "float32")
    message = (
        r"`k` must be between 1 and height \* width \(12\). "
        r"Received: k=20 for input shape \(2, 3, 4, 7\)."
    )
    with pytest.raises(ValueError, match=message):
        global_k_max_pool(features, 20)
    with pytest.raises(ValueError, match="`k` must be at least 1"):
        global_k_max_pool(features, 0)
    with pytest.raises(TypeError, match=r"`k` must be an integer.*k=2\.5"):
        global_k_max_pool(features, 2.5)


def test_wrong_shapes():
    with pytest.raises(ValueError, match="`features` must have 4 axes"):
        global_k_max_pool(np.zeros((3, 4, 7), "float32"), 2)
    message = r"`weights` must have shape \(k,\) = \(2,\)"
    with pytest.raises(ValueError, match=message):
        global_k_max_pool(np.zeros((1, 3, 4, 7), "float32"), 2, [1.0, 2.0, 3.0])
