"""Anchors: the boxes a detector starts from, and how it moves them."""

import math
import numbers

from keras import ops

from keras_fgvc._checks import check_positive_int, check_rank
from keras_fgvc.ops._precision import at_least_float32

# Those of NTS-Net.
ANCHOR_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
ANCHOR_RATIOS = (2 / 3, 1.0, 3 / 2)
# A box is at most 1000 / 16 times as long as its anchor: the exponential of
# an untrained head must not overflow. The value is Detectron's.
MAX_LOG_GROWTH = math.log(1000 / 16)


def check_anchors(cells, scales, ratios, side=None):
    """Raises unless all are positive numbers; `side` may be None."""
    for name, value in {"cells": cells, "side": side}.items():
        if not _is_positive(value) and (name, value) != ("side", None):
            raise ValueError(
                f"`{name}` must be a positive number. "
                f"Received: {name}={value!r}."
            )
    for name, values in {"scales": scales, "ratios": ratios}.items():
        listed = isinstance(values, (list, tuple)) and len(values) > 0
        if not listed or not all(_is_positive(value) for value in values):
            raise ValueError(
                f"`{name}` must be positive numbers. "
                f"Received: {name}={values!r}."
            )


def anchor_boxes(
    height,
    width,
    *,
    cells=6.0,
    side=None,
    scales=ANCHOR_SCALES,
    ratios=ANCHOR_RATIOS,
):
    """Lays boxes of several sizes and shapes around each cell of a map.

    For scale s and ratio r (height to width), centred on the cell,

        anchor height = cells s sqrt(r) / height
        anchor width  = cells s / sqrt(r) / width

    of the image, so that with square cells all anchors of a scale have one
    area. With `side` the two are

        anchor height = side s sqrt(r)
        anchor width  = side s / sqrt(r)

    however many cells the map has: an anchor covers the same share of a small
    image as of a large one.

    An anchor may reach beyond the image: it is not clipped. The default
    of 6 cells makes 48, 96 and 192 pixels at strides 8, 16 and 32, the sizes
    of NTS-Net at its strides 32, 64 and 128; NTS-Net leaves scale 1 out on
    its two finer maps. DAF gives no anchors.

    Source: Ren, He, Girshick and Sun, "Faster R-CNN", NeurIPS 2015,
    https://arxiv.org/abs/1506.01497, section 3.1; sizes of Yang et al.,
    "Learning to Navigate for Fine-grained Classification", ECCV 2018,
    https://arxiv.org/abs/1809.00287, section 3.

    Args:
        height: Cells of the map from top to bottom, an integer or an integer
            tensor without axes.
        width: Cells from left to right, alike.
        cells: Side of a square anchor of scale 1, in cells. Defaults to 6.0.
        side: Side of a square anchor of scale 1, as a share of the image's
            sides, instead of `cells`. Defaults to None.
        scales: Tuple of factors of the side. Defaults to 1, 2^(1/3) and
            2^(2/3).
        ratios: Tuple of heights over widths. Defaults to 2/3, 1 and 3/2.

    Returns:
        Boxes `(height * width * len(scales) * len(ratios), 4)`, float32; row
        by row, then by scale, then by ratio.

    Raises:
        ValueError: If a number is not positive or a tuple is empty.

    Example:

    ```python
    from keras_fgvc.ops import anchor_boxes

    anchor_boxes(2, 2, cells=1.0, scales=(1.0,), ratios=(1.0,))[1]
    # [0.0, 0.5, 0.5, 1.0]
    ```
    """
    check_anchors(cells, scales, ratios, side)
    unit = cells if side is None else side
    shapes = [(unit * s, r) for s in scales for r in ratios]
    heights = [s * r**0.5 for s, r in shapes]
    widths = [s / r**0.5 for s, r in shapes]
    y_min, y_max = _spans("height", height, heights, side is not None)
    x_min, x_max = _spans("width", width, widths, side is not None)
    rows = ops.ones_like(y_min)[:, None]  # (h, 1, a)
    columns = ops.ones_like(x_min)[None]  # (1, w, a)
    sides = [
        y_min[:, None] * columns,
        rows * x_min[None],
        y_max[:, None] * columns,
        rows * x_max[None],
    ]
    return ops.reshape(ops.stack(sides, axis=-1), (-1, 4))


def decode_boxes(deltas, anchors):
    """Moves and stretches anchors as a detector's regression head says.

    With the anchor's centre (y_a, x_a), height h_a and width w_a, and deltas
    (t_y, t_x, t_h, t_w),

        y = y_a + t_y h_a,    h = h_a exp(t_h)
        x = x_a + t_x w_a,    w = w_a exp(t_w)

    so that zeros leave the anchor as it is. `t_h` and `t_w` are cut at
    log(1000 / 16). Last, the box is clipped to the image: the centre first,
    then the sides. So a box sent beyond the border keeps the half that lies
    inside and is never empty, unless its height or width is itself too small
    for a float32. No gradient passes where something is cut or clipped.

    Source: Ren, He, Girshick and Sun, "Faster R-CNN", NeurIPS 2015,
    https://arxiv.org/abs/1506.01497, equation 2, solved for the box.

    Args:
        deltas: Tensor `(batch, n, 4)`: t_y, t_x, t_h, t_w.
        anchors: Boxes `(n, 4)`.

    Returns:
        Boxes `(batch, n, 4)`, float32, values 0..1.

    Raises:
        ValueError: If `deltas` does not have three axes or `anchors` two.

    Example:

    ```python
    import math
    from keras_fgvc.ops import decode_boxes

    anchors = [[0.25, 0.25, 0.75, 0.75]]
    decode_boxes([[[0.5, 0.0, 0.0, math.log(0.5)]]], anchors)
    # [[[0.5, 0.375, 1.0, 0.625]]]
    ```
    """
    deltas = at_least_float32(deltas)
    anchors = ops.cast(anchors, deltas.dtype)
    check_rank("deltas", deltas.shape, 3, "(batch, n, 4)")
    check_rank("anchors", anchors.shape, 2, "(n, 4)")
    first, last = anchors[:, :2], anchors[:, 2:]  # (n, 2) each
    sides = last - first
    center = ops.clip((first + last) / 2 + deltas[..., :2] * sides, 0.0, 1.0)
    growth = ops.minimum(deltas[..., 2:], MAX_LOG_GROWTH)
    half = sides * ops.exp(growth) / 2  # (b, n, 2)
    boxes = ops.concatenate([center - half, center + half], axis=-1)
    return ops.clip(boxes, 0.0, 1.0)


def _spans(name, cells, lengths, in_shares):
    """Start and end of each length around each cell, both (cells, lengths).

    `lengths` are in cells, or `in_shares` of the image's side as the result.
    """
    if isinstance(cells, numbers.Integral):
        check_positive_int(name, cells)
    center = ops.cast(ops.arange(cells), "float32")[:, None] + 0.5
    half = ops.convert_to_tensor(lengths, "float32") / 2
    count = ops.cast(cells, "float32")
    if in_shares:
        half = half * count
    return (center - half) / count, (center + half) / count


def _is_positive(value):
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and 0 < value < float("inf")
