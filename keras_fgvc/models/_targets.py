"""The labels and weights of a batch, and means over its images."""

import keras
import numpy as np
from keras import ops

from keras_fgvc._checks import check_label_shape

NO_LABELS = (
    "Targets must be integer labels of shape (batch,), or a dict with the key "
    "'label'. Received: {}."
)


def label_entry(targets):
    """Returns what holds the labels: an entry of a dict, or the targets.

    Raises:
        ValueError: If there are no labels.
    """
    if targets is None:
        hint = "Give `y`, or make each batch a pair (images, labels)"
        raise ValueError(NO_LABELS.format("no targets") + f" {hint}.")
    if isinstance(targets, (list, tuple)):
        if len(targets) != 1 or not hasattr(targets[0], "shape"):
            kind = type(targets).__name__
            hint = "Make it a dict that names each entry"
            raise ValueError(
                NO_LABELS.format(f"a {kind} of {len(targets)}") + f" {hint}."
            )
        return targets[0]
    if not isinstance(targets, dict):
        return targets
    if "label" not in targets:
        keys = ", ".join(map(repr, targets)) or "no keys"
        raise ValueError(
            NO_LABELS.format(f"a dict with {keys}")
            + " Name the entry that holds the labels 'label'."
        )
    return targets["label"]


def labels_of(targets):
    """Returns the labels of a batch, `(b,)`, also where they are a column.

    Raises:
        ValueError: If there are no labels, or they cannot be class numbers by
            their shape or their type.
    """
    labels = label_entry(targets)
    labels = labels if hasattr(labels, "shape") else np.asarray(labels)
    if "string" in str(labels.dtype):
        raise ValueError(
            "Labels must be integers. Received: text. Number the class names: "
            "`names, labels = np.unique(labels, return_inverse=True)`."
        )
    if _has_unknown_rank(labels):
        return ops.reshape(labels, (-1,))
    check_label_shape(labels.shape)
    return labels[:, 0] if len(labels.shape) == 2 else labels


def weights_of(sample_weight):
    """Returns the weight of each image, also out of a dict with `"label"`.

    Raises:
        ValueError: If there is not one weight per image.
    """
    weights = sample_weight
    if isinstance(weights, dict):
        if "label" not in weights:
            keys = ", ".join(map(repr, weights)) or "no keys"
            raise ValueError(
                "`sample_weight` must be one weight per image, of shape "
                f"(batch,). Received: a dict with {keys}."
            )
        weights = weights["label"]
    if isinstance(weights, (list, tuple)):
        weights = np.asarray(weights, "float32")
    if _has_unknown_rank(weights):
        return ops.reshape(weights, (-1,))
    shape = tuple(getattr(weights, "shape", (None,)))
    if len(shape) != 1 and shape[1:] != (1,):
        raise ValueError(
            "`sample_weight` must be one weight per image, of shape (batch,) "
            f"or (batch, 1). Received: shape {shape}."
        )
    return weights


def _has_unknown_rank(values):
    """Tells whether TensorFlow has traced a step with rows and columns."""
    return getattr(getattr(values, "shape", None), "rank", 0) is None


def mean_over_images(term, sample_weight):
    """Averages a loss term; `sample_weight` weighs one of shape `(b,)`."""
    if len(term.shape) == 1 and sample_weight is not None:
        weights = ops.cast(ops.reshape(sample_weight, (-1,)), term.dtype)
        term = term * weights
    return ops.mean(term)


def nan_without_class(term, is_class):
    """Makes a loss term NaN where an image has no class, `is_class` `(b,)`."""
    if len(term.shape) == 0:
        is_class = ops.all(is_class)
    return ops.where(is_class, term, ops.cast(float("nan"), term.dtype))


def assert_labels(labels, num_classes: int):
    """Has TensorFlow's graph raise if a label is no class number.

    Returns the operation; nothing on other backends, and nothing comes of it
    where XLA compiles: the loss is NaN there.
    """
    import tensorflow as tf

    numbers = tf.cast(labels, "float64")
    is_class = (numbers >= 0) & (numbers < num_classes)
    is_class &= numbers == tf.floor(numbers)
    wrong = tf.where(is_class, tf.constant(-np.inf, "float64"), numbers)
    count = tf.reduce_sum(tf.cast(~is_class, "int32"))
    return tf.debugging.Assert(
        tf.reduce_all(is_class),
        [
            f"Labels must be integers from 0 to {num_classes - 1} "
            f"(num_classes={num_classes}). Received:",
            tf.reduce_max(wrong),
            "and",
            count - 1,
            "more such. Count the classes again, or number the labels from 0.",
        ],
    )


def assert_in_graph(labels, num_classes: int) -> None:
    """Calls `assert_labels` where TensorFlow is the backend."""
    if keras.backend.backend() == "tensorflow":
        assert_labels(labels, num_classes)
