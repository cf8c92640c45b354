import keras
import numpy as np
import pytest

from keras_fgvc import data, evaluation, ops
from keras_fgvc.models import ELoPE
from tests import tiny

DATA = tiny.labeled_images(held_out=7)


class Fixed(keras.Model):
    """Gives each image, known by its first pixel, the outputs of a table."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def predict_on_batch(self, images):
        rows = images[:, 0, 0, 0]
        return {name: values[rows] for name, values in self.table.items()}


def fixed(**table):
    count = len(next(iter(table.values())))
    images = np.zeros((count, 8, 8, 3), "uint8")
    images[:] = np.arange(count)[:, None, None, None]
    return Fixed(table), images


def labeled(images, labels, boxes, classes):
    examples = data.Examples(
        labels=np.array(labels, "int32"), images=images, boxes=boxes
    )
    names = tuple(f"class {c}" for c in range(classes))
    return data.LabeledImages("fixed", names, {"test": examples})


def test_accuracy_against_a_plain_loop():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(11), size=37).astype("float32")
    labels = rng.integers(0, 10, 37)  # class 10 has no image
    model, images = fixed(probabilities=probabilities)
    result = evaluation.evaluate(
        model, labeled(images, labels, None, 11), image_size=8, batch_size=5
    )
    top1 = top5 = 0
    right = {c: [] for c in range(11)}
    for row, label in zip(probabilities, labels, strict=True):
        order = sorted(range(11), key=lambda c: -row[c])
        top1 += order[0] == label
        top5 += label in order[:5]
        right[label].append(order[0] == label)
    assert result.images == 37
    assert result.top1 == pytest.approx(top1 / 37)
    assert result.top5 == pytest.approx(top5 / 37)
    for c in range(10):
        expected = sum(right[c]) / len(right[c])
        assert result.per_class[f"class {c}"] == pytest.approx(expected)
    assert np.isnan(result.per_class["class 10"])
    assert result.localization == {}
    assert "37 images, top-1" in str(result)


def test_localization_by_each_output():
    probabilities = np.tile(np.float32([0.9, 0.1]), (3, 1))
    heatmap = np.zeros((3, 4, 4), "float32")
    heatmap[:, :2, :2] = 1  # the box [0, 0, .5, .5]
    truth = np.float32([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.7], [0, 0, 1, 1]])
    whole = np.tile(np.float32([0, 0, 1, 1]), (3, 1, 1))
    model, images = fixed(
        probabilities=probabilities, mean_activation=heatmap, boxes=whole
    )
    result = evaluation.evaluate(
        model, labeled(images, [0, 0, 1], truth, 2), image_size=8
    )
    # IoU of the heat map's box: 1, 5/7, 1/4; of the whole image: 1/4, .35, 1.
    assert result.localization == {
        "boxes": pytest.approx(1 / 3),
        "mean_activation": pytest.approx(2 / 3),
    }


def test_mean_activation_behind_a_crop_is_left_out():
    model = ELoPE(
        tiny.backbone(), 3, image_size=tiny.SIZE, tap=8, threshold=0.7
    )
    arguments = {"image_size": tiny.SIZE, "threshold": 0.7}
    off = evaluation.evaluate(model, DATA, **arguments)
    assert set(off.localization) == {"boxes", "mean_activation", "heatmap"}
    model.localizer.enable()
    on = evaluation.evaluate(model, DATA, **arguments)
    assert set(on.localization) == {"boxes", "heatmap"}
    images = DATA.subset("test").images
    boxes = model.predict(images, verbose=0)["boxes"]
    iou = ops.box_iou(boxes, DATA.subset("test").boxes[:, None])
    assert on.localization["boxes"] == np.mean(np.array(iou) >= 0.5)


def test_unknown_split():
    with pytest.raises(ValueError, match="`split` must be one of 'train'"):
        evaluation.evaluate(None, DATA, "holdout", image_size=8)


def test_best_threshold_is_the_heat_maps_own():
    # At .5 the box is the true one; lower takes in all, higher half of it.
    heatmap = np.full((3, 4, 4), 0.3, "float32")
    heatmap[:, :2, :2] = 0.6
    heatmap[:, 0, 0] = 1.0
    heatmap[:, 3, 3] = 0.0
    truth = np.tile(np.float32([0, 0, 0.5, 0.5]), (3, 1))
    model, images = fixed(spots=heatmap)
    examples = labeled(images, [0, 0, 1], truth, 2)
    found = evaluation.best_threshold(
        model, examples, "test", image_size=8, batch_size=2, heatmap="spots"
    )
    assert 0.3 < found <= 0.35


def test_best_threshold_needs_boxes():
    model, images = fixed(heatmap=np.zeros((2, 4, 4), "float32"))
    with pytest.raises(ValueError, match="fixed has no boxes to choose"):
        evaluation.best_threshold(
            model, labeled(images, [0, 1], None, 2), "test", image_size=8
        )
