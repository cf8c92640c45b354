"""What each method declares about its outputs, and what it means."""

import re

import keras
import numpy as np
import pytest

from keras_fgvc import evaluation, visualization
from keras_fgvc.models import FineGrainedModel, outputs, registry
from keras_fgvc.models.declaration import declared
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
from keras_fgvc.training import predictors
from tests import tiny
from tests.test_architecture import OUTPUT_NAMES, OUTPUT_PREFIXES

PLAIN = {"tap": 8}
ELOPE = {"image_size": 32, "embedding_dim": 5, "tap": 8}
PAINLESS = {"taps": (4, 8), "tap": 8}
COARSE2FINE = {"image_size": 32, "num_maps": 5, "tap": 8}
FCAN = {"image_size": 40, "crop_size": 24, "taps": (8, 8)}
DAF = {"image_size": 32, "num_parts": 2, "taps": (4, 8), "groups": 11}
# Every method, in every form that has other outputs.
CONFIGURATIONS = {
    "Baseline": [PLAIN],
    "ELoPE": [ELOPE, {**ELOPE, "localize": False}],
    "PainlessAttention": [
        PAINLESS,
        {**PAINLESS, "gates": False},
        {**PAINLESS, "mix": "probabilities"},
        {**PAINLESS, "taps": (8,), "num_heads": 1},
    ],
    "Coarse2Fine": [
        COARSE2FINE,
        {**COARSE2FINE, "augment": "crop_drop"},
        {**COARSE2FINE, "predict_with": "coarse"},
        {**COARSE2FINE, "predict_with": "fine"},
    ],
    "FCAN": [
        {**FCAN, "part_sizes": (1, 2)},
        {**FCAN, "part_sizes": (2,)},
        {**FCAN, "part_sizes": (1, 2), "regions": "center"},
    ],
    "DAF": [
        DAF,
        {**DAF, "heatmap": False},
        {**DAF, "distill": False, "predict_with": "teacher"},
        {**DAF, "predict_with": "student"},
        {**DAF, "teacher": False},
    ],
}
METHODS = sorted(
    set(registry._METHODS.values()), key=lambda method: method.__name__
)
CASES = [
    pytest.param(method, options, id=f"{method.__name__}-{number}")
    for method in METHODS
    for number, options in enumerate(CONFIGURATIONS.get(method.__name__, []))
]
IMAGES, _ = tiny.images_and_labels(count=2)


def build(method, options):
    return method(tiny.backbone(), tiny.NUM_CLASSES, **options)


def arrays(model):
    found = model(IMAGES.astype("float32"), training=False)
    return {n: keras.ops.convert_to_numpy(v) for n, v in found.items()}


def test_every_method_is_checked_here():
    missing = {method.__name__ for method in METHODS} - set(CONFIGURATIONS)
    assert not missing, f"CONFIGURATIONS lacks {missing}"


@pytest.mark.compiled
@pytest.mark.parametrize(("method", "options"), CASES)
def test_each_declaration_fits_its_output(method, options):
    model = build(method, options)
    meanings, found = model.output_meanings, arrays(model)
    assert set(meanings) <= set(model.output)
    assert declared(meanings, ObjectBox, PartBoxes, MapOf), "nothing to show"
    for name, meaning in meanings.items():
        assert isinstance(meaning, KINDS)
        check(meaning, found[name])
    # Four numbers for each of some things are boxes, or a map of 4 x 4 cells.
    boxes = {n for n, v in found.items() if v.ndim == 3 and v.shape[2] == 4}
    assert boxes <= set(declared(meanings, ObjectBox, PartBoxes, MapOf))


@pytest.mark.parametrize(("method", "options"), CASES)
def test_the_architecture_knows_each_name(method, options):
    """Or code elsewhere could look for it."""
    for name in build(method, options).output_meanings:
        known = name in OUTPUT_NAMES or name.startswith(OUTPUT_PREFIXES)
        assert known, f"tests/test_architecture.py lacks {name!r}"


def check(meaning, values):
    """Two images' values are what their meaning says, by a plain reading."""
    count, classes = len(IMAGES), tiny.NUM_CLASSES
    if isinstance(meaning, (ObjectBox, PartBoxes)):
        low, high = values[..., :2], values[..., 2:]
        assert np.all((low >= 0) & (low <= high) & (high <= 1))
        if isinstance(meaning, ObjectBox):
            assert values.shape == (count, 1, 4)
    elif isinstance(meaning, MapOf):
        assert values.ndim == 3
        assert min(values.shape) > 1
    elif isinstance(meaning, MapsOf):
        assert values.ndim == 4
        assert min(values.shape[:3]) > 1
    elif isinstance(meaning, Members) and len(meaning.names) == 1:
        assert values.shape == (count, classes)
    elif isinstance(meaning, Members):
        assert values.shape == (count, len(meaning.names), classes)
    elif isinstance(meaning, Gates):
        assert values.shape == (count, len(meaning.names))
        np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-5)
    else:
        assert isinstance(meaning, Embedding)
        assert values.ndim == 2


