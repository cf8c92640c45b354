"""Checks and the cross-entropy that all methods share."""

import keras
from keras import ops

from keras_fgvc._checks import check_channels_last, check_positive_int


def check_model_arguments(num_classes) -> int:
    """Makes the checks of every method; returns the number of classes.

    As Python's integer, because Keras refuses those of NumPy.
    """
    check_channels_last()
    check_positive_int("num_classes", num_classes, minimum=2)
    return int(num_classes)


def cross_entropy(labels, logits):
    """Softmax cross-entropy of each image, `(batch,)`, in float32.

    A label of -1 counts as class 0, because TensorFlow and PyTorch refuse it
    from inside their graphs. `FineGrainedModel` makes the loss NaN.
    """
    return keras.losses.sparse_categorical_crossentropy(
        ops.maximum(labels, 0), ops.cast(logits, "float32"), from_logits=True
    )


def mean_over_views(loss, labels, views: int):
    """Mean of a loss over several views of each image, `(b,)`.

    Args:
        loss: Function of labels `(views * b,)` that returns as many values,
            for the first view of every image, then the second.
        labels: `(b,)`.
        views: Number of views.
    """
    values = loss(ops.tile(labels, (views,)))
    return ops.mean(ops.reshape(values, (views, -1)), axis=0)
