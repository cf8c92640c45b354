"""The gate of a model: what may pass as targets and weights, and how.

Labels are read on the host, before Keras has them: arrays whole, data that
come in batches batch by batch. What is wrong is refused in one sentence, and
`class_weight` becomes a weight of each image, also where targets are a dict.
"""

import math
import numbers

import keras
import numpy as np

from keras_fgvc._checks import check_labels
from keras_fgvc.models._targets import (
    assert_labels,
    label_entry,
    labels_of,
    weights_of,
)


class TargetGate:
    """Checks targets and weighs them by class.

    Args:
        num_classes: Integer, the number of classes.
        class_weight: Dict from class number to weight; 1 for any other class.
            Defaults to `None`: no weights.

    Raises:
        ValueError: If `class_weight` is something else.
    """

    def __init__(self, num_classes: int, class_weight=None):
        self.num_classes = num_classes
        self.weights = _weights_by_class(class_weight, num_classes)

    def arrays(self, x, y, sample_weight=None) -> tuple:
        """Returns targets and weights of arrays, which are read whole.

        Raises:
            ValueError: If they cannot be those of `x`.
        """
        y = _without_lists(y)
        sample_weight = weights_of(_only_for_images(sample_weight))
        labels = _as_numpy(label_entry(y))
        if labels is None:  # inside somebody's compiled function
            return y, self._weigh_in_graph(labels_of(y), sample_weight)
        check_labels(labels, self.num_classes)
        _check_counts(x, y, sample_weight)
        if labels.ndim == 2:
            y = _with_labels(y, labels[:, 0])
        if self.weights is not None:
            _check_alone(sample_weight)
            sample_weight = self.weights[labels.reshape(-1).astype("int32")]
        elif len(getattr(sample_weight, "shape", ())) == 2:
            sample_weight = sample_weight[:, 0]
        return y, sample_weight

    def check_loss(self, loss) -> None:
        """Raises if a loss is NaN, of labels that could not be read."""
        if not np.isnan(loss):
            return
        raise ValueError(
            f"Labels must be integers from 0 to {self.num_classes - 1} "
            f"(num_classes={self.num_classes}). Received: a loss of nan, from "
            "data whose labels cannot be read before. Check them; if they are "
            "right, train with a smaller learning rate."
        )

    def batch(self, batch) -> tuple:
        """Returns a batch as Keras takes it, with its targets checked."""
        x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
        y, weights = self.arrays(x, y, weights)
        return keras.utils.pack_x_y_sample_weight(x, y, weights)

    def batch_in_graph(self, *batch) -> tuple:
        """Does the same in the graph of a `tf.data` pipeline."""
        import tensorflow as tf

        x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
        weights = weights_of(_only_for_images(weights))
        labels = labels_of(y)
        with tf.control_dependencies([assert_labels(labels, self.num_classes)]):
            labels = tf.identity(labels)
        y = _with_labels(y, labels)
        if self.weights is not None:
            _check_alone(weights)
            weights = tf.gather(self.weights, tf.cast(labels, "int32"))
        return keras.utils.pack_x_y_sample_weight(x, y, weights)

    def _weigh_in_graph(self, labels, sample_weight):
        if self.weights is None:
            return sample_weight
        _check_alone(sample_weight)
        return keras.ops.take(self.weights, keras.ops.cast(labels, "int32"))


def without_split(given: dict) -> dict:
    """Returns the arguments of `fit` with `validation_split` carried out.

    Where classes are weighed, because Keras would keep the weights of those
    images that it holds out, too.
    """
    share = given.get("validation_split")
    weighed = given.get("class_weight") is not None
    if not share or not weighed or given.get("validation_data") is not None:
        return given
    parts = [_without_lists(given.get(n)) for n in ("x", "y", "sample_weight")]
    cut = math.floor(_counts(parts[0])[0] * (1 - share))
    train = _sliced(parts, slice(None, cut))
    held_out = _sliced(parts, slice(cut, None))
    return {
        **given,
        **dict(zip(("x", "y", "sample_weight"), train, strict=True)),
        "validation_data": tuple(held_out),
        "validation_split": 0.0,
    }


