import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import BilinearAttentionPooling
from keras_fgvc.ops import bilinear_attention_pool
from tests.gradients import gradient
from tests.tolerances import TOLERANCES

RNG = np.random.default_rng(0)
FEATURES = RNG.uniform(0, 2, size=(2, 3, 5, 7)).astype("float32")
ATTENTION = RNG.uniform(0, 2, size=(2, 3, 5, 11)).astype("float32")
FEATURES[..., :3] *= -1  # an activation may be negative


def normalized(parts):
    """Signed root and one norm an image, value by value."""
    result = np.zeros(parts.shape)
    for b in range(len(parts)):
        for m, c in np.ndindex(parts.shape[1:]):
            value = float(parts[b, m, c])
            result[b, m, c] = np.sign(value) * abs(value) ** 0.5
        result[b] /= np.sqrt(np.sum(result[b] ** 2))
    return result


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_is_the_op(pooling):
    np.testing.assert_array_equal(
        to_numpy(
            BilinearAttentionPooling(pooling=pooling)([FEATURES, ATTENTION])
        ),
        to_numpy(bilinear_attention_pool(FEATURES, ATTENTION, pooling)),
    )


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_normalized_is_root_and_one_norm_an_image(pooling):
    layer = BilinearAttentionPooling(pooling=pooling, normalize=True)
    parts = bilinear_attention_pool(FEATURES, ATTENTION, pooling)
    np.testing.assert_allclose(
        to_numpy(layer([FEATURES, ATTENTION])),
        normalized(to_numpy(parts)),
        **TOLERANCES["float32"],
    )


def test_normalized_does_not_see_the_scale():
    layer = BilinearAttentionPooling(normalize=True)
    np.testing.assert_allclose(
        to_numpy(layer([7 * FEATURES, 11 * ATTENTION])),
        to_numpy(layer([FEATURES, ATTENTION])),
        **TOLERANCES["float32"],
    )


def test_zeros_stay_zero_with_a_finite_gradient():
    layer = BilinearAttentionPooling(normalize=True)
    zeros = np.zeros_like(FEATURES)
    np.testing.assert_array_equal(to_numpy(layer([zeros, ATTENTION])), 0.0)

    def total(features, attention):
        return ops.sum(layer([features, attention]))

    to_features, to_attention = gradient(total, zeros, ATTENTION)
    assert np.all(np.isfinite(to_features))
    assert np.all(to_features > 0)
    np.testing.assert_array_equal(to_attention, 0.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_small_averages_survive_half_precision(dtype):
    """Pooled to float16, averages of 1e-7 would keep a digit or none."""
    inputs = [1e-3 * FEATURES, 1e-4 * ATTENTION]
    layer = BilinearAttentionPooling(normalize=True, dtype=f"mixed_{dtype}")
    expected = BilinearAttentionPooling(normalize=True)(inputs)
    np.testing.assert_allclose(
        to_numpy(ops.cast(layer(inputs), "float32")),
        to_numpy(expected),
        **TOLERANCES[dtype],
    )


def test_unknown_height_and_width():
    inputs = [keras.Input((None, None, 7)), keras.Input((None, None, 11))]
    output = BilinearAttentionPooling(pooling="max")(inputs)
    assert output.shape == (None, 11, 7)
    model = keras.Model(inputs, output)
    np.testing.assert_allclose(
        model.predict([FEATURES, ATTENTION], verbose=0),
        to_numpy(bilinear_attention_pool(FEATURES, ATTENTION, "max")),
        **TOLERANCES["float32"],
    )


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`pooling` must be one of"):
        BilinearAttentionPooling(pooling="sum")
    with pytest.raises(ValueError, match="`attention` must have 4 axes"):
        BilinearAttentionPooling()([FEATURES, ATTENTION[..., 0]])
    with pytest.raises(ValueError, match="height and width of `features`"):
        BilinearAttentionPooling()([FEATURES, ATTENTION[:, :2]])


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_maps_of_another_size_are_resized_on_request(pooling):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 6, 10, 3)).astype("float32")
    small = rng.uniform(size=(2, 3, 5, 4)).astype("float32")
    large = keras.ops.image.resize(small, (6, 10))
    layer = BilinearAttentionPooling(pooling=pooling, resize=True)
    found = keras.ops.convert_to_numpy(layer([features, small]))
    same = BilinearAttentionPooling(pooling=pooling)([features, large])
    np.testing.assert_allclose(
        found, keras.ops.convert_to_numpy(same), rtol=1e-5, atol=1e-6
    )
    image = keras.Input((None, None, 3))
    maps = keras.Input((None, None, 4))
    assert layer([image, maps]).shape == (None, 4, 3)
    with pytest.raises(ValueError, match="must have the height and width"):
        BilinearAttentionPooling()([features, small])
