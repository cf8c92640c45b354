import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import PartAttentionFilter
from tests.tolerances import TOLERANCES

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, 3, 5, 7)).astype("float32")
SALIENCY = RNG.uniform(size=(2, 11, 13, 2)).astype("float32")


def make(**options):
    """A layer whose mask is not 1."""
    layer = PartAttentionFilter(4, **options)
    layer([FEATURES, SALIENCY])
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def reference_mask(layer, saliency):
    """Place by place, on saliency that is already resized."""
    hidden_kernel, hidden_bias, mask_kernel, mask_bias = layer.get_weights()
    side = layer.kernel_size
    batch, height, width, _ = saliency.shape
    masks = np.zeros((batch, height, width, len(mask_bias)))
    before = (side - 1) // 2
    for b, y, x in np.ndindex(batch, height, width):
        hidden = hidden_bias.astype("float64")
        for p, q in np.ndindex(side, side):
            row, column = y + p - before, x + q - before
            if 0 <= row < height and 0 <= column < width:
                hidden = hidden + saliency[b, row, column] @ hidden_kernel[p, q]
        scores = np.maximum(hidden, 0) @ mask_kernel[0, 0] + mask_bias
        masks[b, y, x] = 2 / (1 + np.exp(-scores))
    return masks


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_matches_the_formula(kernel_size):
    layer = make(kernel_size=kernel_size)
    filtered, mask = layer([FEATURES, SALIENCY], return_mask=True)
    resized = ops.image.resize(SALIENCY, (3, 5), data_format="channels_last")
    expected = reference_mask(layer, to_numpy(resized))
    np.testing.assert_allclose(
        to_numpy(mask), expected, **TOLERANCES["float32"]
    )
    np.testing.assert_allclose(
        to_numpy(filtered), FEATURES * expected, **TOLERANCES["float32"]
    )


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_features_pass_unchanged_at_the_start(dtype):
    layer = PartAttentionFilter(dtype=dtype)
    filtered, mask = layer([FEATURES, SALIENCY], return_mask=True)
    np.testing.assert_array_equal(
        to_numpy(filtered), FEATURES.astype(layer.compute_dtype)
    )
    np.testing.assert_array_equal(to_numpy(mask), 1)


def test_saliency_of_the_features_size_is_not_resized():
    layer = make()
    saliency = SALIENCY[:, :3, :5]
    _, mask = layer([FEATURES, saliency], return_mask=True)
    np.testing.assert_allclose(
        to_numpy(mask), reference_mask(layer, saliency), **TOLERANCES["float32"]
    )


def test_saliency_may_be_a_mask_of_integers():
    layer, saliency = make(), np.round(SALIENCY)
    np.testing.assert_allclose(
        to_numpy(layer([FEATURES, saliency.astype("uint8")])),
        to_numpy(layer([FEATURES, saliency])),
        **TOLERANCES["float32"],
    )


def test_the_mask_sees_the_saliency_only():
    layer = make()
    _, expected = layer([FEATURES, SALIENCY], return_mask=True)
    _, found = layer([3 * FEATURES + 1, SALIENCY], return_mask=True)
    np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))
    mirrored = SALIENCY[:, :, ::-1].copy()
    layer = make(kernel_size=1)
    _, expected = layer([FEATURES, SALIENCY], return_mask=True)
    _, found = layer([FEATURES, mirrored], return_mask=True)
    np.testing.assert_allclose(
        to_numpy(found),
        to_numpy(expected)[:, :, ::-1],
        **TOLERANCES["float32"],
    )


def test_learns_to_keep_the_salient_places():
    """From its start at 1, in both convolutions."""
    features, saliency = keras.Input((3, 5, 7)), keras.Input((11, 13, 2))
    layer = PartAttentionFilter()
    model = keras.Model([features, saliency], layer([features, saliency]))
    start = layer.get_weights()
    model.compile(keras.optimizers.Adam(0.1), loss="mse")
    # Salient places shall double, the others vanish.
    salient = np.zeros_like(SALIENCY)
    salient[:, :, :7] = 1
    target = FEATURES * 2
    target[:, :, 3:] = 0
    before = model.evaluate([FEATURES, salient], target, verbose=0)
    steps = [np.repeat(x, 60, axis=0) for x in (FEATURES, salient, target)]
    model.fit(steps[:2], steps[2], batch_size=2, verbose=0)
    after = model.evaluate([FEATURES, salient], target, verbose=0)
    assert after < 0.1 * before
    for old, new in zip(start, layer.get_weights(), strict=True):
        assert np.abs(new - old).max() > 1e-3


def test_symbolic_shapes_with_unknown_sizes():
    features = keras.Input((None, None, 7))
    saliency = keras.Input((None, None, 2))
    outputs = make()([features, saliency], return_mask=True)
    assert [output.shape for output in outputs] == [(None, None, None, 7)] * 2


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("jit", [False, True])
def test_unknown_sizes_and_jit(jit):
    import tensorflow as tf

    layer = make()
    features = tf.TensorSpec([None, None, None, 7])
    saliency = tf.TensorSpec([None, None, None, 2])

    @tf.function(jit_compile=jit, input_signature=[features, saliency])
    def call(features, saliency):
        return layer([features, saliency])

    np.testing.assert_allclose(
        call(FEATURES, SALIENCY),
        to_numpy(layer([FEATURES, SALIENCY])),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
def test_half_precision(policy):
    layer, half = make(), make(dtype=f"mixed_{policy}")
    outputs = half([FEATURES, SALIENCY], return_mask=True)
    expected = layer([FEATURES, SALIENCY], return_mask=True)
    for ours, theirs in zip(outputs, expected, strict=True):
        assert keras.backend.standardize_dtype(ours.dtype) == policy
        np.testing.assert_allclose(
            to_numpy(ops.cast(ours, "float32")),
            to_numpy(theirs),
            rtol=5 * TOLERANCES[policy]["rtol"],
            atol=5 * TOLERANCES[policy]["atol"],
        )


def test_large_maps_keep_their_pixels_apart_in_half_precision():
    """Pixel 300 of 448 has no bfloat16 of its own."""
    saliency = np.zeros((1, 1, 448, 1), "float32")
    saliency[0, 0, 301:] = 1
    features = np.ones((1, 1, 448, 1), "float32")
    layer = PartAttentionFilter(1, kernel_size=1, dtype="mixed_bfloat16")
    layer([features, saliency])
    layer.set_weights([np.ones(w.shape) for w in layer.get_weights()])
    mask = layer([features, saliency], return_mask=True)[1]
    mask = to_numpy(ops.cast(mask, "float32"))[0, 0, :, 0]
    np.testing.assert_array_equal(mask[:301], mask[0])
    np.testing.assert_array_equal(mask[301:], mask[-1])
    assert mask[-1] > mask[0] + 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": 0}, "`filters` must be at least 1"),
        ({"kernel_size": 0}, "`kernel_size` must be at least 1"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        PartAttentionFilter(**options)


def test_wrong_shapes():
    with pytest.raises(ValueError, match="`features` must have 4 axes"):
        PartAttentionFilter()([FEATURES[0], SALIENCY])
    with pytest.raises(ValueError, match="`saliency` must have 4 axes"):
        PartAttentionFilter()([FEATURES, SALIENCY[..., 0]])
