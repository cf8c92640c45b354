import json
import math

import numpy as np
import pytest

from keras_fgvc import evaluation
from keras_fgvc.evaluation import Evaluation, Predictions
from keras_fgvc.models.outputs import MapOf, ObjectBox
from tests.evaluation.fixed import fixed, labeled


def random_answers(count=37, classes=11, used=10, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), size=count)
    return probabilities.astype("float32"), rng.integers(0, used, count)


def test_accuracy_against_a_plain_loop():
    probabilities, labels = random_answers()  # class 10 has no image
    model, images = fixed(probabilities=probabilities)
    result = evaluation.evaluate(
        model, labeled(images, labels, None, 11), load_size=8, batch_size=5
    )
    top1 = top5 = 0
    right = {c: [] for c in range(11)}
    for row, label in zip(probabilities, labels, strict=True):
        order = sorted(range(11), key=lambda c, row=row: -row[c])
        top1 += order[0] == label
        top5 += label in order[:5]
        right[label].append(order[0] == label)
    assert result.images == 37
    assert result.top1 == pytest.approx(top1 / 37)
    assert result.top5 == pytest.approx(top5 / 37)
    shares = [sum(right[c]) / len(right[c]) for c in range(10)]
    for c in range(10):
        assert result.per_class[f"class {c}"] == pytest.approx(shares[c])
    assert np.isnan(result.per_class["class 10"])
    assert result.mean_per_class == pytest.approx(sum(shares) / 10)
    assert result.localization == {}


def test_mean_per_class_weighs_classes_alike():
    # Nine of ten images of one class right, one of two of the other.
    labels = np.array([0] * 10 + [1] * 2)
    named = np.array([0] * 9 + [1] + [1, 0])
    rows = np.eye(3)[named]
    found = Predictions(labels, rows, ("a", "b", "empty"))
    result = evaluation.evaluate_predictions(found)
    assert result.top1 == pytest.approx(10 / 12)
    assert result.mean_per_class == pytest.approx((0.9 + 0.5) / 2)


def f1_by_loops(labels, predicted):
    scores = []
    for c in set(labels) | set(predicted):
        pairs = [
            (t == c, p == c) for t, p in zip(labels, predicted, strict=True)
        ]
        right = pairs.count((True, True))
        wrong = pairs.count((True, False)) + pairs.count((False, True))
        scores.append(2 * right / (2 * right + wrong))
    return sum(scores) / len(scores)


def test_macro_f1_against_loops():
    probabilities, labels = random_answers(used=7)
    predicted = probabilities.argmax(axis=1)
    assert set(predicted) - set(labels)  # a class of no image is predicted
    expected = f1_by_loops(labels.tolist(), predicted.tolist())
    assert 0 < expected < 1
    found = Predictions(labels, probabilities, tuple("abcdefghijk"))
    result = evaluation.evaluate_predictions(found)
    assert result.macro_f1 == pytest.approx(expected)
    assert evaluation.macro_f1(labels, predicted) == pytest.approx(expected)
    metrics = pytest.importorskip("sklearn.metrics")
    assert result.macro_f1 == pytest.approx(
        metrics.f1_score(labels, predicted, average="macro")
    )


