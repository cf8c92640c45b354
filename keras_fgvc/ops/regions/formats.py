"""Boxes as other programs write them, to this package's convention and back."""

from keras import ops

from keras_fgvc._checks import as_size, check_choice, check_shape
from keras_fgvc.ops._precision import at_least_float32

FORMATS = ("yxyx", "xyxy", "xywh", "center_xywh")


def normalize_boxes(boxes, size, format: str = "xyxy"):
    """Converts boxes in pixels to `[y_min, x_min, y_max, x_max]` in 0..1.

    The formats have the names of `keras.utils.bounding_boxes`:

    | format          | columns                               | as in         |
    |-----------------|---------------------------------------|---------------|
    | `"yxyx"`        | y_min, x_min, y_max, x_max            | Mask R-CNN    |
    | `"xyxy"`        | x_min, y_min, x_max, y_max            | torchvision   |
    | `"xywh"`        | x_min, y_min, width, height           | COCO, CUB-200 |
    | `"center_xywh"` | x and y of the centre, width, height  | YOLO          |

    Args:
        boxes: Tensor of shape `(..., 4)`, in pixels; pixel i spans i..i + 1.
        size: Pair of integers, the image's height and width in pixels, or one
            integer for a square. Boxes that are fractions already, of another
            format, have size 1.
        format: Format of `boxes`. Defaults to `"xyxy"`.

    Returns:
        Tensor of shape `(..., 4)`, float32. Boxes are not clipped.

    Raises:
        ValueError: If the last axis is not 4, `format` is unknown, or `size`
            is not positive.
        TypeError: If `size` does not hold integers.

    Example:

    ```python
    from keras_fgvc.ops import normalize_boxes

    normalize_boxes([[20.0, 10.0, 60.0, 40.0]], (100, 200), "xywh")
    # [[0.1, 0.1, 0.5, 0.4]]: y_min, x_min, y_max, x_max
    ```
    """
    height, width = as_size("size", size)
    a, b, c, d = _columns(boxes, format)
    if format == "yxyx":
        sides = (a, b, c, d)
    elif format == "xyxy":
        sides = (b, a, d, c)
    elif format == "xywh":
        sides = (b, a, b + d, a + c)
    else:
        sides = (b - d / 2, a - c / 2, b + d / 2, a + c / 2)
    lengths = (height, width, height, width)
    pairs = zip(sides, lengths, strict=True)
    return ops.stack([side / length for side, length in pairs], axis=-1)


def denormalize_boxes(boxes, size, format: str = "xyxy"):
    """Converts `[y_min, x_min, y_max, x_max]` in 0..1 to boxes in pixels.

    The inverse of `normalize_boxes`, which has the table of formats.

    Args:
        boxes: Tensor of shape `(..., 4)`, fractions of the image's sides.
        size: Pair of integers, the image's height and width in pixels, or one
            integer for a square.
        format: Format of the result. Defaults to `"xyxy"`.

    Returns:
        Tensor of shape `(..., 4)`, float32, in pixels, not rounded.

    Raises:
        ValueError: If the last axis is not 4, `format` is unknown, or `size`
            is not positive.
        TypeError: If `size` does not hold integers.

    Example:

    ```python
    from keras_fgvc.ops import denormalize_boxes

    denormalize_boxes([[0.1, 0.1, 0.5, 0.4]], (100, 200), "xywh")
    # [[20.0, 10.0, 60.0, 40.0]]
    ```
    """
    height, width = as_size("size", size)
    sides = _columns(boxes, format)
    lengths = (height, width, height, width)
    y_min, x_min, y_max, x_max = (
        side * length for side, length in zip(sides, lengths, strict=True)
    )
    if format == "yxyx":
        columns = (y_min, x_min, y_max, x_max)
    elif format == "xyxy":
        columns = (x_min, y_min, x_max, y_max)
    elif format == "xywh":
        columns = (x_min, y_min, x_max - x_min, y_max - y_min)
    else:
        centre = ((x_min + x_max) / 2, (y_min + y_max) / 2)
        columns = (*centre, x_max - x_min, y_max - y_min)
    return ops.stack(columns, axis=-1)


def _columns(boxes, format):
    """Splits (..., 4) into four (...), after checks."""
    check_choice("format", format, FORMATS)
    boxes = at_least_float32(boxes)
    others = (None,) * (len(boxes.shape) - 1)
    check_shape("boxes", boxes.shape, (*others, 4), "four numbers per box")
    return [boxes[..., i] for i in range(4)]
