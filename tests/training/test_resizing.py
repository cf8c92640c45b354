"""One way to resize in training, evaluation, prediction and serving."""

import json

import keras
import numpy as np
import pytest

from keras_fgvc import data, evaluation, export, recipes, training
from keras_fgvc.decoding.resizing import RESIZES
from keras_fgvc.models import Baseline
from keras_fgvc.models._declared import DeclaredModel
from keras_fgvc.models.outputs import MapOf, ObjectBox
from keras_fgvc.ops import heatmap_to_box
from keras_fgvc.training import predictors
from keras_fgvc.training.claims import check_settings
from tests import tiny
from tests.data.image_files import encode, write
from tests.eager import eager_steps

NAMES = ("red", "green", "blue")
SIDE = 40
# Height and width, and a white rectangle in it, in pixels.
PHOTOGRAPHS = [
    ((60, 120), (12, 42, 48, 78)),
    ((120, 60), (42, 12, 66, 54)),
    ((80, 80), (8, 16, 40, 72)),
]


def finder():
    """Finds what is white, as a box and as a map."""
    image = keras.Input((None, None, 3), name="image")
    grey = keras.ops.mean(image, axis=-1) / 255
    grey = keras.ops.reshape(grey, (-1, SIDE, SIDE))  # static, for the box
    box = heatmap_to_box(grey, 0.7)
    pooled = keras.layers.GlobalAveragePooling2D()(image / 255)
    chances = keras.layers.Dense(3, "softmax")(pooled)
    outputs = {"probabilities": chances, "where": box[:, None], "what": grey}
    meanings = {"where": ObjectBox(), "what": MapOf("image", "brightness")}
    return DeclaredModel(image, outputs).declare(meanings, num_classes=3)


def photographs(folder):
    """A data set of files, with the boxes of the rectangles."""
    paths, boxes = [], []
    for number, (size, box) in enumerate(PHOTOGRAPHS):
        pixels = np.zeros((*size, 3), np.uint8)
        pixels[box[0] : box[2], box[1] : box[3]] = 255
        content = encode(pixels, ("PNG", "BMP", "PNG")[number])
        paths.append(write(folder / f"{number}.png", content))
        boxes.append(np.divide(box, size * 2))
    examples = data.Examples(
        np.arange(3, dtype=np.int32), tuple(paths), boxes=np.float32(boxes)
    )
    return data.LabeledImages("three", NAMES, {"test": examples})


def chances(answer):
    return {top["class"]: top["probability"] for top in answer["top"]}


@pytest.mark.slow
@pytest.mark.parametrize("way", RESIZES)
def test_all_who_read_a_file_find_the_same_in_it(tmp_path, way):
    images, model = photographs(tmp_path), finder()
    paths, boxes = images.splits["test"].paths, images.splits["test"].boxes
    of_pixels = predictors.of_pixels(model, NAMES, SIDE, way)
    answers = list(of_pixels.answers(paths, 3, 2))
    found = [answer["where"][0] for answer in answers]
    np.testing.assert_allclose(found, boxes, atol=1e-5)

    predicted = evaluation.predict(
        model, images.resized(way), load_size=SIDE, threshold=0.7
    )
    np.testing.assert_allclose(predicted.boxes["where"], boxes, atol=1e-5)
    np.testing.assert_array_equal(predicted.true_boxes, boxes)
    for answer, row in zip(answers, predicted.probabilities, strict=True):
        expected = dict(zip(NAMES, row, strict=True))
        assert chances(answer) == pytest.approx(expected, abs=1e-5)
    for name in ("where", "what"):
        assert predicted.overlaps(name).min() > 0.95, name

    model.resize = way  # as `training.fit` sets it
    path = export.export_saved_model(
        model, tmp_path / "1", class_names=NAMES, load_size=SIDE
    )
    served = list(predictors.of_bytes(path, None).answers(paths, 3, 3))
    for answer, other in zip(answers, served, strict=True):
        assert chances(answer) == pytest.approx(chances(other), abs=1e-5)
        np.testing.assert_allclose(answer["where"], other["where"], atol=1e-5)
    declared = json.loads((path / "assets.extra/input.json").read_text())
    expected = {"load_size": SIDE, "resize": way}
    assert declared == expected | ({"padding": 127} if way == "pad" else {})


