"""Metrics for `compile` of how well predicted boxes find the object.

Both read dicts instead of labels and probabilities; the models of this
package hand them over (`needs_outputs` says so):

- `y_true`: `"label"` `(b,)` and `"box"` `(b, 4)`, the object's box. A row of
  NaN is an image without a box; it does not count.
- `y_pred`: the model's outputs. Each metric reads the one that its argument
  `output` names.

Boxes are `[y_min, x_min, y_max, x_max]`, normalised to 0..1.
"""

import keras
import numpy as np
from keras import ops

from keras_fgvc import _checks
from keras_fgvc.ops import box_iou, heatmap_to_box, minmax_normalize

__all__ = ["LocalizationAccuracy", "MaxBoxAccuracy"]


@keras.saving.register_keras_serializable(package="keras_fgvc")
class LocalizationAccuracy(keras.metrics.Metric):
    """Share of images whose first predicted box is on the object.

    A box is right if its intersection over union with the object's is at
    least `iou_threshold`. With `require_correct_label=True` the class must
    be right as well (the "top-1 localisation" of weakly supervised
    localisation; without it, "GT-known").

    Args:
        iou_threshold: number in 0..1. Defaults to 0.5.
        require_correct_label: whether a wrong class makes the box wrong.
        name: name of the metric. Defaults to `"localization_accuracy"`, with
            `"top1_"` in front where the label is required.
        dtype: dtype of the result.
        output: name of the output that holds the boxes. Defaults to
            `"boxes"`.

    Call arguments:
        y_true: dict with `"box"` `(b, 4)`, and `"label"` `(b,)` if required.
        y_pred: dict with boxes `(b, n, 4)` under the name `output`, of which
            the first counts, and `"probabilities"` `(b, classes)` if the
            label is required.
        sample_weight: optional, `(b,)`.

    Raises:
        ValueError: if an argument is out of range or a key is missing.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.metrics import LocalizationAccuracy

    metric = LocalizationAccuracy()
    truth = {"box": np.array([[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]])}
    boxes = np.array([[[0.0, 0.0, 0.5, 0.4]], [[0.0, 0.0, 0.1, 0.1]]])
    metric.update_state(truth, {"boxes": boxes})
    assert float(metric.result()) == 0.5
    ```
    """

    needs_outputs = True

    def __init__(
        self,
        iou_threshold=0.5,
        require_correct_label=False,
        name=None,
        dtype=None,
        *,
        output="boxes",
    ):
        _checks.check_in_range("iou_threshold", iou_threshold, 0, 1)
        prefix = "top1_" if require_correct_label else ""
        super().__init__(
            name=name or f"{prefix}localization_accuracy", dtype=dtype
        )
        self.iou_threshold = iou_threshold
        self.require_correct_label = require_correct_label
        self.output = output
        self.correct = self.add_variable((), "zeros", name="correct")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        truth, weight = _boxes_and_weight(y_true, sample_weight)
        boxes = ops.cast(_entry(y_pred, self.output, "y_pred"), "float32")
        overlap = box_iou(boxes[:, :1], truth)[:, 0, 0]
        correct = ops.cast(overlap >= self.iou_threshold, "float32")
        if self.require_correct_label:
            correct = correct * _label_is_correct(y_true, y_pred)
        self.correct.assign_add(ops.sum(correct * weight))
        self.count.assign_add(ops.sum(weight))

    def result(self):
        return ops.divide_no_nan(
            ops.convert_to_tensor(self.correct),
            ops.convert_to_tensor(self.count),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "iou_threshold": self.iou_threshold,
            "require_correct_label": self.require_correct_label,
            "output": self.output,
        }


