"""Boxes as masks of pixels."""

import numbers

from keras import ops

from keras_fgvc._checks import check_positive_int
from keras_fgvc.ops._precision import at_least_float32
from keras_fgvc.ops.regions._box_checks import check_normalized_boxes


def box_masks(boxes, height, width):
    """Marks the pixels of each box.

    A pixel belongs to the box that its centre lies in: pixel i of h rows if
    `y_min <= (i + 0.5) / h < y_max`, and likewise along the width. Boxes that
    share an edge share no pixel. An empty or inverted box has none.

    Args:
        boxes: Tensor of shape `(batch, n, 4)`,
            `[y_min, x_min, y_max, x_max]`.
        height: Rows of the mask, an integer or a scalar tensor.
        width: Columns of the mask, an integer or a scalar tensor.

    Returns:
        Tensor of shape `(batch, n, height, width)`, float32, values 0 and 1.
        It has no gradient.

    Raises:
        ValueError: If `boxes` does not have this shape, an integer `height`
            or `width` is below 1, or eager boxes are plainly pixels.

    Example:

    ```python
    from keras_fgvc.ops import box_masks

    box_masks([[[0.0, 0.3, 0.5, 1.0]]], 2, 4)
    # [[[[0, 1, 1, 1], [0, 0, 0, 0]]]]: 0.375 is the second pixel's centre
    ```
    """
    return ops.cast(_masks(boxes, height, width), "float32")


def saliency_map(boxes, height, width):
    """Marks the pixels that lie in one of the boxes.

    The box-level saliency segmentation of "Dual Attention Fusion" (DAF) for
    fine-grained image classification, sections 2.3 and 3.1: which places the
    part proposals say matter, without a mask of the object. See `box_masks`
    for the pixels of a box.

    Args:
        boxes: Tensor of shape `(batch, n, 4)`,
            `[y_min, x_min, y_max, x_max]`.
        height: Rows of the map, an integer or a scalar tensor.
        width: Columns of the map, an integer or a scalar tensor.

    Returns:
        Tensor of shape `(batch, height, width)`, float32, values 0 and 1; all
        0 without boxes. It has no gradient.

    Raises:
        ValueError: If `boxes` does not have this shape, an integer `height`
            or `width` is below 1, or eager boxes are plainly pixels.

    Example:

    ```python
    from keras_fgvc.ops import saliency_map

    boxes = [[[0.0, 0.0, 0.5, 0.5], [0.5, 0.25, 1.0, 0.75]]]
    saliency_map(boxes, 2, 4)  # [[[1, 1, 0, 0], [0, 1, 1, 0]]]
    ```
    """
    masks = _masks(boxes, height, width)
    return ops.cast(ops.any(masks, axis=1), "float32")


def _masks(boxes, height, width):
    """(b, n, height, width), boolean."""
    boxes = at_least_float32(boxes)
    check_normalized_boxes("boxes", boxes, (None, None, 4), "(batch, n, 4)")
    y_min, x_min, y_max, x_max = (boxes[..., i : i + 1] for i in range(4))
    rows = _inside("height", height, y_min, y_max)  # (b, n, h)
    columns = _inside("width", width, x_min, x_max)  # (b, n, w)
    return ops.logical_and(
        ops.expand_dims(rows, 3), ops.expand_dims(columns, 2)
    )


def _inside(side, length, low, high):
    """(b, n, length): whether a pixel's centre lies in low (b, n, 1)..high."""
    if isinstance(length, numbers.Number):
        check_positive_int(side, length)
    centres = ops.cast(ops.arange(length), low.dtype) + 0.5
    centres = centres / ops.cast(length, low.dtype)
    return ops.logical_and(low <= centres, centres < high)
