import dataclasses
import sys

import keras
import numpy as np
import pytest

from keras_fgvc import models
from keras_fgvc.training.identity import (
    PYTHON,
    architecture_of,
    box_digests,
    functions_of,
    label_digests,
    layer_precisions,
)
from tests import tiny
from tests.training import run_tiny

DATA = tiny.labeled_images()


def network(*layers, tap=None):
    image = x = keras.Input((None, None, 3), name=f"image_{len(layers)}")
    outputs = [x := layer(x) for layer in layers]
    if tap is not None:  # another way through the same layers
        x = keras.layers.Add()([outputs[tap], outputs[-1]])
    return keras.Model(image, x)


def convolutions(*activations, tap=None, **options):
    options = {"padding": "same", **options}
    layers = [
        keras.layers.Conv2D(3, 3, activation=each, **options)
        for each in activations
    ]
    return network(*layers, tap=tap)


def test_a_network_built_twice_is_one():
    """Whatever was built before, and whatever its weights and names are."""
    first = run_tiny.model()
    expected = architecture_of(first)
    assert expected
    for _ in range(2):
        assert architecture_of(run_tiny.model()) == expected
    keras.backend.clear_session()
    assert architecture_of(run_tiny.model()) == expected
    first.begin_stage("crops")
    first.set_threshold(0.4)
    first.compile()
    assert architecture_of(first) == expected
    config = keras.saving.serialize_keras_object(first)
    loaded = keras.saving.deserialize_keras_object(config)
    assert architecture_of(loaded) == expected


@pytest.mark.parametrize(
    "other",
    [
        lambda: convolutions("tanh", "relu"),
        lambda: convolutions("relu", "relu", strides=2),
        lambda: convolutions("relu", "relu", padding="valid"),
        lambda: convolutions("relu", "relu", dilation_rate=2),
        lambda: convolutions("relu", "relu", tap=0),
        lambda: convolutions("relu", "relu", "relu"),
        lambda: convolutions("relu", "relu", kernel_regularizer="l2"),
    ],
)
def test_networks_that_compute_otherwise_differ(other):
    plain = architecture_of(convolutions("relu", "relu"))
    assert architecture_of(other()) != plain
    names = ("a", "b")
    layers = [
        keras.layers.Conv2D(3, 3, padding="same", activation="relu", name=n)
        for n in names
    ]
    assert architecture_of(network(*layers)) == plain


def test_what_goes_into_what():
    ways = {
        architecture_of(convolutions("relu", "relu", "relu", tap=tap))
        for tap in (0, 1)
    }
    assert len(ways) == 2


def test_arguments_that_no_layer_has():
    def elope(weight):
        return models.ELoPE(
            tiny.backbone(), 3, localize=False, tap=8, embedding_weight=weight
        )

    assert architecture_of(elope(0.1)) != architecture_of(elope(0.2))


SCALE = 2.0


def times(factor):
    return lambda x: x * factor


def doubled(x, by=2.0):
    return x * by


def scaled(x):
    return x * SCALE


def lambda_of(function):
    return functions_of(network(keras.layers.Lambda(function)))


def test_functions_that_compute_otherwise_differ(monkeypatch):
    def trebled(x, by=3.0):
        return x * by

    trebled.__name__ = "doubled"
    functions = [
        *(lambda x: x * 2.0, lambda x: x * 3.0, lambda x: x + 2.0),
        *(times(2.0), times(3.0), doubled, trebled, scaled),
        *(lambda x: doubled(x) + 1, lambda x: trebled(x) + 1),
    ]
    digests = [lambda_of(function) for function in functions]
    assert None not in digests
    assert len(set(digests)) == len(digests)
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 3.0)
    assert lambda_of(scaled) not in digests
    dense = [keras.layers.Dense(3, activation=f) for f in (doubled, trebled)]
    assert len({functions_of(network(layer)) for layer in dense}) == 2


def test_a_function_written_elsewhere_is_the_same():
    spaces = ({}, {})
    for lines, space in enumerate(spaces):
        exec("\n" * lines + "f = lambda x: x * 2.0  # doubled", space)
    networks = [network(keras.layers.Lambda(s["f"])) for s in spaces]
    first, second = map(functions_of, networks)
    assert first == second
    assert first.startswith(PYTHON)
    assert len(set(map(architecture_of, networks))) == 1
    assert functions_of(convolutions("relu")) is None


def test_networks_that_cannot_be_described():
    class Odd(keras.layers.Layer):
        def call(self, inputs):
            return inputs

        def get_config(self):
            raise NotImplementedError

    assert architecture_of(network(Odd())) is None


def test_labels_and_boxes():
    labels, boxes = label_digests(DATA), box_digests(DATA)
    assert set(labels) == set(boxes) == set(DATA.splits)
    part = DATA.splits["train"]

    def replaced(**changes):
        own = dataclasses.replace(part, **changes)
        return dataclasses.replace(DATA, splits={"train": own})

    same = replaced(labels=part.labels.astype("int64"))
    assert label_digests(same)["train"] == labels["train"]
    rolled = replaced(labels=np.roll(part.labels, 1))
    assert label_digests(rolled)["train"] != labels["train"]
    assert box_digests(replaced(boxes=None)) == {}
    moved = replaced(boxes=part.boxes * 0.5)
    assert box_digests(moved)["train"] != boxes["train"]
    unknown = np.full_like(part.boxes, np.nan)
    found = {
        box_digests(replaced(boxes=x))["train"] for x in (unknown, -unknown)
    }
    assert len(found) == 1


def test_precisions_are_counted():
    image = keras.Input((3,))
    x = keras.layers.Dense(2, dtype="mixed_bfloat16")(image)
    x = keras.layers.Dense(2)(x)
    # The other layer, the input, and the model itself.
    assert layer_precisions(keras.Model(image, x)) == (
        "float32 x 3, mixed_bfloat16 x 1"
    )
