"""Localisation metrics against plain loops, on every backend."""

import keras
import numpy as np
import pytest

from keras_fgvc import metrics

BATCH, CLASSES, HEIGHT, WIDTH = 13, 3, 5, 11
NUM_THRESHOLDS, IOU_LEVELS = 17, (0.1, 0.2, 0.4)
NOWHERE = [np.nan] * 4


def random_boxes(generator, shape):
    corners = np.sort(generator.uniform(0, 1, (*shape, 2, 2)), axis=-2)
    return corners.reshape(*shape, 4).astype("float32")


def example(seed):
    """Targets and outputs; the second image has no box."""
    generator = np.random.default_rng(seed)
    boxes = random_boxes(generator, (BATCH,))
    # Near the truth, so that some overlaps pass and some do not.
    predicted = boxes + generator.normal(0, 0.05, boxes.shape)
    boxes[1] = NOWHERE
    probabilities = generator.uniform(0, 1, (BATCH, CLASSES))
    labels = probabilities.argmax(axis=1)
    labels[::4] = (labels[::4] + 1) % CLASSES  # every fourth is wrong
    y_true = {"label": labels, "box": boxes}
    y_pred = {
        "boxes": np.stack([predicted, predicted[::-1]], axis=1),
        "probabilities": probabilities,
        "heatmap": generator.uniform(-3, 5, (BATCH, HEIGHT, WIDTH)),
    }
    return y_true, {k: v.astype("float32") for k, v in y_pred.items()}


def iou(first, second):
    height = min(first[2], second[2]) - max(first[0], second[0])
    width = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(height, 0) * max(width, 0)
    areas = [
        max(box[2] - box[0], 0) * max(box[3] - box[1], 0)
        for box in (first, second)
    ]
    return shared / (sum(areas) - shared)


def tight_box(heatmap, threshold):
    values = (heatmap - heatmap.min()) / (heatmap.max() - heatmap.min())
    rows, columns = np.nonzero(values >= np.float32(threshold))
    return [
        rows.min() / HEIGHT,
        columns.min() / WIDTH,
        (rows.max() + 1) / HEIGHT,
        (columns.max() + 1) / WIDTH,
    ]


def localization_by_loops(y_true, y_pred, weights, threshold, with_label):
    correct = count = 0
    for index, weight in enumerate(weights):
        box = y_true["box"][index]
        if np.isnan(box).any():
            continue
        count += weight
        hit = iou(y_pred["boxes"][index, 0], box) >= threshold
        if with_label:
            best = y_pred["probabilities"][index].argmax()
            hit = hit and best == y_true["label"][index]
        correct += weight * hit
    return correct / count


def max_box_by_loops(y_true, y_pred, weights):
    accuracies = np.zeros((NUM_THRESHOLDS, len(IOU_LEVELS)))
    known = ~np.isnan(y_true["box"]).any(axis=1)
    for row in range(NUM_THRESHOLDS):
        for column, level in enumerate(IOU_LEVELS):
            for index in np.nonzero(known)[0]:
                heatmap = y_pred["heatmap"][index]
                box = tight_box(heatmap, row / NUM_THRESHOLDS)
                hit = iou(box, y_true["box"][index]) >= level
                accuracies[row, column] += weights[index] * hit
    return accuracies / weights[known].sum()


def updated(metric, *batches):
    for batch in batches:
        metric.update_state(*batch)
    return metric


@pytest.mark.parametrize("with_label", [False, True])
@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_localization_against_loops(threshold, with_label):
    y_true, y_pred = example(3)
    metric = metrics.LocalizationAccuracy(threshold, with_label)
    updated(metric, (y_true, y_pred))
    expected = localization_by_loops(
        y_true, y_pred, np.ones(BATCH), threshold, with_label
    )
    assert 0 < expected < 1
    np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(BATCH,), (BATCH, 1)])
def test_localization_weights_images(shape):
    y_true, y_pred = example(5)
    weights = np.arange(BATCH, dtype="float32")
    metric = metrics.LocalizationAccuracy(0.5)
    updated(metric, (y_true, y_pred, weights.reshape(shape)))
    expected = localization_by_loops(y_true, y_pred, weights, 0.5, False)
    unweighted = localization_by_loops(
        y_true, y_pred, np.ones(BATCH), 0.5, False
    )
    assert abs(expected - unweighted) > 0.01
    np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-6)


def test_only_the_first_box_counts():
    y_true = {"box": np.array([[0.0, 0.0, 1.0, 1.0]])}
    right, wrong = [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.1, 0.1]
    for boxes, expected in (([right, wrong], 1.0), ([wrong, right], 0.0)):
        metric = metrics.LocalizationAccuracy()
        metric.update_state(y_true, {"boxes": np.array([boxes])})
        assert float(metric.result()) == expected


