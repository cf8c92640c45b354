import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc import backbones
from keras_fgvc.backbones.nested import (
    NestedNetwork,
    find_nested,
    import_hub_for,
)
from tests.backbones.test_families import token_model

IMAGES = np.random.default_rng(4).uniform(0, 255, (2, 64, 64, 3))


def test_round_trip_by_its_config():
    layer = NestedNetwork(token_model(), (8, "tokens"), tokens=1, name="net")
    copy = NestedNetwork.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    copy.set_weights(layer.get_weights())
    for a, b in zip(layer(IMAGES), copy(IMAGES), strict=True):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(a), ops.convert_to_numpy(b)
        )


def test_static_shapes_are_those_it_computes():
    layer = NestedNetwork(token_model(), (4, 32), zoom=1)
    static = layer.compute_output_shape((None, 64, 64, 3))
    for shape, output in zip(static, layer(IMAGES), strict=True):
        assert tuple(shape[1:]) == tuple(output.shape[1:])


def test_clones_share_no_weight_and_copy_weights_finds_them():
    model = backbones.build(token_model(), taps=(16,))
    stem = backbones.clone_stem(model, 8)
    kernel = find_nested(stem).weights[0]
    kernel.assign(kernel * 0 + 1)
    assert not np.allclose(ops.convert_to_numpy(model.weights[0]), 1)
    assert backbones.copy_weights(model, stem) == 1
    np.testing.assert_array_equal(
        ops.convert_to_numpy(kernel), ops.convert_to_numpy(model.weights[0])
    )


def test_find_nested_is_the_output():
    model = backbones.build(token_model(), taps=(16,))
    assert find_nested(model) is model.layers[-1]
    behind = keras.layers.Conv2D(2, 1)(model.output)
    assert find_nested(keras.Model(model.inputs, behind)) is None


def test_a_saved_network_of_a_missing_keras_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    config = {"module": "keras_hub.src.models.vit.vit_backbone"}
    with pytest.raises(
        ImportError, match=r"saved model needs the package 'keras_hub'.*\[hub\]"
    ):
        import_hub_for(config)
    import_hub_for({"module": "keras"})  # needs none