@keras.saving.register_keras_serializable(package="keras_fgvc")
class MaxBoxAccuracy(keras.metrics.Metric):
    """Localisation accuracy of a heat map at its best threshold.

    A heat map gives a box only once it is cut at some threshold, and the best
    one differs between methods. So the accuracy is counted at every threshold
    `t = 0, 1/n, 2/n, ...` and the best is taken:

        mean over d of max over t of accuracy(IoU >= d, map >= t)

    for `iou_thresholds` d: MaxBoxAccV2 of Choe et al., "Evaluating Weakly
    Supervised Object Localization Methods Right", CVPR 2020,
    https://arxiv.org/abs/2001.07437. Each map is stretched to 0..1 first.

    One box is compared for each threshold: the tight one around all cells
    that reach it. The paper takes the largest connected component alone, and
    its code's second version the best of all components; a map with specks
    far from the object scores lower here.

    Args:
        num_thresholds: number of thresholds n. Defaults to 100 (the paper's
            code: 1000).
        iou_thresholds: the overlaps d. Defaults to (0.3, 0.5, 0.7).
        name: name of the metric. Defaults to `"max_box_accuracy"`.
        dtype: dtype of the result.
        output: name of the output that is the map. Defaults to `"heatmap"`.

    Call arguments:
        y_true: dict with `"box"` `(b, 4)`.
        y_pred: dict with a map `(b, height, width)` under the name `output`.
        sample_weight: optional, `(b,)`.

    Raises:
        ValueError: if an argument is out of range or a key is missing.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.metrics import MaxBoxAccuracy

    heatmap = np.zeros((1, 4, 4), "float32")
    heatmap[0, :2, :2] = 0.6
    heatmap[0, 0, 0] = 1.0
    metric = MaxBoxAccuracy(num_thresholds=10)
    truth = {"box": np.array([[0.0, 0.0, 0.5, 0.5]])}
    metric.update_state(truth, {"heatmap": heatmap})
    assert float(metric.result()) == 1.0
    assert 0 < metric.best_threshold() <= 0.6
    ```
    """

    needs_outputs = True

    def __init__(
        self,
        num_thresholds=100,
        iou_thresholds=(0.3, 0.5, 0.7),
        name=None,
        dtype=None,
        *,
        output="heatmap",
    ):
        _checks.check_positive_int("num_thresholds", num_thresholds)
        if not iou_thresholds:
            raise ValueError(
                "`iou_thresholds` must hold at least one number. "
                f"Received: iou_thresholds={iou_thresholds}."
            )
        for threshold in iou_thresholds:
            _checks.check_in_range("iou_thresholds", threshold, 0, 1)
        super().__init__(name=name or "max_box_accuracy", dtype=dtype)
        self.num_thresholds = num_thresholds
        self.iou_thresholds = tuple(iou_thresholds)
        self.output = output
        shape = (num_thresholds, len(self.iou_thresholds))
        self.correct = self.add_variable(shape, "zeros", name="correct")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        truth, weight = _boxes_and_weight(y_true, sample_weight)
        heatmap = ops.cast(_entry(y_pred, self.output, "y_pred"), "float32")
        boxes = _boxes_at(minmax_normalize(heatmap), self._thresholds())
        overlap = box_iou(boxes, truth)  # (b, thresholds, 1)
        levels = ops.convert_to_tensor(self.iou_thresholds, "float32")
        correct = ops.cast(overlap >= levels, "float32")
        self.correct.assign_add(ops.einsum("btd,b->td", correct, weight))
        self.count.assign_add(ops.sum(weight))

    def accuracies(self):
        """The accuracy at each heat-map and IoU threshold, as a tensor.

        Returns:
            Tensor of shape `(num_thresholds, len(iou_thresholds))`.
        """
        return ops.divide_no_nan(
            ops.convert_to_tensor(self.correct),
            ops.convert_to_tensor(self.count),
        )

    def result(self):
        return ops.mean(ops.max(self.accuracies(), axis=0))

    def best_threshold(self, iou_threshold: float | None = None) -> float:
        """The heat-map threshold to localise with.

        Args:
            iou_threshold: one of `iou_thresholds`. Defaults to their mean.

        Returns:
            The lowest threshold of the highest accuracy, a Python float.

        Raises:
            ValueError: if `iou_threshold` is not one of `iou_thresholds`.
        """
        accuracies = ops.convert_to_numpy(self.accuracies())
        if iou_threshold is None:
            accuracies = accuracies.mean(axis=1)
        else:
            _checks.check_choice(
                "iou_threshold", iou_threshold, self.iou_thresholds
            )
            accuracies = accuracies[:, self.iou_thresholds.index(iou_threshold)]
        return float(self._thresholds()[accuracies.argmax()])

    def _thresholds(self):
        return np.arange(self.num_thresholds) / self.num_thresholds

    def get_config(self):
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "iou_thresholds": self.iou_thresholds,
            "output": self.output,
        }


def _entry(dictionary, key: str, argument: str):
    """The value of `key`, or an error that says which are there."""
    if not isinstance(dictionary, dict) or key not in dictionary:
        keys = list(dictionary) if isinstance(dictionary, dict) else "no dict"
        raise ValueError(
            f"`{argument}` must be a dict with the key {key!r}. "
            f"Received: {keys}."
        )
    return dictionary[key]


def _boxes_and_weight(y_true, sample_weight):
    """(b, 1, 4) boxes and (b,) weights; 0 for an image without a box."""
    boxes = ops.cast(_entry(y_true, "box", "y_true"), "float32")
    known = ops.logical_not(ops.any(ops.isnan(boxes), axis=-1))
    weight = ops.cast(known, "float32")
    if sample_weight is not None:
        weight = weight * ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
    # NaN times a weight of 0 would still be NaN.
    boxes = ops.where(ops.expand_dims(known, -1), boxes, 0.0)
    return ops.expand_dims(boxes, 1), weight


def _label_is_correct(y_true, y_pred):
    labels = ops.cast(_entry(y_true, "label", "y_true"), "int32")
    predicted = ops.argmax(_entry(y_pred, "probabilities", "y_pred"), axis=-1)
    hits = ops.reshape(labels, (-1,)) == ops.cast(predicted, "int32")
    return ops.cast(hits, "float32")


def _boxes_at(heatmap, thresholds):
    """Tight boxes of (b, h, w) maps at each of t thresholds: (b, t, 4).

    A box depends on the highest value of each row and column only, so that
    the maps need not be repeated for every threshold.
    """
    rows = ops.max(heatmap, axis=2, keepdims=True)  # (b, h, 1)
    columns = ops.max(heatmap, axis=1, keepdims=True)  # (b, 1, w)
    vertical = _profile_boxes(rows, thresholds)
    horizontal = _profile_boxes(columns, thresholds)
    vertical_sides = ops.convert_to_tensor([True, False, True, False])
    return ops.where(vertical_sides, vertical, horizontal)


def _profile_boxes(profile, thresholds):
    levels = ops.convert_to_tensor(thresholds.reshape(-1, 1, 1), "float32")
    inside = ops.cast(ops.expand_dims(profile, 1) >= levels, "float32")
    height, width = ops.shape(profile)[1:]
    inside = ops.reshape(inside, (-1, height, width))  # (b * t, h, w)
    boxes = heatmap_to_box(inside, 0.5)
    return ops.reshape(boxes, (-1, len(thresholds), 4))
