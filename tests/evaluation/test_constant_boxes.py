import json

import numpy as np
import pytest

from keras_fgvc import data, evaluation
from keras_fgvc.evaluation import (
    Predictions,
    best_centered_box,
    constant_boxes,
    evaluate_predictions,
    tabulate,
)
from keras_fgvc.models.outputs import ObjectBox
from tests.evaluation.fixed import fixed

NAN = [np.nan] * 4
CENTERED, MEAN = "fixed centred box (validation)", "fixed mean box (train)"


def random_boxes(count, seed=0):
    """Around the middle, higher than wide."""
    rng = np.random.default_rng(seed)
    center = rng.uniform(0.4, 0.6, (count, 2))
    half = rng.uniform([0.2, 0.1], [0.4, 0.3], (count, 2))
    boxes = np.concatenate([center - half, center + half], axis=1)
    return boxes.astype("float32")


def iou(first, second):
    height = min(first[2], second[2]) - max(first[0], second[0])
    width = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(height, 0) * max(width, 0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)]
    return shared / (sum(areas) - shared)


def share(boxes, box, threshold=0.5):
    return np.mean([iou(each, box) >= threshold for each in boxes])


@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_no_centred_box_of_the_grid_finds_more(threshold):
    boxes = random_boxes(37)
    best, best_key = None, (-1, -1)
    for height in range(30, 101, 5):
        for width in range(30, 101, 5):
            h, w = height / 200, width / 200
            box = [0.5 - h, 0.5 - w, 0.5 + h, 0.5 + w]
            overlaps = [iou(each, box) for each in boxes]
            key = np.mean(np.array(overlaps) >= threshold), np.mean(overlaps)
            if key > best_key:
                best, best_key = box, key
    found = best_centered_box([*boxes, NAN], iou_threshold=threshold)
    np.testing.assert_allclose(found, best, atol=1e-6)
    assert found.dtype == np.float32


def labeled(**boxes):
    """A data set of one image per box."""
    splits = {}
    for name, own in boxes.items():
        count = 5 if own is None else len(own)
        images = np.zeros((count, 8, 8, 3), "uint8")
        images[:] = np.arange(count)[:, None, None, None]
        splits[name] = data.Examples(
            np.zeros(count, "int32"), images=images, boxes=own
        )
    return data.LabeledImages("boxes", ("a", "b"), splits)


def test_which_images_are_asked():
    train, other = random_boxes(11), random_boxes(7, seed=1)
    holes = np.concatenate([train, [NAN]])
    found = constant_boxes(labeled(train=holes, validation=other, test=train))
    assert list(found) == [CENTERED, MEAN]
    np.testing.assert_array_equal(found[CENTERED], best_centered_box(other))
    np.testing.assert_allclose(found[MEAN], train.mean(axis=0), rtol=1e-6)
    # Without validation boxes the training images', and never the test's.
    for validation in ({}, {"validation": None}):
        found = constant_boxes(labeled(train=train, test=other, **validation))
        assert list(found) == ["fixed centred box (train)", MEAN]
        np.testing.assert_array_equal(
            found["fixed centred box (train)"], best_centered_box(train)
        )
    assert list(constant_boxes(labeled(validation=other))) == [CENTERED]
    assert constant_boxes(labeled(test=other)) == {}
    nowhere = np.full((3, 4), np.nan, "float32")
    assert constant_boxes(labeled(train=None, validation=nowhere)) == {}
    parts = np.zeros((3, 2, 4), "float32")
    assert constant_boxes(labeled(train=parts)) == {}


def predicted(outputs, **splits):
    meanings = {"boxes": ObjectBox()} if "boxes" in outputs else {}
    model, _ = fixed(meanings, **outputs)
    return evaluation.predict(model, labeled(**splits), load_size=8)


def test_the_share_of_each_stands_beside_the_models_own(tmp_path):
    test, validation = random_boxes(13, seed=2), random_boxes(7, seed=1)
    outputs = {
        "probabilities": np.tile(np.float32([0.9, 0.1]), (13, 1)),
        "boxes": np.tile(np.float32([0, 0, 1, 1]), (13, 1, 1)),
    }
    splits = {"train": random_boxes(11), "validation": validation}
    found = predicted(outputs, test=test, **splits)
    found.save(tmp_path / "found.npz")
    again = Predictions.load(tmp_path / "found.npz")
    expected = {
        name: pytest.approx(share(test, box))
        for name, box in constant_boxes(labeled(**splits)).items()
    }
    assert list(expected) == [CENTERED, MEAN]
    for each in (found, again):
        result = evaluate_predictions(each)
        assert result.constant_localization == expected
        assert list(result.localization) == ["boxes"]
        percent = 100 * result.constant_localization[CENTERED]
        assert f"IoU >= 0.5 by {CENTERED} {percent:.1f} %" in str(result)
        assert (
            json.loads(json.dumps(result.as_dict()))["constant_localization"]
            == result.constant_localization
        )
    table = tabulate({"plain": [found, again]})
    head = str(table).splitlines()[0]
    assert head.endswith(f"by {CENTERED} % | IoU >= 0.5 by {MEAN} % |")
    mean, _ = table.rows["plain"].figures[f"localization.{CENTERED}"]
    assert mean == expected[CENTERED]


def test_nothing_is_shown_where_there_is_nothing_to_compare():
    """No box by the model, or no true box."""
    row = np.tile(np.float32([0.9, 0.1]), (5, 1))
    whole = np.tile(np.float32([0, 0, 1, 1]), (5, 1, 1))
    boxes = random_boxes(5)
    for outputs, test in (
        ({"probabilities": row}, boxes),
        ({"probabilities": row, "boxes": whole}, None),
    ):
        result = evaluate_predictions(
            predicted(outputs, train=boxes, test=test)
        )
        assert result.constant_localization == {}
        assert "fixed" not in str(result)


def test_errors():
    with pytest.raises(ValueError, match="2 rows, none of them finite"):
        best_centered_box([NAN, NAN])
    with pytest.raises(ValueError, match=r"shape \(None, 4\), \(images, 4\)"):
        best_centered_box([[0, 0, 1]])
    with pytest.raises(ValueError, match="`iou_threshold` must be between"):
        best_centered_box([[0, 0, 1, 1]], iou_threshold=2)
    with pytest.raises(ValueError, match=r"constant_boxes\['x'\]"):
        Predictions([0], [[1, 0]], ("a", "b"), constant_boxes={"x": [0, 1]})