def test_macro_f1_of_few_images():
    assert evaluation.macro_f1([0, 1, 5], [0, 1, 5]) == 1
    assert evaluation.macro_f1([0, 0], [1, 1]) == 0
    # All named the common class: 9 of 10 are right, F1 is 18 / 19 and 0.
    share = evaluation.macro_f1([0] * 9 + [1], [0] * 10)
    assert share == pytest.approx(9 / 19)
    with pytest.raises(ValueError, match=r"one length.*\(2,\) and \(3,\)"):
        evaluation.macro_f1([0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match="not empty"):
        evaluation.macro_f1([], [])


def test_probabilities_are_judged_too():
    probabilities, labels = random_answers()
    found = Predictions(labels, probabilities, tuple("abcdefghijk"))
    result = evaluation.evaluate_predictions(found)
    confidences = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    for bins, value in (
        ("equal_width", result.calibration_error),
        ("equal_mass", result.equal_mass_calibration_error),
    ):
        assert value == pytest.approx(
            evaluation.calibration_error(confidences, right, bins=bins)
        )
    own = probabilities[np.arange(37), labels]
    assert result.negative_log_likelihood == pytest.approx(-np.log(own).mean())


def test_model_that_knows_nothing_has_nothing_right():
    found = Predictions([0, 1, 2], np.full((3, 3), 1 / 3), ("a", "b", "c"))
    result = evaluation.evaluate_predictions(found)
    assert (result.top1, result.top5, result.macro_f1) == (0, 1, 0)
    assert result.calibration_error == pytest.approx(1 / 3)


def test_order_of_the_images_does_not_matter():
    probabilities, labels = random_answers()
    names = tuple("abcdefghijk")
    order = np.random.default_rng(1).permutation(37)
    first, second = (
        evaluation.evaluate_predictions(Predictions(*arrays, names)).as_dict()
        for arrays in (
            (labels, probabilities),
            (labels[order], probabilities[order]),
        )
    )
    assert list(first) == list(second)
    for name in first:
        if name != "localization":
            assert first[name] == pytest.approx(second[name], nan_ok=True)


def test_localization_by_each_output():
    probabilities = np.tile(np.float32([0.9, 0.1]), (3, 1))
    heatmap = np.zeros((3, 4, 4), "float32")
    heatmap[:, :2, :2] = 1  # the box [0, 0, .5, .5]
    truth = np.float32([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.7], [0, 0, 1, 1]])
    whole = np.tile(np.float32([0, 0, 1, 1]), (3, 1, 1))
    model, images = fixed(
        {"boxes": ObjectBox(), "spots": MapOf("image")},
        probabilities=probabilities,
        spots=heatmap,
        boxes=whole,
    )
    result = evaluation.evaluate(
        model, labeled(images, [0, 0, 1], truth, 2), load_size=8
    )
    # IoU of the heat map's box: 1, 5/7, 1/4; of the whole image: 1/4, .35, 1.
    assert result.localization == {
        "boxes": pytest.approx(1 / 3),
        "spots": pytest.approx(2 / 3),
    }
    assert "IoU >= 0.5 by boxes 33.3 %" in str(result)


def test_images_without_a_true_box_do_not_count():
    boxes = np.tile([0, 0, 1, 1], (3, 1))
    truth = np.array([[0, 0, 1, 1], [np.nan] * 4, [0, 0, 0.1, 0.1]])
    found = Predictions(
        [0, 0, 0], np.tile([1, 0], (3, 1)), ("a", "b"), {"boxes": boxes}, truth
    )
    result = evaluation.evaluate_predictions(found)
    assert result.localization == {"boxes": 0.5}
    nowhere = Predictions(
        [0], [[1, 0]], ("a", "b"), {"boxes": boxes[:1]}, truth[1:2]
    )
    result = evaluation.evaluate_predictions(nowhere)
    assert math.isnan(result.localization["boxes"])


def test_figures_in_words_and_as_json():
    found = Predictions([0, 0], [[0.8, 0.2], [0.4, 0.6]], ("a", "b"))
    result = evaluation.evaluate_predictions(found)
    assert str(result) == (
        "2 images, top-1 50.00 %, top-5 100.00 %, mean per class 50.00 %, "
        "macro F1 33.33 %, negative log likelihood 0.570, "
        "calibration error 40.0 %"
    )
    text = json.dumps(result.as_dict(), allow_nan=False)
    assert json.loads(text)["per_class"] == {"a": 0.5, "b": None}
    assert json.loads(text)["calibration_error"] == pytest.approx(0.4)


def test_older_figures_can_be_read():
    result = Evaluation(
        images=4, top1=0.5, top5=1.0, per_class={"a": 0.5}, localization={}
    )
    assert str(result) == "4 images, top-1 50.00 %, top-5 100.00 %"
