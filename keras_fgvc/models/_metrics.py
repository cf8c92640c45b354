"""Feeds metrics with class numbers or one-hot rows, as each reads.

Labels are class numbers. Of Keras's metrics and losses those with "sparse" in
their name read them so; all others compare a row of the targets with a row of
the probabilities, and would silently compare a number with a row.
"""

import functools
import inspect

import keras
from keras import ops

from keras_fgvc.ops._labels import class_numbers

# Keras chooses the sparse one for labels.
CHOSEN_BY_KERAS = ("accuracy", "acc")
# Keras's own that say nothing of what they compare.
BASES = ("Metric", "MeanMetricWrapper", "Loss", "LossFunctionWrapper")


class MetricList:
    """A list of metrics for `compile`, each fed with what it reads.

    Args:
        name: Name of the argument of `compile`, for errors.
        metrics: List of what `keras.Model.compile` takes, or `None`.
        num_classes: Integer, the number of classes.

    Attributes:
        of_outputs: The metrics that read the dicts of targets and outputs.
        of_labels: The others, for Keras; `None` if there are none.

    Raises:
        ValueError: If `metrics` is no list, or one of them cannot compare
            labels with probabilities.
    """

    def __init__(self, name: str, metrics, num_classes: int):
        if not isinstance(metrics, (list, tuple, type(None))):
            raise ValueError(
                f'`{name}` must be a list, such as ["accuracy"]. '
                f"Received: {name}={metrics!r}."
            )
        self.given = list(metrics or ())
        self.of_outputs, of_labels = [], []
        for metric in self.given:
            if getattr(metric, "needs_outputs", False):
                self.of_outputs.append(metric)
            else:
                of_labels.append(_fed(metric, num_classes))
        self.of_labels = of_labels or None

    def serialize(self) -> list:
        """Returns the metrics as a saved file holds them."""
        return [keras.saving.serialize_keras_object(m) for m in self.given]


def _fed(given, num_classes):
    if isinstance(given, (list, tuple)):
        return [_fed(each, num_classes) for each in given]
    if given is None or str(given).lower() in CHOSEN_BY_KERAS:
        return given
    metric = keras.metrics.get(given)
    _check_compares(metric)
    if not reads_one_hot(metric):
        return given
    if not isinstance(metric, keras.metrics.Metric):
        name = getattr(metric, "name", None) or metric.__name__
        metric = keras.metrics.MeanMetricWrapper(metric, name=name)
    name = given if isinstance(given, str) else metric.name
    return OneHotMetric(metric, num_classes, name=name)


def reads_one_hot(metric) -> bool:
    """Returns whether a metric or function compares rows with rows.

    Its attribute `needs_one_hot` says so; without one, its name does if it is
    of Keras. Any other reads class numbers.
    """
    if hasattr(metric, "needs_one_hot"):
        return bool(metric.needs_one_hot)
    if isinstance(metric, functools.partial):
        return reads_one_hot(metric.func)
    name = _keras_name(metric)
    if name == "MeanMetricWrapper":
        return reads_one_hot(metric._fn)
    if name in ("IoU", "MeanIoU"):
        return not metric.sparse_y_true
    return name is not None and name not in BASES and "sparse" not in name


def _keras_name(metric):
    """Returns the name that Keras has for it or for what it inherits from."""
    kinds = [metric] if inspect.isfunction(metric) else type(metric).__mro__
    for kind in kinds:
        if kind.__module__.split(".")[0] == "keras":
            is_sparse = "sparse" in kind.__name__.lower()
            return "sparse" if is_sparse else kind.__name__
    return None


def _check_compares(metric):
    name = type(metric).__name__
    is_plain = type(metric).__module__.split(".")[0] == "keras"
    if is_plain and name in ("Accuracy", "Mean", "Sum"):
        raise ValueError(
            "`metrics` must compare labels with probabilities. Received: "
            f'keras.metrics.{name}, which does not. Give "accuracy".'
        )
    if getattr(metric, "sparse_y_pred", False) and name in ("IoU", "MeanIoU"):
        raise ValueError(
            "`metrics` must compare labels with probabilities. Received: "
            f"keras.metrics.{name} for predictions that are class numbers. "
            "Construct it with sparse_y_pred=False."
        )


class OneHotMetric(keras.metrics.Metric):
    """Feeds a metric with one-hot rows of the labels.

    Args:
        metric: The `keras.metrics.Metric`, which keeps the state.
        num_classes: Integer, the number of classes.
        name: Name of the metric. Defaults to that of `metric`.
    """

    def __init__(self, metric, num_classes: int, name=None):
        super().__init__(name=name or metric.name)
        self.metric = metric
        self.num_classes = num_classes
        if hasattr(metric, "_direction"):  # for callbacks: more is better
            self._direction = metric._direction

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels = class_numbers(y_true, self.num_classes)
        rows = ops.one_hot(labels, self.num_classes, dtype="float32")
        # A copy: TensorFlow's binary cross-entropy would find the logits that
        # Keras keeps at the tensor, and take them for those of a sigmoid.
        self.metric.update_state(rows, ops.copy(y_pred), sample_weight)

    def result(self):
        return self.metric.result()

    def reset_state(self):
        self.metric.reset_state()

    def get_config(self):
        return {
            "name": self.name,
            "metric": keras.saving.serialize_keras_object(self.metric),
            "num_classes": self.num_classes,
        }
