import keras
import numpy as np
import pytest

from keras_fgvc import data, evaluation
from keras_fgvc.models import ELoPE
from keras_fgvc.models.outputs import MapOf, MapsOf, ObjectBox, PartBoxes
from keras_fgvc.ops import box_iou
from tests import tiny
from tests.evaluation.fixed import fixed, labeled

DATA = tiny.labeled_images(held_out=7)
WHOLE = [0.0, 0.0, 1.0, 1.0]


def elope(threshold=0.7):
    return ELoPE(
        tiny.backbone(), 3, image_size=tiny.SIZE, tap=8, threshold=threshold
    )


@pytest.mark.parametrize("batch_size", [3, 32])
def test_answers_are_those_of_keras(batch_size):
    model = elope()
    found = evaluation.predict(
        model, DATA, load_size=tiny.SIZE, batch_size=batch_size
    )
    test = DATA.subset("test")
    outputs = model.predict(test.images, verbose=0)
    np.testing.assert_allclose(
        found.probabilities, outputs["probabilities"], atol=1e-6
    )
    np.testing.assert_array_equal(found.labels, test.labels)
    np.testing.assert_array_equal(found.true_boxes, test.boxes)
    assert found.class_names == ("red", "green", "blue")
    assert set(found.boxes) == {"boxes", "heatmap", "mean_activation"}


def test_boxes_of_maps_are_cut_at_the_models_threshold():
    model = elope(threshold=0.7)
    own = evaluation.predict(model, DATA, load_size=tiny.SIZE)
    for threshold, agrees in ((0.7, True), (0.1, False)):
        given = evaluation.predict(
            model, DATA, load_size=tiny.SIZE, threshold=threshold
        )
        for name in ("heatmap", "mean_activation"):
            same = np.array_equal(own.boxes[name], given.boxes[name])
            assert same == agrees, (name, threshold)


def test_model_without_a_threshold():
    # By the default of 0.3 the box is the corner; 0.29 would take in all.
    heatmap = np.full((2, 4, 4), 0.295, "float32")
    heatmap[:, 0, :] = 0.0
    heatmap[:, 2:, 2:] = 1.0
    model, images = fixed(
        {"heatmap": MapOf("image")},
        probabilities=np.float32([[1, 0], [0, 1]]),
        heatmap=heatmap,
    )
    found = evaluation.predict(
        model, labeled(images, [0, 1], None, 2), load_size=8
    )
    np.testing.assert_allclose(found.boxes["heatmap"], [[0.5, 0.5, 1, 1]] * 2)
    assert found.true_boxes is None


def test_mean_activation_behind_a_crop_is_left_out():
    model = elope()
    options = {"load_size": tiny.SIZE}
    off = evaluation.evaluate(model, DATA, **options)
    assert set(off.localization) == {"boxes", "mean_activation", "heatmap"}
    model.localizer.enable()
    on = evaluation.evaluate(model, DATA, **options)
    assert set(on.localization) == {"boxes", "heatmap"}
    images = DATA.subset("test").images
    boxes = model.predict(images, verbose=0)["boxes"]
    iou = box_iou(boxes, DATA.subset("test").boxes[:, None])
    assert on.localization["boxes"] == np.mean(np.array(iou) >= 0.5)


def test_one_crop_leaves_the_map_out_for_all_images():
    """Also for those in batches without a crop."""
    boxes = np.tile(np.float32(WHOLE), (5, 1, 1))
    boxes[4] = [[0, 0, 0.5, 0.5]]
    model, images = fixed(
        {"where": ObjectBox(cropped=True), "what": MapOf("boxes")},
        probabilities=np.full((5, 2), 0.5, "float32"),
        what=np.ones((5, 4, 4), "float32"),
        where=boxes,
    )
    examples = labeled(images, [0] * 5, boxes[:, 0], 2)
    found = evaluation.predict(model, examples, load_size=8, batch_size=2)
    assert list(found.boxes) == ["where"]
    np.testing.assert_array_equal(found.boxes["where"], boxes[:, 0])
    boxes[4] = WHOLE
    found = evaluation.predict(model, examples, load_size=8, batch_size=2)
    assert list(found.boxes) == ["where", "what"]


