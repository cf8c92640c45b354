"""Frozen batch normalisation stays put in `fit`; trained one moves."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_fgvc import backbones


def composite():
    """Batch normalisation at the top, in a model, and in a layer."""
    inner_images = keras.Input((None, None, 5))
    x = layers.BatchNormalization(name="in_model")(inner_images)
    inner = keras.Model(inner_images, x)
    images = keras.Input((None, None, 3))
    x = layers.Conv2D(5, 4, 4, name="convolution")(images)
    x = layers.BatchNormalization(name="at_top", momentum=0.999)(x)
    x = layers.TimeDistributed(layers.BatchNormalization(name="in_layer"))(x)
    return keras.Model(images, inner(x), name="composite")


def batch_norms(model):
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, layers.BatchNormalization)
    ]


def fit_one_epoch(backbone):
    images = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(backbone(images))
    model = keras.Model(images, layers.Dense(2)(x))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    pixels = np.random.default_rng(11).uniform(0, 255, (6, 8, 8, 3))
    model.fit(pixels, np.array([0, 1] * 3), batch_size=3, verbose=0)


@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_moving_statistics_in_fit(batch_norm):
    backbone = backbones.build(composite(), taps=(4,), batch_norm=batch_norm)
    assert len(batch_norms(backbone)) == 3
    kernel = backbone.get_layer("convolution").get_weights()[0]
    before = [layer.get_weights() for layer in batch_norms(backbone)]
    fit_one_epoch(backbone)
    after = [layer.get_weights() for layer in batch_norms(backbone)]
    for old, new in zip(before, after, strict=True):
        moved = [np.any(a != b) for a, b in zip(old, new, strict=True)]
        assert moved == [batch_norm == "train"] * 4
    assert np.any(kernel != backbone.get_layer("convolution").get_weights()[0])


def test_train_sets_the_momentum():
    model = backbones.build(
        composite(), taps=(4,), batch_norm="train", batch_norm_momentum=0.8
    )
    assert [layer.momentum for layer in batch_norms(model)] == [0.8] * 3


def test_frozen_leaves_the_momentum():
    model = backbones.build(composite(), taps=(4,))
    assert model.get_layer("at_top").momentum == 0.999


def test_set_trainable_keeps_batch_norm_frozen():
    model = backbones.build(composite(), taps=(4,))
    backbones.set_trainable(model, False)
    assert not model.trainable_weights
    backbones.set_trainable(model, True)
    assert not any(layer.trainable for layer in batch_norms(model))
    convolution = model.get_layer("convolution")
    assert [weight.path for weight in model.trainable_weights] == [
        weight.path for weight in convolution.weights
    ]


def test_set_trainable_thaws_batch_norm_on_request():
    model = backbones.build(composite(), taps=(4,))
    assert model.trainable  # its own flag: its frozen layers do not show
    backbones.set_trainable(model, True, batch_norm="train")
    assert all(layer.trainable for layer in batch_norms(model))


def test_set_trainable_checks_its_choice():
    with pytest.raises(ValueError, match=r"'frozen', 'train'.*'thawed'"):
        backbones.set_trainable(composite(), True, batch_norm="thawed")
