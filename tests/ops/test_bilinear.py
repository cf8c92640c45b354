import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import bilinear_attention_pool, signed_sqrt
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

RNG = np.random.default_rng(5)
FEATURES = RNG.normal(size=(2, 3, 5, 7)).astype("float32")
ATTENTION = RNG.normal(size=(2, 3, 5, 11)).astype("float32")


def reference(features, attention, pooling):
    batch, height, width, channels = features.shape
    maps = attention.shape[-1]
    result = np.zeros((batch, maps, channels))
    for b, m, c in np.ndindex(batch, maps, channels):
        products = [
            float(features[b, i, j, c]) * float(attention[b, i, j, m])
            for i in range(height)
            for j in range(width)
        ]
        average = sum(products) / (height * width)
        result[b, m, c] = average if pooling == "average" else max(products)
    return result


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def pool(features, attention, pooling="average"):
    """bilinear_attention_pool in a compiled graph, as an array."""
    fn = compiled(lambda x, a: bilinear_attention_pool(x, a, pooling))
    return to_numpy(fn(*map(ops.convert_to_tensor, (features, attention))))


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_matches_a_loop(pooling):
    expected = reference(FEATURES, ATTENTION, pooling)
    np.testing.assert_allclose(
        pool(FEATURES, ATTENTION, pooling), expected, **TOLERANCES["float32"]
    )
    np.testing.assert_allclose(
        to_numpy(bilinear_attention_pool(FEATURES, ATTENTION, pooling)),
        expected,
        **TOLERANCES["float32"],
    )


def test_maps_of_ones_are_global_pooling():
    ones = np.ones((2, 3, 5, 2), "float32")
    for pooling, expected in (
        ("average", FEATURES.mean((1, 2))),
        ("max", FEATURES.max((1, 2))),
    ):
        np.testing.assert_allclose(
            pool(FEATURES, ones, pooling),
            np.stack([expected, expected], axis=1),
            **TOLERANCES["float32"],
        )


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_order_of_pixels_does_not_matter(pooling):
    order = RNG.permutation(15)

    def shuffled(x):
        return x.reshape(2, 15, -1)[:, order].reshape(x.shape)

    np.testing.assert_allclose(
        pool(shuffled(FEATURES), shuffled(ATTENTION), pooling),
        pool(FEATURES, ATTENTION, pooling),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_gradient_matches_finite_differences(pooling):
    def loss(features, attention):
        pooled = bilinear_attention_pool(features, attention, pooling)
        return ops.sum(ops.square(pooled))

    check_gradient(loss, FEATURES[:, :2, :3, :2], ATTENTION[:, :2, :3, :3])


def test_of_equal_products_the_first_pixel_gets_the_gradient():
    def loss(features, attention):
        return ops.sum(bilinear_attention_pool(features, attention, "max"))

    ones = np.ones((1, 3, 5, 1), "float32")
    for found in gradient(loss, ones, ones):
        assert found[0, 0, 0, 0] == 1
        assert found.sum() == 1


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype, pooling):
    features, attention = ops.cast(FEATURES, dtype), ops.cast(ATTENTION, dtype)
    fn = compiled(lambda x, a: bilinear_attention_pool(x, a, pooling))
    found = fn(features, attention)
    assert ops.dtype(found) == dtype
    np.testing.assert_allclose(
        to_numpy(found),
        reference(to_numpy(features), to_numpy(attention), pooling),
        **TOLERANCES[dtype],
    )


def test_half_precision_neither_overflows_nor_vanishes():
    # The sum of the products is 90,000, one share of the attention 6e-8.
    features = np.full((1, 15, 20, 1), 300.0, "float16")
    large = pool(features, np.ones((1, 15, 20, 1), "float16"))
    np.testing.assert_allclose(large, 300, **TOLERANCES["float16"])
    small = pool(features, np.full((1, 15, 20, 1), 2e-5, "float16"))
    np.testing.assert_allclose(small, 300 * np.float16(2e-5), rtol=4e-3)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_unknown_sizes_and_jit(pooling, jit):
    import tensorflow as tf

    @tf.function(
        autograph=False,
        jit_compile=jit,
        input_signature=[
            tf.TensorSpec([None, None, None, 7]),
            tf.TensorSpec([None, None, None, 11]),
        ],
    )
    def fn(features, attention):
        with tf.GradientTape() as tape:
            tape.watch(features)
            result = bilinear_attention_pool(features, attention, pooling)
        return result, tape.gradient(result, features)

    result, slopes = fn(FEATURES, ATTENTION)
    np.testing.assert_allclose(
        result,
        reference(FEATURES, ATTENTION, pooling),
        **TOLERANCES["float32"],
    )
    assert slopes.shape == FEATURES.shape


def test_root_matches_the_formula():
    x = np.float32([-9.0, -0.25, 1e-3, 0.5, 4.0])
    np.testing.assert_allclose(
        to_numpy(signed_sqrt(x)), np.sign(x) * np.sqrt(np.abs(x)), rtol=1e-3
    )
    np.testing.assert_allclose(
        to_numpy(signed_sqrt(x, epsilon=0.5)),
        [value / (abs(value) + 0.5) ** 0.5 for value in x],
        **TOLERANCES["float32"],
    )


def test_root_is_odd_increasing_and_zero_at_zero():
    x = np.linspace(-1e-4, 1e-4, 101, dtype="float32")
    x[50] = 0.0
    root = to_numpy(signed_sqrt(x))
    assert root[50] == 0
    assert np.all(np.diff(root) > 0)
    np.testing.assert_array_equal(to_numpy(signed_sqrt(-x)), -root)


def test_root_has_a_finite_gradient_at_zero():
    x = np.array([0.0, 1e-9, -0.3, 2.0])
    check_gradient(lambda x: ops.sum(signed_sqrt(x, 1.0)), x)
    (found,) = gradient(lambda x: ops.sum(signed_sqrt(x)), x)
    np.testing.assert_allclose(found[0], 1000, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_root_in_half_precision(dtype):
    x = ops.cast(np.float32([-9.0, 0.0, 1e-3, 0.5, 4.0]), dtype)
    root = signed_sqrt(x)
    assert ops.dtype(root) == dtype
    values = to_numpy(x)
    np.testing.assert_allclose(
        to_numpy(root),
        np.sign(values) * np.sqrt(np.abs(values)),
        **TOLERANCES[dtype],
    )
    (found,) = gradient(
        lambda x: ops.sum(signed_sqrt(ops.cast(x, dtype))), np.float32([0.0])
    )
    np.testing.assert_allclose(found, 1000, rtol=1e-2)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`pooling` must be one of 'average'"):
        bilinear_attention_pool(FEATURES, ATTENTION, "sum")
    with pytest.raises(ValueError, match="`attention` must have 4 axes"):
        bilinear_attention_pool(FEATURES, ATTENTION[..., 0])
    with pytest.raises(ValueError, match="`features` must have 4 axes"):
        bilinear_attention_pool(FEATURES[0], ATTENTION)
    message = r"height and width of `features`.*\(2, 3, 5, 7\).*\(2, 2, 5, 11\)"
    with pytest.raises(ValueError, match=message):
        bilinear_attention_pool(FEATURES, ATTENTION[:, :2])
    with pytest.raises(ValueError, match="`epsilon` must be positive"):
        signed_sqrt(FEATURES, epsilon=0)
