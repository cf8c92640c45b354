from keras import ops

from keras_fgvc._checks import check_shape
from keras_fgvc.ops import box_area
from keras_fgvc.ops._precision import at_least_float32

# Shares of the image. An object below it is a heat map that found nothing; a
# box below it has no logarithm to speak of.
SMALLEST_OBJECT, SMALLEST_BOX = 1e-2, 1e-6


def box_area_penalty(object_area, boxes, *, parts_per_object: float = 4.0):
    """Pulls each box towards the area of one part of the object.

    R_area, without which boxes grow until they show several parts. With |B|
    the area of a box, S that of the object and N its number of parts:

        loss = mean over boxes of log(|B| / (S / N))^2

    A box twice too large costs what one twice too small does.

    Source: "Dual Attention Fusion" (DAF) for fine-grained image
    classification, section 3.7.2. It says that boxes "should be approximately
    1/N size of the total area of the object" (section 3.1), but the text we
    hold has lost the formula: this one is our reading. It is relative so that
    small objects count as much as large ones, and of logarithms because
    |B| / (S / N) - 1, squared, does not bring back a box that became small:
    it costs 1 at most, and its gradient vanishes with its sides. Detectors'
    boxes, whose sides are exponentials, then vanish for good.

    Args:
        object_area: `(batch,)`, S as a share of the image, 0..1: the paper
            takes the foreground of the location heat map. No gradient reaches
            it. Below `SMALLEST_OBJECT` it counts as that.
        boxes: `(batch, n, 4)`, `[y_min, x_min, y_max, x_max]`.
        parts_per_object: Number above 0, N. Defaults to 4, the paper's for
            birds. It need not be the number of boxes.

    Returns:
        `(batch,)`, float32, at least 0.

    Raises:
        ValueError: If `boxes` is not `(batch, n, 4)`, `object_area` not
            `(batch,)` or `parts_per_object` not positive.

    Example:

    ```python
    from keras_fgvc.losses import box_area_penalty

    boxes = [[[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 0.75]]]
    # Areas 1/4 and 1/8, a part has 1/8: 2 and 1 times as large.
    box_area_penalty([0.5], boxes, parts_per_object=4)  # [(log(2)^2 + 0) / 2]
    ```

    A box below a millionth of the image counts as that and gets no gradient.
    """
    if not 0 < parts_per_object < float("inf"):
        raise ValueError(
            "`parts_per_object` must be a number above 0. "
            f"Received: parts_per_object={parts_per_object}."
        )
    boxes = at_least_float32(boxes)
    check_shape("boxes", boxes.shape, (None, None, 4), "(batch, n, 4)")
    object_area = ops.cast(object_area, boxes.dtype)
    expected = boxes.shape[:1]
    check_shape("object_area", object_area.shape, expected, "one an image")
    part = ops.stop_gradient(
        ops.maximum(object_area, SMALLEST_OBJECT) / parts_per_object
    )
    area = ops.maximum(box_area(boxes), SMALLEST_BOX)  # (b, n)
    ratio = area / ops.expand_dims(part, 1)
    return ops.mean(ops.square(ops.log(ratio)), axis=1)