@pytest.mark.parametrize(("method", "options"), CASES)
def test_a_model_made_again_declares_the_same(method, options):
    model = build(method, options)
    again = method.from_config(model.get_config())
    assert list(again.output_meanings) == list(model.output_meanings)
    assert again.output_meanings == model.output_meanings


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("method", "part"),
    [("Coarse2Fine", "coarse_model"), ("DAF", "student_model")],
)
def test_a_part_of_a_method_declares_too(method, part, tmp_path):
    """Of what the whole declares, and in its file as well."""
    whole = build(registry.get_method(method), CONFIGURATIONS[method][0])
    alone = getattr(whole, part)()
    kept = {n: m for n, m in whole.output_meanings.items() if n in alone.output}
    assert alone.output_meanings == kept
    assert declared(kept, MapOf)
    alone.save(tmp_path / "part.keras")
    loaded = keras.saving.load_model(tmp_path / "part.keras")
    assert loaded.output_meanings == kept
    assert loaded.num_classes == tiny.NUM_CLASSES
    expected = arrays(alone)
    for name, values in arrays(loaded).items():
        np.testing.assert_allclose(values, expected[name], atol=1e-5)


def test_a_file_of_a_model(tmp_path):
    model = build(registry.get_method("elope"), ELOPE)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.output_meanings == model.output_meanings
    assert list(loaded.output_meanings) == [
        "boxes",
        "heatmap",
        "mean_activation",
        "embedding",
    ]


class Mine(FineGrainedModel):
    """A user's method, whose outputs have names of its own."""

    BOX = (0.25, 0.5, 0.75, 1.0)

    def __init__(self, **meanings):
        image = keras.Input((tiny.SIZE, tiny.SIZE, 3), name="image")
        map_of_crop = keras.ops.mean(image[:, 8:24, 16:], axis=-1)
        pooled = keras.ops.mean(image, axis=(1, 2)) / 255
        box = keras.ops.concatenate(
            [0 * pooled[:, :1] + side for side in self.BOX], axis=-1
        )
        shares = keras.ops.softmax(pooled)
        found = {
            "probabilities": shares,
            "where": keras.ops.expand_dims(box, 1),
            "what": map_of_crop,
            "who": keras.ops.stack([pooled, -pooled], axis=1),
            # A name of ours, for a thing that it is not.
            "boxes": image,
        }
        super().__init__(
            image, found, num_classes=3, output_meanings=meanings or None
        )


MEANINGS = {
    "where": ObjectBox(cropped=True),
    "what": MapOf("boxes", "colour"),
    "who": Members(("bright", "dark")),
}


@pytest.mark.compiled
def test_names_of_a_users_own_are_drawn_and_evaluated():
    model = Mine(**MEANINGS)
    pixels, _ = tiny.images_and_labels(count=2)
    (seen, _) = visualization.explain(model, pixels)
    np.testing.assert_allclose(seen.boxes["crop"], [Mine.BOX], atol=1e-6)
    assert list(seen.maps) == ["colour"]
    inside = np.isfinite(seen.maps["colour"])
    rows, columns = np.where(inside)
    corner = np.array([rows.min(), columns.min()]) / len(inside)
    np.testing.assert_allclose(corner, Mine.BOX[:2], atol=0.01)
    assert list(seen.members) == ["bright", "dark"]

    data = tiny.labeled_images()
    found = evaluation.predict(model, data, load_size=tiny.SIZE)
    assert list(found.boxes) == ["where"]  # the map shows a crop alone
    figures = evaluation.evaluate_predictions(found)
    assert figures.localization == {"where": 0.0}  # a third of true and found

    ask = predictors.of_pixels(model, data.class_names, tiny.SIZE)
    assert (ask.object_box, ask.boxes()) == ("where", ("where",))


def test_what_is_not_declared_is_not_read():
    model = Mine()
    assert model.output_meanings == {}
    (seen, _) = visualization.explain(model, IMAGES)
    assert seen.maps == seen.boxes == seen.gates == seen.members == {}
    found = evaluation.predict(
        model, tiny.labeled_images(), load_size=tiny.SIZE
    )
    assert found.boxes == {}


@pytest.mark.parametrize(
    ("meanings", "message"),
    [
        (
            {"there": ObjectBox()},
            "are probabilities, where, what, who, boxes. Received: 'there'.",
        ),
        ({"boxes": ObjectBox()}, "'boxes' is declared as ObjectBox(cropped="),
        ({"boxes": ObjectBox()}, "(batch, 1, 4). Received: shape (None, 32,"),
        ({"what": MapsOf("image")}, "(batch, height, width, maps). Received"),
        ({"where": MapOf("image"), "what": Embedding()}, "(batch, dim)."),
        ({"who": Members(("one", "two", "three"))}, "(batch, 3, classes)."),
        ({"who": Members(("alone",))}, "(batch, classes). Received: shape"),
        ({"who": Gates(("one", "two"))}, "(batch, 2). Received: shape"),
        ({"what": MapOf("boxes")}, "must be declared as ObjectBox(cropped=Tr"),
        ({"where": ObjectBox(), "what": MapOf("boxes")}, "a map of the crop"),
    ],
)
def test_a_bad_declaration_is_refused_when_the_model_is_built(
    meanings, message
):
    with pytest.raises(ValueError, match=re.escape(message)):
        Mine(**meanings)


def test_what_is_no_meaning():
    with pytest.raises(TypeError, match=r"\['where'\]` must be one of Obj.*'b"):
        Mine(where="box")
    with pytest.raises(ValueError, match=r"`span` must be one of.*'crop'"):
        MapOf("crop")
    for kind in (Members, Gates):
        for names in ((), "network", (1, 2)):
            with pytest.raises(ValueError, match="tuple of at least one text"):
                kind(names)
        with pytest.raises(ValueError, match="must differ from one another"):
            kind(("network", "network"))


def test_all_kinds_are_listed():
    classes = [v for v in vars(outputs).values() if isinstance(v, type)]
    public = {
        kind
        for kind in classes
        if issubclass(kind, outputs.Meaning) and kind.__name__[0] != "_"
    }
    assert public - {outputs.Meaning} == set(KINDS)
