"""What every method checks first and minimises most."""

import keras
from keras import ops

from keras_fgvc._checks import check_channels_last, check_positive_int


def check_model_arguments(num_classes) -> None:
    """The checks every method makes before it builds its graph."""
    check_channels_last()
    check_positive_int("num_classes", num_classes, minimum=2)


def cross_entropy(labels, logits):
    """Softmax cross-entropy of each image, `(batch,)`, in float32."""
    return keras.losses.sparse_categorical_crossentropy(
        labels, ops.cast(logits, "float32"), from_logits=True
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
