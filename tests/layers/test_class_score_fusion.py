import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import ClassScoreFusion
from tests.tolerances import TOLERANCES

RNG = np.random.default_rng(0)
SCORES = [RNG.normal(size=(2, 5)).astype("float32") for _ in range(3)]


@pytest.mark.parametrize("count", [2, 3])
def test_starts_as_the_mean(count):
    fused = ClassScoreFusion(5)(SCORES[:count])
    np.testing.assert_allclose(
        to_numpy(fused),
        np.mean(SCORES[:count], axis=0),
        **TOLERANCES["float32"],
    )


def test_is_a_fully_connected_layer_on_all_scores():
    layer = ClassScoreFusion(5)
    layer(SCORES)
    kernel, bias = RNG.normal(size=(15, 5)), RNG.normal(size=5)
    layer.set_weights([kernel, bias])
    expected = np.zeros((2, 5))
    for b in range(2):
        for k in range(5):
            expected[b, k] = bias[k]
            for n in range(3):
                for i in range(5):
                    expected[b, k] += SCORES[n][b, i] * kernel[5 * n + i, k]
    np.testing.assert_allclose(
        to_numpy(layer(SCORES)), expected, **TOLERANCES["float32"]
    )


def test_equal_networks_are_their_own_mean_in_any_order():
    layer = ClassScoreFusion(5)
    np.testing.assert_allclose(
        to_numpy(layer([SCORES[0]] * 3)), SCORES[0], **TOLERANCES["float32"]
    )
    np.testing.assert_allclose(
        to_numpy(layer(SCORES[::-1])),
        to_numpy(layer(SCORES)),
        **TOLERANCES["float32"],
    )


def test_learns_which_network_to_believe():
    """The first network knows the class, the second guesses."""
    labels = RNG.integers(0, 5, 1009)
    right = 3 * np.eye(5, dtype="float32")[labels]
    guess = 5 * RNG.normal(size=(1009, 5)).astype("float32")
    inputs = [keras.Input((5,)), keras.Input((5,))]
    model = keras.Model(inputs, ClassScoreFusion(5)(inputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=["accuracy"])
    scores = [right, guess]
    before = model.evaluate(scores, labels, verbose=0)[1]
    model.fit(scores, labels, batch_size=11, verbose=0)
    after = model.evaluate(scores, labels, verbose=0)[1]
    assert before < 0.8 < 0.95 < after


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
def test_half_precision(policy):
    fused = ClassScoreFusion(5, dtype=f"mixed_{policy}")(SCORES)
    assert keras.backend.standardize_dtype(fused.dtype) == policy
    np.testing.assert_allclose(
        to_numpy(ops.cast(fused, "float32")),
        np.mean(SCORES, axis=0),
        **TOLERANCES[policy],
    )


def test_errors():
    with pytest.raises(ValueError, match="`num_classes` must be at least 2"):
        ClassScoreFusion(1)
    message = r"list of at least two score vectors.*Received: shape"
    with pytest.raises(ValueError, match=message):
        ClassScoreFusion(5)(SCORES[0])
    with pytest.raises(ValueError, match=message):
        ClassScoreFusion(5)(SCORES[:1])
    message = (
        r"Each input must be \(batch, 5\), as num_classes=5. "
        r"Received: shape \(2, 4\) for input 1"
    )
    with pytest.raises(ValueError, match=message):
        ClassScoreFusion(5)([SCORES[0], SCORES[1][:, :4]])