def test_what_is_not_declared_is_not_judged():
    """Whatever its name and shape; and parts are not the object."""
    table = {
        "probabilities": np.full((2, 2), 0.5, "float32"),
        "boxes": np.tile(np.float32(WHOLE), (2, 1, 1)),
        "heatmap": np.ones((2, 4, 4), "float32"),
        "each": np.ones((2, 4, 4, 3), "float32"),
    }
    parts = {"boxes": PartBoxes(), "each": MapsOf("image")}
    for meanings in ({}, parts):
        model, images = fixed(meanings, **table)
        examples = labeled(images, [0, 1], None, 2)
        found = evaluation.predict(model, examples, load_size=8)
        assert found.boxes == {}


def test_a_declaration_that_does_not_fit():
    model, images = fixed(
        {"boxes": ObjectBox()},
        probabilities=np.full((2, 2), 0.5, "float32"),
        boxes=np.ones((2, 3, 4), "float32"),
    )
    with pytest.raises(ValueError, match=r"\(batch, 1, 4\).*\(2, 3, 4\)"):
        evaluation.predict(model, labeled(images, [0, 1], None, 2), load_size=8)


def test_model_that_gives_probabilities_alone():
    image = keras.Input((tiny.SIZE, tiny.SIZE, 3))
    x = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, keras.layers.Dense(3, "softmax")(x))
    found = evaluation.predict(model, DATA, load_size=tiny.SIZE)
    expected = model.predict(DATA.subset("test").images, verbose=0)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
    assert found.boxes == {}


def test_logits_are_refused():
    model, images = fixed(probabilities=np.float32([[1, 0], [3, -2], [4, 1]]))
    with pytest.raises(
        ValueError, match=r"2 of 3 rows .* image 1: sum 1,.* need a softmax"
    ):
        evaluation.predict(
            model, labeled(images, [0, 1, 1], None, 2), load_size=8
        )


def test_splits_that_cannot_be_judged():
    with pytest.raises(ValueError, match="`split` must be one of 'train'"):
        evaluation.evaluate(None, DATA, "holdout", load_size=8)
    empty = data.Examples(
        labels=np.zeros(0, "int32"), images=np.zeros((0, 8, 8, 3), "uint8")
    )
    nothing = data.LabeledImages("nothing", ("a", "b"), {"test": empty})
    with pytest.raises(ValueError, match="nothing has no image in its split"):
        evaluation.predict(None, nothing, load_size=8)


def test_what_else_is_wanted_of_a_batch():
    seen = []
    predictions = evaluation.predict(
        elope(),
        DATA,
        load_size=tiny.SIZE,
        batch_size=4,
        on_batch=lambda images, outputs: seen.append((images, outputs)),
    )
    assert [len(images) for images, _ in seen] == [4, 3]
    rows = np.concatenate([outputs["probabilities"] for _, outputs in seen])
    np.testing.assert_array_equal(rows, predictions.probabilities)


def test_progress_is_shown_when_asked_for(capsys):
    model, images = fixed(probabilities=np.full((5, 2), 0.5, "float32"))
    examples = labeled(images, [0] * 5, None, 2)
    for verbose, shown in ((0, False), (1, True), ("auto", True)):
        evaluation.predict(
            model, examples, load_size=8, batch_size=2, verbose=verbose
        )
        assert ("3/3" in capsys.readouterr().out) == shown


def test_it_is_known_of_which_images():
    model, images = fixed(probabilities=np.full((3, 2), 0.5, "float32"))
    examples = labeled(images, [0, 1, 1], None, 2)
    found = evaluation.predict(model, examples, load_size=8)
    assert found.image_digest == examples.subset("test").source.identity()
