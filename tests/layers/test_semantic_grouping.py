import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import SemanticGrouping
from keras_fgvc.losses import channel_grouping
from tests.tolerances import TOLERANCES
from tests.two_replicas import check_answer

FEATURES = np.random.default_rng(5).normal(size=(2, 3, 5, 7)).astype("float32")


def weighted(layer):
    """The layer built, with weights that are not those it starts with."""
    layer(FEATURES)
    rng = np.random.default_rng(6)
    layer.set_weights(
        [rng.uniform(0.2, 1.4, w.shape) for w in layer.get_weights()]
    )
    return layer


def reference(features, kernel, gamma, beta, mean, variance):
    result = np.zeros((*features.shape[:3], kernel.shape[-1]))
    for b, y, x in np.ndindex(features.shape[:3]):
        values = kernel[0, 0].T @ features[b, y, x] - mean
        values = gamma * values / np.sqrt(variance + 1e-3) + beta
        result[b, y, x] = np.maximum(values, 0)
    return result


def test_is_a_convolution_normalised_and_cut_at_zero():
    layer = weighted(SemanticGrouping(3, filters=6))
    expected = reference(FEATURES, *layer.get_weights())
    assert (expected == 0).any()
    np.testing.assert_allclose(
        to_numpy(layer(FEATURES)), expected, **TOLERANCES["float32"]
    )


def test_normalises_by_the_batch_in_training():
    layer = SemanticGrouping(7)
    start = to_numpy(layer(FEATURES))
    for _ in range(50):
        trained = to_numpy(layer(FEATURES, training=True))
    assert np.abs(trained - start).max() > 0.2
    # Moving statistics have caught up within 50 steps: momentum is 0.9.
    np.testing.assert_allclose(to_numpy(layer(FEATURES)), trained, atol=0.05)


def test_loss_in_training_only():
    layer = weighted(SemanticGrouping(3, filters=6, grouping_weight=0.25))
    layer(FEATURES)
    assert layer.losses == []
    grouped = layer(FEATURES, training=True)
    expected = 0.25 * to_numpy(channel_grouping(grouped, groups=3)).mean()
    assert expected > 0.001
    np.testing.assert_allclose(to_numpy(layer.losses[0]), expected, rtol=1e-5)


def test_no_loss_without_weight():
    layer = SemanticGrouping(7, grouping_weight=0.0)
    layer(FEATURES, training=True)
    assert layer.losses == []


def test_a_loss_that_is_returned_is_not_added_as_well():
    layer = weighted(SemanticGrouping(3, filters=6, grouping_weight=0.25))
    grouped, loss = layer(FEATURES, return_loss=True, training=True)
    assert layer.losses == []
    assert loss.shape == (2,)
    np.testing.assert_allclose(
        to_numpy(loss), to_numpy(channel_grouping(grouped, groups=3)), rtol=1e-5
    )


def test_symbolic_loss():
    features = keras.Input((None, None, 7))
    grouped, loss = SemanticGrouping(3, filters=6)(features, return_loss=True)
    assert grouped.shape == (None, None, None, 6)
    assert loss.shape == (None,)
    model = keras.Model(features, [grouped, loss])
    found = model(FEATURES)
    assert [tuple(x.shape) for x in found] == [(2, 3, 5, 6), (2,)]


@pytest.mark.slow
def test_its_own_loss_makes_the_groups():
    layer = SemanticGrouping(2, filters=6, grouping_weight=1.0)
    model = keras.Sequential([keras.Input((3, 5, 7)), layer])
    model.compile(keras.optimizers.Adam(0.1), loss=lambda y, x: 0.0 * x)

    def loss():
        grouped = layer(FEATURES, training=True)
        return to_numpy(channel_grouping(grouped, groups=2)).mean()

    before = loss()
    model.fit(FEATURES, np.zeros(2), epochs=60, verbose=0)
    assert loss() < 0.6 * before


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute"
)
def test_two_replicas_normalise_by_the_joined_batch():
    code = """
from keras_fgvc.layers import SemanticGrouping
features = np.random.default_rng(0).normal(size=(4, 3, 5, 6))
features = features.astype("float32")
found = []
for strategy in (one, both):
    keras.utils.set_random_seed(1)
    with strategy.scope():
        layer = SemanticGrouping(3, grouping_weight=0.5)
        model = keras.Sequential([keras.Input((3, 5, 6)), layer])
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
    data = tf.data.Dataset.from_tensor_slices((features, features)).batch(4)
    model.fit(data, epochs=3, verbose=0, shuffle=False)
    found.append(layer.get_weights())
for alone, shared in zip(*found):
    np.testing.assert_allclose(alone, shared, rtol=1e-4, atol=1e-5)
print("equal")
"""
    check_answer(code, "equal")


def test_errors():
    with pytest.raises(ValueError, match="`groups` must be at least 1"):
        SemanticGrouping(0)
    with pytest.raises(TypeError, match="`filters` must be an integer"):
        SemanticGrouping(2, filters=2.5)
    message = "`groups` must divide the number of channels.*groups=3 for 7"
    with pytest.raises(ValueError, match=message):
        SemanticGrouping(3, filters=7)
    with pytest.raises(ValueError, match=message):
        SemanticGrouping(3)(FEATURES)
    with pytest.raises(ValueError, match="`grouping_weight` must be between"):
        SemanticGrouping(7, grouping_weight=-1.0)
    with pytest.raises(ValueError, match="`features` must have 4 axes"):
        SemanticGrouping(7)(FEATURES[0])