def test_what_a_crop_cuts_off_counts_as_not_found(tmp_path):
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[10:30, 60:120] = 255  # the central square ends at column 80
    path = write(tmp_path / "0.png", encode(pixels, "PNG"))
    examples = data.Examples(
        np.zeros(1, np.int32),
        (path,),
        boxes=np.float32([[0.25, 0.5, 0.75, 1]]),
    )
    images = data.LabeledImages("one", NAMES, {"test": examples})
    predicted = evaluation.predict(
        finder(), images.resized("crop"), load_size=SIDE
    )
    box = [[0.25, 0.5, 0.75, 2 / 3]]
    np.testing.assert_allclose(predicted.boxes["where"], box, atol=1e-5)
    np.testing.assert_allclose(predicted.overlaps("where"), 1 / 3, atol=1e-4)


def wide_images():
    """The tiny images, beside them as much black."""
    images = tiny.labeled_images(6, 3)
    splits = {
        name: data.Examples(
            labels=split.labels,
            images=np.pad(split.images, ((0, 0), (0, 0), (0, 32), (0, 0))),
            boxes=split.boxes * np.float32([1, 0.5, 1, 0.5]),
        )
        for name, split in images.splits.items()
    }
    return data.LabeledImages("wide", images.class_names, splits)


RECIPE = (
    recipes.get("baseline-short")
    .replace(image_size=32, load_size=32, batch_size=3, resize="pad")
    .with_epochs(classifier=1)
)


def fit(workdir, recipe=RECIPE, images=None):
    keras.utils.set_random_seed(1)
    model = Baseline(tiny.backbone(), 3, tap=8)
    with eager_steps():
        training.fit(model, recipe, images or wide_images(), workdir, verbose=0)
    return model


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("padded")
    fit(folder)
    return folder


def test_a_run_knows_how_it_resized(workdir):
    run = json.loads((workdir / "run.json").read_text())
    assert run["recipe"]["resize"] == "pad"
    assert training.open_run(workdir).recipe == RECIPE


def test_another_way_is_another_run(workdir):
    changes = "recipe.resize was pad, now crop"
    with pytest.raises(ValueError, match=f"another run.*{changes}"):
        fit(workdir, RECIPE.replace(resize="crop"))


def test_data_resized_in_another_way_are_refused(tmp_path):
    images = wide_images().resized("crop")
    with pytest.raises(ValueError, match=r"by 'crop' already.*resize='pad'"):
        fit(tmp_path, images=images)
    assert not (tmp_path / "run.json").exists()


def test_the_epochs_that_choose_see_padded_images(workdir):
    (row,) = training.open_run(workdir).logs()["1-classifier"]
    model = training.open_run(workdir).load_model()
    predicted = evaluation.predict(
        model, wide_images().resized("pad"), "validation", load_size=32
    )
    figures = evaluation.evaluate_predictions(predicted)
    assert row["val_accuracy"] == pytest.approx(figures.top1, abs=1e-6)
    own = predicted.probabilities[np.arange(3), predicted.labels]
    expected = -np.log(own).mean()
    assert row["val_cross_entropy"] == pytest.approx(expected, rel=1e-3)


def test_a_run_from_before_means_squash(workdir, tmp_path):
    run = json.loads((workdir / "run.json").read_text())
    del run["recipe"]["resize"]
    (tmp_path / "run.json").write_text(json.dumps(run))
    (tmp_path / "1-classifier").symlink_to(workdir / "1-classifier")
    assert training.open_run(tmp_path).recipe.resize == "squash"
    check_settings(tmp_path, RECIPE.replace(resize="squash"))
    with pytest.raises(ValueError, match="resize was squash, now pad"):
        check_settings(tmp_path, RECIPE)


def test_a_trained_model_is_evaluated_as_it_was_trained(workdir):
    """Also where nobody resizes the data."""
    model = training.open_run(workdir).load_model()
    given = {"split": "test", "load_size": 32}
    found, expected = (
        evaluation.predict(model, images, **given).probabilities
        for images in (wide_images(), wide_images().resized("pad"))
    )
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="by 'crop' already"):
        evaluation.predict(model, wide_images().resized("crop"), **given)


def test_a_recipe_refuses_another_word():
    with pytest.raises(ValueError, match=r"`resize` must be one of.*'fill'"):
        RECIPE.replace(resize="fill")
