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