def _sliced(parts, part):
    return [
        None if v is None else keras.tree.map_structure(lambda a: a[part], v)
        for v in parts
    ]


def _weights_by_class(class_weight, num_classes):
    if class_weight is None:
        return None
    if not isinstance(class_weight, dict):
        raise ValueError(
            "`class_weight` must be a dict from class number to weight, such "
            f"as {{0: 1.0, 1: 2.0}}. Received: class_weight={class_weight!r}."
        )
    weights = np.ones(num_classes, "float32")
    for label, weight in class_weight.items():
        if label not in range(num_classes):
            raise ValueError(
                "`class_weight` must have class numbers from 0 to "
                f"{num_classes - 1} as its keys. Received: {label!r}."
            )
        is_number = isinstance(weight, numbers.Real)
        if not is_number or not 0 <= weight < float("inf"):
            raise ValueError(
                "`class_weight` must have finite numbers from 0 on as its "
                f"values. Received: {weight!r} for class {label}."
            )
        weights[int(label)] = weight
    return weights


def _without_lists(targets):
    """Returns targets with labels that are a list of numbers as an array."""
    if isinstance(targets, dict):
        label = targets.get("label")
        if isinstance(label, (list, tuple)):
            return {**targets, "label": np.asarray(label)}
        return targets
    if not isinstance(targets, (list, tuple)) or not targets:
        return targets
    if any(len(getattr(each, "shape", ())) for each in targets):
        return targets  # arrays: one for each output
    return np.asarray(targets)


def _with_labels(targets, labels):
    """Returns targets with other labels: no column, where a row will do.

    TensorFlow would trace a step for both, and forget the rank of either.
    """
    if isinstance(targets, dict):
        return {**targets, "label": labels}
    return labels


def _only_for_images(sample_weight):
    """Refuses weights of other targets than the labels, which weigh nothing."""
    if isinstance(sample_weight, dict) and set(sample_weight) - {"label"}:
        keys = ", ".join(map(repr, sample_weight))
        raise ValueError(
            "`sample_weight` must be one weight per image, of shape (batch,), "
            f"or a dict with the key 'label' alone. Received: a dict with "
            f"{keys}."
        )
    return sample_weight


def _as_numpy(values):
    """Returns an array, or None for values that cannot be read yet."""
    if hasattr(values, "detach"):  # of PyTorch
        values = values.detach().cpu()
    try:
        return np.asarray(values)
    except (TypeError, NotImplementedError, RuntimeError):
        return None


def _check_counts(x, y, sample_weight):
    images = _counts(x)
    if images and not images[0]:
        raise ValueError(
            "Targets must be of one image at least. Received: no images."
        )
    weights = _as_numpy(sample_weight)
    if weights is not None and weights.dtype.kind == "f":
        wrong = weights[~np.isfinite(weights)]
        if wrong.size:
            raise ValueError(
                "`sample_weight` must be finite numbers. Received: "
                f"{wrong[0]} and {wrong.size - 1} more such."
            )
    for name, values in (("Targets", y), ("`sample_weight`", sample_weight)):
        for count in _counts(values):
            if images and count != images[0]:
                raise ValueError(
                    f"{name} must be one per image. Received: {count} for "
                    f"{images[0]} images."
                )


def _counts(values):
    """Returns the length of each array in a structure."""
    shapes = [getattr(v, "shape", ()) for v in keras.tree.flatten(values)]
    return [int(shape[0]) for shape in shapes if len(shape)]


def _check_alone(sample_weight):
    if sample_weight is not None:
        raise ValueError(
            "`class_weight` must not be given together with `sample_weight`. "
            "Received: both. Multiply the weights of the images by those of "
            "their classes, and give `sample_weight` alone."
        )
