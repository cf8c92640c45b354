"""Sizes, channels and pixels of a user's own model."""

import keras
import numpy as np
import pytest

from keras_fgvc import backbones, models
from tests.models.test_changed_layers import MAKE


def of_size(size, channels=3, name="mine", ending=None):
    image = keras.Input((size, size, channels))
    x = keras.layers.Rescaling(1 / 255)(image)
    for number, filters in enumerate((5, 7, 8)):
        if number == 1 and ending == "early":
            x = keras.layers.Reshape((size // 2, size // 2, 5))(x)
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same")(x)
    if ending == "reshape":
        x = keras.layers.Reshape((size // 8, size // 8, 8))(x)
    elif ending == "tokens":  # traces at any size, and mixes images up
        x = keras.ops.reshape(x, (-1, (size // 8) ** 2, 8))
        x = keras.ops.reshape(x, (-1, size // 8, size // 8, 8))
    x = keras.layers.Activation("linear", name="last")(x)
    return keras.Model(image, x, name=name)


def make(method, backbone, **changes):
    arguments = {**MAKE[method], **changes}
    return getattr(models, method)(backbone, 3, **arguments)


@pytest.mark.parametrize("method", MAKE)
def test_a_backbone_of_another_size_is_taken(method):
    model = make(method, of_size(96))
    images = np.zeros((2, 44, 36, 3), "uint8")
    assert model.predict(images, verbose=0)["probabilities"].shape == (2, 3)


def test_the_freed_model_shares_the_layers_and_the_values():
    own = of_size(32)
    free = backbones.build(own, taps=(8,))
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    to_numpy = keras.ops.convert_to_numpy
    np.testing.assert_allclose(
        to_numpy(free(images)), to_numpy(own(images)), rtol=1e-5
    )
    assert free.layers[-1] is own.layers[-1]
    assert free.inputs[0].shape == (None, None, None, 3)
    inner = keras.Input((32, 32, 3))
    nested = keras.Model(inner, of_size(32, name="inner")(inner))
    free = backbones.build(nested, taps=("inner",))
    assert free(np.zeros((1, 48, 64, 3))).shape == (1, 6, 8, 8)


def test_a_sequential_model_is_freed():
    layers = [keras.Input((32, 32, 3)), *of_size(32).layers[1:]]
    free = backbones.build(keras.Sequential(layers), taps=(8,))
    assert free(np.zeros((1, 48, 64, 3))).shape == (1, 6, 8, 8)


@pytest.mark.parametrize("ending", ["reshape", "tokens"])
@pytest.mark.parametrize("method", ["ELoPE", "Coarse2Fine", "FCAN", "DAF"])
def test_a_size_that_a_layer_forbids_is_refused(method, ending):
    # 44, but for FCAN's crops.
    sizes = {"crop_size": 44} if method == "FCAN" else {"image_size": 44}
    taps = {"taps": (4, "last")} if method == "DAF" else {"tap": "last"}
    taps = {"taps": ("last", "last")} if method == "FCAN" else taps
    own = of_size(32, ending=ending)
    with pytest.raises(ValueError, match=r"_size=44 and model .* for 32 x 32"):
        make(method, own, **sizes, **taps)


def test_elopes_localizer_says_what_it_needs():
    with pytest.raises(ValueError, match=r"of 64 pixels .* other size than 32"):
        make("ELoPE", of_size(32, ending="early"))
    make("ELoPE", of_size(32, ending="early"), localize=False)


@pytest.mark.parametrize("method", MAKE)
@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_than_three_are_refused(method, channels):
    with pytest.raises(ValueError, match=rf"takes {channels} channel"):
        make(method, grey(channels))


def grey(channels):
    image = keras.Input((None, None, channels))
    return keras.Model(image, keras.layers.Conv2D(8, 3, strides=8)(image))


APPLICATIONS = {
    "MobileNetV2": ({"alpha": 0.35}, "from -1 to 1"),
    "MobileNet": ({"alpha": 0.25}, "from -1 to 1"),
    "ResNet50": ({}, "BGR"),
    "ResNet50V2": ({}, "from -1 to 1"),
    "DenseNet121": ({}, "over its deviation"),
    "EfficientNetB0": (None, None),
    "MobileNetV3Small": ({"include_preprocessing": False}, "include_prepr"),
}


@pytest.mark.parametrize("constructor", APPLICATIONS)
def test_raw_pixels_into_an_application_are_warned_of(constructor, recwarn):
    options, words = APPLICATIONS[constructor]
    own = getattr(keras.applications, constructor)(
        include_top=False, weights=None, **(options or {})
    )
    backbones.build(own)
    assert len(recwarn.list) == (words is not None)
    assert all(words in str(each.message) for each in recwarn.list)


def test_an_application_with_its_preprocessing_is_not_warned_of(recwarn):
    make_own = keras.applications.MobileNetV2
    image = keras.Input((None, None, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    options = {"include_top": False, "weights": None, "alpha": 0.35}
    own = make_own(input_tensor=scaled, **options)
    backbones.build(own)
    inner = make_own(**options)
    outer = keras.Model(image, inner(image / 127.5 - 1.0))
    backbones.build(outer, taps=(inner.name,))
    assert not recwarn.list
    outer = keras.Model(image, inner(image), name="mine")
    with pytest.warns(UserWarning, match="'mine' looks like"):
        backbones.build(outer, taps=(inner.name,))
