from keras import ops

from keras_fgvc._checks import check_in_range, check_shape
from keras_fgvc.ops import box_area
from keras_fgvc.ops._precision import at_least_float32

# Of two boxes together. A pixel of a 10,000 pixel image has 1e-8, so no box
# that shows anything is changed, and two empty ones give 0, not 0 / 0.
SMALLEST_AREA = 1e-12


def box_overlap(boxes, *, weight: float = 1.0, centers_only: bool = False):
    """Penalises boxes of one image that share area, pair by pair.

    R_IOU, which keeps two proposals from showing the same part. Like the dice
    loss, with |A| the area of a box:

        loss = weight * mean over pairs A, B of |A and B| / (|A| + |B|)

    It is 0 for boxes apart and weight / 2 where two are equal. The paper
    gives it for one pair; the mean over the unordered pairs is ours, so that
    the value does not grow with the number of boxes.

    Source: "Dual Attention Fusion" (DAF) for fine-grained image
    classification, section 3.7.1.

    There is no target, so `compile(loss=...)` does not take it: use it in
    `loss_terms`, or in a layer's `add_loss`.

    Args:
        boxes: `(batch, n, 4)`, `[y_min, x_min, y_max, x_max]`. An empty box
            overlaps nothing.
        weight: Number of at least 0, the paper's alpha, whose value it does
            not give. Defaults to 1.
        centers_only: Whether gradients move the boxes without changing their
            sides. Otherwise boxes also part by becoming narrow, because a
            strip overlaps its neighbours less than a square of the same
            area. Defaults to `False`.

    Returns:
        `(batch,)`, float32, from 0 to weight / 2; 0 for a single box.

    Raises:
        TypeError: If `weight` is not a number.
        ValueError: If `boxes` is not `(batch, n, 4)` or `weight` negative.

    Example:

    ```python
    from keras_fgvc.losses import box_overlap

    left, middle = [0.0, 0.0, 1.0, 0.5], [0.0, 0.25, 1.0, 0.75]
    box_overlap([[left, middle]])  # [0.25 / (0.5 + 0.5)] = [0.25]
    ```

    Boxes apart get no gradient, nor do two equal ones a direction in which to
    part. A box inside a larger one is only made smaller, not moved:
    `box_area_penalty` beside this loss keeps boxes of one size.
    """
    check_in_range("weight", weight, 0.0, float("inf"))
    boxes = at_least_float32(boxes)
    check_shape("boxes", boxes.shape, (None, None, 4), "(batch, n, 4)")
    if centers_only:
        boxes = _with_fixed_sides(boxes)
    first = ops.expand_dims(boxes, 2)  # (b, n, 1, 4)
    second = ops.expand_dims(boxes, 1)  # (b, 1, n, 4)
    low = ops.maximum(first[..., :2], second[..., :2])
    high = ops.minimum(first[..., 2:], second[..., 2:])
    shared = box_area(ops.concatenate([low, high], axis=-1))
    total = box_area(first) + box_area(second)  # (b, n, n)
    dice = shared / ops.maximum(total, SMALLEST_AREA)
    position = ops.arange(ops.shape(boxes)[1])
    pairs = ops.expand_dims(position, 1) < position  # each pair once
    pairs = ops.cast(pairs, boxes.dtype)
    count = ops.maximum(ops.sum(pairs), 1.0)
    return weight * ops.sum(dice * pairs, axis=(1, 2)) / count


def _with_fixed_sides(boxes):
    """The same boxes; gradients reach their centres alone."""
    low, high = boxes[..., :2], boxes[..., 2:]
    center, half = (low + high) / 2, ops.stop_gradient((high - low) / 2)
    return ops.concatenate([center - half, center + half], axis=-1)
