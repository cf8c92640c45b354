"""Names: complete, constructible, and helpful when mistyped."""

import keras
import pytest

from keras_fgvc import backbones
from keras_fgvc.backbones import registry


def test_every_model_of_keras_applications_has_a_name():
    constructors = {
        registry.find(name).constructor for name in backbones.available()
    }
    public = {
        name
        for name in dir(keras.applications)
        if callable(getattr(keras.applications, name))
    }
    assert constructors == public | {"wide_resnet"}


def test_names_are_sorted_lower_case():
    names = backbones.available()
    assert names == tuple(sorted(names))
    assert names == tuple(name.lower() for name in names)
    assert {"resnet50", "resnet50_v2", "efficientnet_v2_b0"} <= set(names)
    assert {"wide_resnet50_2", "wide_resnet101_2"} <= set(names)


def test_a_mistyped_name_lists_the_nearest():
    with pytest.raises(ValueError, match=r"'ResNet-50'.*Nearest.*'resnet50'"):
        backbones.build("ResNet-50")
