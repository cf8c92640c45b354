"""A declaration is checked, searched, written and read."""

import json

import keras
import numpy as np
import pytest

from keras_fgvc.models.declaration import (
    OLDER_EXPORTS,
    check_meanings,
    declare_outputs,
    declared,
    from_config,
    meanings_of,
    object_box,
    object_map,
    to_config,
)
from keras_fgvc.models.outputs import (
    KINDS,
    Embedding,
    Gates,
    MapOf,
    MapsOf,
    Members,
    ObjectBox,
    PartBoxes,
)

EVERYTHING = {
    "parts": PartBoxes("glimpses", saliency=True),
    "where": ObjectBox(cropped=True),
    "each": MapsOf("image", "head"),
    "what": MapOf("boxes", "activity"),
    "seen": MapOf("image"),
    "who": Members(("one", "two")),
    "shares": Gates(("one", "two")),
    "vector": Embedding(),
}
SHAPES = {
    "probabilities": (2, 3),
    "parts": (2, 7, 4),
    "where": (2, 1, 4),
    "each": (2, 5, 7, 11),
    "what": (2, 5, 7),
    "seen": (2, 11, 13),
    "who": (2, 2, 3),
    "shares": (2, 2),
    "vector": (2, 13),
}


def arrays(**changes):
    return {n: np.zeros(shape) for n, shape in {**SHAPES, **changes}.items()}


def functional():
    image = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    found = {"probabilities": pooled, "seen": keras.ops.mean(image, axis=-1)}
    return keras.Model(image, found)


def test_a_declaration_of_every_kind_fits():
    assert {type(meaning) for meaning in EVERYTHING.values()} == set(KINDS)
    check_meanings(EVERYTHING, arrays())


@pytest.mark.parametrize("name", EVERYTHING)
def test_another_rank_is_refused(name):
    wrong = arrays(**{name: (*SHAPES[name], 3)})
    with pytest.raises(ValueError, match=f"The output '{name}' is declared"):
        check_meanings(EVERYTHING, wrong)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("where", (2, 2, 4)),
        ("where", (2, 1, 5)),
        ("parts", (2, 7, 3)),
        ("who", (2, 3, 3)),
        ("who", (2, 2, 4)),  # other classes than the probabilities'
        ("shares", (2, 3)),
    ],
)
def test_another_size_is_refused(name, shape):
    with pytest.raises(ValueError, match=f"'{name}' is declared as .* must "):
        check_meanings(EVERYTHING, arrays(**{name: shape}))


def test_what_does_not_go_together():
    found = arrays(other=(2, 1, 4))
    with pytest.raises(
        ValueError, match=r"at most one `ObjectBox`.*where, oth"
    ):
        check_meanings({**EVERYTHING, "other": ObjectBox()}, found)
    with pytest.raises(ValueError, match=r"different titles.*'glimpses' twice"):
        check_meanings({**EVERYTHING, "other": PartBoxes("glimpses")}, found)
    twice = {"what": MapOf("image"), "seen": MapOf("image")}
    with pytest.raises(ValueError, match=r"different titles.*'heat map' twice"):
        check_meanings(twice, arrays())
    with pytest.raises(ValueError, match=r"must return a dict.*ndarray"):
        check_meanings(EVERYTHING, np.zeros((2, 3)))


def test_a_functional_model_declares():
    meanings = {"seen": MapOf("image")}
    model = functional()
    assert meanings_of(model) == {}
    assert declare_outputs(model, meanings) is model
    assert meanings_of(model) == meanings
    with pytest.raises(ValueError, match=r"are probabilities, seen.*'where'"):
        declare_outputs(model, {"where": ObjectBox()})
    assert meanings_of(model) == meanings


def test_what_is_found():
    assert object_box(EVERYTHING) == "where"
    assert object_map(EVERYTHING) == "seen"
    assert list(declared(EVERYTHING, MapOf, MapsOf)) == ["each", "what", "seen"]
    assert object_box({}) is object_map({}) is None
    assert object_map({"what": MapOf("boxes")}) is None


def test_json_and_back():
    text = json.dumps(to_config(EVERYTHING))
    read = from_config(json.loads(text))
    assert list(read) == list(EVERYTHING)
    assert read == EVERYTHING


def test_a_kind_of_a_later_version_is_left_out():
    config = to_config({"seen": MapOf("image")})
    config["cloud"] = {"kind": "PointCloud", "colour": "red"}
    assert from_config(config) == {"seen": MapOf("image")}


def test_older_exports_have_their_boxes():
    assert declared(OLDER_EXPORTS, ObjectBox, PartBoxes) == OLDER_EXPORTS
    assert list(OLDER_EXPORTS) == ["boxes", "part_boxes"]
