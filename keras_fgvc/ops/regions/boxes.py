"""Areas and overlaps of boxes, and the choice among overlapping ones."""

from keras import ops

from keras_fgvc._checks import (
    check_in_range,
    check_positive_int,
    check_rank,
    check_shape,
)
from keras_fgvc.ops._first_largest import first_largest
from keras_fgvc.ops._precision import at_least_float32


def box_area(boxes):
    """Computes the area of each box as a fraction of the image.

    Args:
        boxes: Tensor of shape `(..., 4)`, `[y_min, x_min, y_max, x_max]`.

    Returns:
        Tensor of shape `(...)`, float32. An empty or inverted box has area 0.

    Raises:
        ValueError: If the last axis of `boxes` is not 4.

    Example:

    ```python
    from keras_fgvc.ops import box_area

    box_area([[0.0, 0.0, 0.5, 0.5], [0.6, 0.0, 0.4, 1.0]])  # [0.25, 0.0]
    ```
    """
    return _area(_corners(boxes))


def box_iou(boxes, others):
    """Computes the intersection over union of every pair of boxes.

    Args:
        boxes: Tensor of shape `(batch, n, 4)`.
        others: Tensor of shape `(batch, m, 4)`.

    Returns:
        Tensor of shape `(batch, n, m)`, float32, values 0..1. A pair with an
        empty or inverted box has overlap 0, never NaN.

    Raises:
        ValueError: If `boxes` or `others` does not have this shape.

    Example:

    ```python
    from keras_fgvc.ops import box_iou

    boxes = [[[0.0, 0.0, 0.5, 1.0]]]
    others = [[[0.0, 0.0, 1.0, 1.0], [0.5, 0.0, 1.0, 1.0]]]
    box_iou(boxes, others)  # [[[0.5, 0.0]]]
    ```
    """
    boxes = at_least_float32(boxes)
    others = ops.cast(others, boxes.dtype)
    check_shape("boxes", boxes.shape, (None, None, 4), "(batch, n, 4)")
    check_shape("others", others.shape, (None, None, 4), "(batch, m, 4)")
    first = _corners(ops.expand_dims(boxes, 2))  # (b, n, 1) each
    second = _corners(ops.expand_dims(others, 1))  # (b, 1, m) each
    shared = _intersection(first, second)
    union = _area(first) + _area(second) - shared
    return shared / ops.where(union > 0, union, 1.0)


def non_max_suppression(boxes, scores, max_boxes, iou_threshold):
    """Chooses the best boxes that do not overlap each other much.

    Greedy and hard: the box of the highest score is chosen, every box whose
    intersection over union with it is above `iou_threshold` is dropped, and
    so on `max_boxes` times. Of equal scores the first counts, on every
    backend. All shapes are static and the turns are unrolled, so it compiles
    and exports; meant for the few best parts, not for thousands. No gradient
    passes through: gather what is needed with the
    indices.

    Args:
        boxes: Tensor of shape `(batch, n, 4)`.
        scores: Tensor of shape `(batch, n)`. A box whose score is `-inf` is
            never chosen; so are candidates masked out.
        max_boxes: Integer, number of boxes to choose per image.
        iou_threshold: Number in 0..1, the overlap still allowed.

    Returns:
        `(indices, valid)`, both `(batch, max_boxes)`: int32 positions in
        `boxes`, best first, and a boolean that is False where fewer boxes
        were left, there with index 0.

    Raises:
        ValueError: If a shape has the wrong number of axes, `max_boxes` is
            below 1 or `iou_threshold` outside 0..1.
        TypeError: If `max_boxes` is not an integer.

    Example:

    ```python
    from keras_fgvc.ops import non_max_suppression

    left, right = [0.0, 0.0, 1.0, 0.5], [0.0, 0.5, 1.0, 1.0]
    nearly_left = [0.0, 0.0, 1.0, 0.6]
    indices, valid = non_max_suppression(
        [[left, nearly_left, right]], [[0.9, 0.8, 0.7]], 3, 0.25
    )
    # indices [[0, 2, 0]], valid [[True, True, False]]
    ```
    """
    check_positive_int("max_boxes", max_boxes)
    check_in_range("iou_threshold", iou_threshold, 0, 1)
    boxes = ops.stop_gradient(ops.convert_to_tensor(boxes))
    scores = ops.stop_gradient(at_least_float32(scores))
    check_shape("boxes", boxes.shape, (None, None, 4), "(batch, n, 4)")
    check_rank("scores", scores.shape, 2, "(batch, n)")
    corners = _corners(boxes)  # (b, n) each
    areas = _area(corners)
    positions = ops.arange(ops.shape(scores)[1], dtype="int32")
    indices, valid = [], []
    for _ in range(max_boxes):
        best, index = first_largest(scores)  # (b, 1) each
        found = best > -float("inf")
        indices.append(ops.where(found, index, 0))
        valid.append(found)
        chosen = [ops.take_along_axis(c, index, axis=1) for c in corners]
        shared = _intersection(chosen, corners)  # (b, n)
        # IoU > t without a division: s / (a + b - s) > t.
        total = _area(chosen) + areas
        dropped = shared * (1 + iou_threshold) > iou_threshold * total
        # An empty box overlaps nothing, not even itself.
        dropped = ops.logical_or(dropped, positions == index)
        scores = ops.where(dropped, -float("inf"), scores)
    return ops.concatenate(indices, 1), ops.concatenate(valid, 1)


def _corners(boxes):
    """Splits (..., 4) into y_min, x_min, y_max, x_max, each (...)."""
    boxes = at_least_float32(boxes)
    others = (None,) * (len(boxes.shape) - 1)
    check_shape("boxes", boxes.shape, (*others, 4), "four numbers per box")
    return [boxes[..., side] for side in range(4)]


def _area(corners):
    """Areas of boxes given as corners; 0 for inverted ones."""
    y_min, x_min, y_max, x_max = corners
    height = ops.maximum(y_max - y_min, 0.0)
    return height * ops.maximum(x_max - x_min, 0.0)


def _intersection(first, second):
    """Area shared by boxes given as corners of shapes that broadcast."""
    y_min, x_min = (ops.maximum(first[i], second[i]) for i in (0, 1))
    y_max, x_max = (ops.minimum(first[i], second[i]) for i in (2, 3))
    return _area([y_min, x_min, y_max, x_max])
