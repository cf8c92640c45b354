import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import DeepBilinearTransformation
from keras_fgvc.losses import channel_grouping
from tests.tolerances import TOLERANCES

FEATURES = np.random.default_rng(8).normal(size=(2, 3, 5, 6)).astype("float32")


@pytest.mark.parametrize("training", [False, True])
def test_starts_as_the_identity(training):
    layer = DeepBilinearTransformation(3)
    for _ in range(2):
        np.testing.assert_array_equal(
            to_numpy(layer(FEATURES, training=training)), FEATURES
        )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_starts_as_the_identity_in_half_precision(policy):
    layer = DeepBilinearTransformation(3, dtype=policy)
    output = layer(FEATURES, training=True)
    features = keras.ops.cast(FEATURES, layer.compute_dtype)
    np.testing.assert_array_equal(
        to_numpy(keras.ops.cast(output, "float32")),
        to_numpy(keras.ops.cast(features, "float32")),
    )


def test_adds_the_normalised_pairs_of_its_groups():
    layer = DeepBilinearTransformation(2, filters=8)
    layer(FEATURES)
    rng = np.random.default_rng(9)
    gamma, beta, mean = rng.normal(size=(3, 6))
    layer.residual.set_weights([gamma, beta, mean, np.full(6, 0.3)])
    pairs = to_numpy(layer.bilinear(layer.grouping(FEATURES)))
    assert pairs.shape == FEATURES.shape
    expected = FEATURES + gamma * (pairs - mean) / np.sqrt(0.301) + beta
    np.testing.assert_allclose(
        to_numpy(layer(FEATURES)), expected, **TOLERANCES["float32"]
    )


def test_the_task_teaches_the_grouping_once_gamma_has_moved():
    layer = DeepBilinearTransformation(3, grouping_weight=0.0)
    model = keras.Sequential([keras.Input((3, 5, 6)), layer])
    model.compile(keras.optimizers.SGD(1.0), loss="mse")
    kernels = []
    for _ in range(2):
        kernels.append(to_numpy(layer.grouping.convolution.kernel).copy())
        model.fit(FEATURES, -FEATURES, verbose=0)
        assert np.abs(to_numpy(layer.residual.gamma)).min() > 1e-4
    kernels.append(to_numpy(layer.grouping.convolution.kernel))
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[1] - kernels[2]).max() > 1e-4


def test_the_loss_is_the_groupings():
    layer = DeepBilinearTransformation(2, filters=8, grouping_weight=0.25)
    layer(FEATURES)
    assert layer.losses == []
    layer(FEATURES, training=True)
    grouped = layer.grouping(FEATURES, return_loss=True, training=True)[0]
    expected = to_numpy(channel_grouping(grouped, groups=2))
    layer(FEATURES, training=True)
    assert len(layer.losses) == 1
    np.testing.assert_allclose(
        to_numpy(layer.losses[0]), 0.25 * expected.mean(), rtol=1e-5
    )


def test_a_loss_that_is_returned_is_not_added_as_well():
    layer = DeepBilinearTransformation(2, filters=8)
    output, loss = layer(FEATURES, return_loss=True, training=True)
    assert layer.losses == []
    np.testing.assert_array_equal(to_numpy(output), FEATURES)
    grouped = layer.grouping(FEATURES, training=True)
    np.testing.assert_allclose(
        to_numpy(loss), to_numpy(channel_grouping(grouped, groups=2)), rtol=1e-5
    )


def test_symbolic_shapes():
    features = keras.Input((None, None, 6))
    layer = DeepBilinearTransformation(3)
    output, loss = layer(features, return_loss=True)
    assert output.shape == (None, None, None, 6)
    assert loss.shape == (None,)
    found = keras.Model(features, [output, loss])(FEATURES)
    assert [tuple(x.shape) for x in found] == [(2, 3, 5, 6), (2,)]


def test_defaults_are_those_of_dbtnet():
    layer = DeepBilinearTransformation()
    assert (layer.groups, layer.filters) == (16, None)
    layer.build((None, None, None, 32))
    assert layer.grouping.convolution.kernel.shape == (1, 1, 32, 32)


def test_errors():
    with pytest.raises(ValueError, match="`groups` must be at least 1"):
        DeepBilinearTransformation(0)
    with pytest.raises(ValueError, match=r"`groups` must divide.*for 7"):
        DeepBilinearTransformation(3, filters=7)
    with pytest.raises(ValueError, match=r"`groups` must divide.*16 for 6"):
        DeepBilinearTransformation()(FEATURES)
    with pytest.raises(ValueError, match="`grouping_weight` must be between"):
        DeepBilinearTransformation(grouping_weight=-0.1)
    with pytest.raises(ValueError, match="`features` must have 4 axes"):
        DeepBilinearTransformation(3)(FEATURES[0])
