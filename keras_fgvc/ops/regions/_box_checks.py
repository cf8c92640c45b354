"""Checks of boxes: their shape, and that they are no pixels."""

import keras
import numpy as np
from keras import ops

from keras_fgvc._checks import check_shape

# Boxes may reach outside the image; ten times its side only pixels do.
LARGEST_COORDINATE = 10.0


def check_normalized_boxes(name: str, boxes, shape, layout: str) -> None:
    """Raises if boxes have another shape, or values that are pixels.

    Values are read where they are known and at hand: in a compiled graph, or
    on an accelerator, they are not.
    """
    check_shape(name, boxes.shape, shape, layout)
    if not _is_at_hand(boxes) or 0 in boxes.shape:
        return
    largest = float(np.abs(ops.convert_to_numpy(boxes)).max())
    if not largest <= LARGEST_COORDINATE:  # also where it is NaN
        raise ValueError(
            f"`{name}` must be fractions of the image's sides, 0..1, as "
            "[y_min, x_min, y_max, x_max]. Received: a coordinate of size "
            f"{largest:.6g}. Convert pixels with "
            "keras_fgvc.ops.normalize_boxes."
        )


def _is_at_hand(tensor) -> bool:
    """Tells whether values can be read without waiting for a device."""
    if isinstance(tensor, keras.KerasTensor):
        return False
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.is_symbolic_tensor(tensor) and "CPU" in tensor.device
    if keras.backend.backend() == "jax":
        import jax

        if isinstance(tensor, jax.core.Tracer):
            return False
        return all(device.platform == "cpu" for device in tensor.devices())
    import torch

    is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return tensor.device.type == "cpu" and not is_traced