def test_max_box_against_loops():
    y_true, y_pred = example(7)
    weights = np.arange(1, BATCH + 1, dtype="float32")
    metric = metrics.MaxBoxAccuracy(NUM_THRESHOLDS, IOU_LEVELS)
    updated(metric, (y_true, y_pred, weights))
    expected = max_box_by_loops(y_true, y_pred, weights)
    accuracies = keras.ops.convert_to_numpy(metric.accuracies())
    np.testing.assert_allclose(accuracies, expected, rtol=1e-5)
    result = expected.max(axis=0).mean()
    assert 0 < result < 1
    assert len(set(expected.argmax(axis=0))) > 1  # each level has its best
    np.testing.assert_allclose(float(metric.result()), result, rtol=1e-5)


def test_best_threshold_separates_object_from_surroundings():
    heatmap = np.zeros((1, 4, 4), "float32")
    heatmap[0, :, :2] = 0.45  # a wider region
    heatmap[0, :2, :2] = 1.0  # the object
    metric = metrics.MaxBoxAccuracy(10, (0.3, 0.7))
    y_true = {"box": np.array([[0.0, 0.0, 0.5, 0.5]])}
    metric.update_state(y_true, {"heatmap": heatmap})
    assert metric.best_threshold() == 0.5
    assert metric.best_threshold(0.7) == 0.5
    # Twice the object's area is an overlap of a half already.
    assert metric.best_threshold(0.3) == 0.1
    with pytest.raises(ValueError, match=r"one of 0\.3, 0\.7\..*=0\.5"):
        metric.best_threshold(0.5)


METRICS = [
    metrics.LocalizationAccuracy(0.4, True, name="mine"),
    metrics.MaxBoxAccuracy(NUM_THRESHOLDS, IOU_LEVELS, name="mine"),
]


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: type(m).__name__)
def test_batches_add_up_and_reset_forgets(metric):
    metric.reset_state()
    first, second = example(11), example(13)
    joined = [
        {key: np.concatenate([a[key], b[key]]) for key in a}
        for a, b in zip(first, second, strict=True)
    ]
    at_once = float(updated(metric, joined).result())
    metric.reset_state()
    assert float(metric.result()) == 0
    in_two = float(updated(metric, first, second).result())
    assert at_once > 0
    np.testing.assert_allclose(in_two, at_once, rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: type(m).__name__)
def test_without_any_box_the_result_is_zero(metric):
    metric.reset_state()
    y_true, y_pred = example(17)
    y_true["box"][:] = np.nan
    assert float(updated(metric, (y_true, y_pred)).result()) == 0


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: type(m).__name__)
def test_config_round_trip(metric):
    assert metric.needs_outputs
    config = keras.saving.serialize_keras_object(metric)
    assert config["registered_name"].startswith("keras_fgvc>")
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == metric.get_config()


def test_default_names():
    localization = metrics.LocalizationAccuracy
    assert localization().name == "localization_accuracy"
    top1 = localization(require_correct_label=True)
    assert top1.name == "top1_localization_accuracy"
    assert metrics.MaxBoxAccuracy().name == "max_box_accuracy"


def test_half_precision_outputs_are_counted_in_float32():
    y_true, y_pred = example(19)
    y_pred = {
        key: keras.ops.cast(value, "bfloat16") for key, value in y_pred.items()
    }
    max_box = metrics.MaxBoxAccuracy(NUM_THRESHOLDS, IOU_LEVELS)
    for metric in (metrics.LocalizationAccuracy(), max_box):
        metric.update_state(y_true, y_pred)
        assert 0 <= float(metric.result()) <= 1
        assert float(metric.count) == BATCH - 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.LocalizationAccuracy(1.5), "iou_threshold.*0 and 1"),
        (lambda: metrics.MaxBoxAccuracy(0), "num_thresholds.*at least 1"),
        (lambda: metrics.MaxBoxAccuracy(2, ()), "at least one number"),
        (lambda: metrics.MaxBoxAccuracy(2, (2,)), "iou_thresholds.*0 and 1"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_missing_keys_are_named():
    y_true, y_pred = example(23)
    metric = metrics.LocalizationAccuracy(require_correct_label=True)
    with pytest.raises(ValueError, match=r"y_true.*'box'.*\['label'\]"):
        metric.update_state({"label": y_true["label"]}, y_pred)
    with pytest.raises(ValueError, match=r"y_pred.*'boxes'.*no dict"):
        metric.update_state(y_true, y_pred["probabilities"])
    with pytest.raises(ValueError, match=r"y_true.*'label'.*\['box'\]"):
        metric.update_state({"box": y_true["box"]}, y_pred)
