"""Boxes of the objects in heat maps (ELoPE, section 5)."""

from keras import ops

from keras_fgvc._checks import check_in_range, check_rank
from keras_fgvc.ops._precision import at_least_float32, cast_back

# Far above the rounding of a running sum, so that empty cells add nothing.
SMALLEST_SHARE = 1e-4


def minmax_normalize(heatmap):
    """Stretches each heat map linearly to 0..1.

    `(x - min) / (max - min)` over the cells of each map. A constant map has
    no range to stretch: it becomes all ones, which `heatmap_to_box` turns
    into the whole image.

    Args:
        heatmap: Tensor of shape `(batch, height, width)`.

    Returns:
        Tensor of the same shape and floating dtype (float32 for integers),
        values 0..1.

    Raises:
        ValueError: If `heatmap` does not have three axes.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import minmax_normalize

    heatmap = np.array([[[1.0, 3.0], [2.0, 5.0]]], "float32")
    minmax_normalize(heatmap)  # [[[0.0, 0.5], [0.25, 1.0]]]
    ```
    """
    heatmap = ops.convert_to_tensor(heatmap)
    check_rank("heatmap", heatmap.shape, 3, "(batch, height, width)")
    values = at_least_float32(heatmap)
    low = ops.min(values, axis=(1, 2), keepdims=True)
    high = ops.max(values, axis=(1, 2), keepdims=True)
    # Divide by 1 where the map is constant: the other branch of a `where`
    # would still send 0 / 0 into the gradient.
    span = ops.where(high > low, high - low, 1.0)
    # The maximum is set, not computed: XLA rounds it to just below 1, where a
    # threshold of 1 would miss it.
    stretched = ops.where(values < high, (values - low) / span, 1.0)
    return cast_back(stretched, heatmap)


def heatmap_to_box(heatmap, threshold=None, min_size=0.0, *, mass=None):
    """Finds the box of what a heat map is high on, by a threshold or by mass.

    With `threshold` it is the tight box around the cells that reach it. Cell i
    of h rows spans `[i / h, (i + 1) / h]`, so one cell alone gives a box of one
    cell. ELoPE (Hanselmann and Ney, 2020), section 5: threshold 0.3 for birds,
    0.2 otherwise, and `min_size` 10 pixels of the image.

    With `mass` the rows of the box hold that share of the map's sum, and so do
    its columns; as much is cut off before as behind. It needs no threshold
    found, and one bright cell far from the object moves it little. The paper
    does not have it.

    The whole image is returned where no cell reaches the threshold, where the
    map is zero everywhere, or where a side of the box is below `min_size`. No
    gradient reaches the heat map.

    Args:
        heatmap: Tensor of shape `(batch, height, width)`, values 0..1; see
            `minmax_normalize`.
        threshold: Number in 0..1. Cells of at least this value are inside.
        min_size: Number in 0..1. Smallest side of a box, as a fraction of
            the image's side. Defaults to 0.0, which accepts every box.
        mass: Number in 0..1, such as 0.9, instead of `threshold`.

    Returns:
        Boxes of shape `(batch, 4)`, float32.

    Raises:
        ValueError: If `heatmap` does not have three axes, a number lies
            outside 0..1, or not one of `threshold` and `mass` is given.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import heatmap_to_box

    heatmap = np.zeros((1, 4, 5), "float32")
    heatmap[0, 1:3, 2] = 1.0
    heatmap_to_box(heatmap, 0.3)  # [[0.25, 0.4, 0.75, 0.6]]
    heatmap_to_box(heatmap, 0.3, min_size=0.3)  # [[0.0, 0.0, 1.0, 1.0]]
    heatmap_to_box(heatmap, mass=0.5)  # [[0.375, 0.45, 0.625, 0.55]]
    ```
    """
    if (threshold is None) == (mass is None):
        raise ValueError(
            "`heatmap_to_box` takes one of `threshold` and `mass`. Received: "
            f"threshold={threshold}, mass={mass}."
        )
    for name, value in (("threshold", threshold), ("mass", mass)):
        if value is not None:
            check_in_range(name, value, 0, 1)
    check_in_range("min_size", min_size, 0, 1)
    heatmap = ops.convert_to_tensor(heatmap)
    check_rank("heatmap", heatmap.shape, 3, "(batch, height, width)")
    if mass is None:
        inside = heatmap >= threshold
        extents = [_extent(ops.any(inside, axis), min_size) for axis in (2, 1)]
    else:
        values = ops.relu(ops.stop_gradient(ops.cast(heatmap, "float32")))
        extents = [
            _central(ops.sum(values, axis), mass, min_size) for axis in (2, 1)
        ]
    (y_min, y_max, too_low), (x_min, x_max, too_narrow) = extents
    boxes = ops.stack([y_min, x_min, y_max, x_max], axis=-1)
    too_small = ops.expand_dims(ops.logical_or(too_low, too_narrow), axis=-1)
    whole = ops.convert_to_tensor([0.0, 0.0, 1.0, 1.0], "float32")
    return ops.where(too_small, whole, boxes)


def _central(profile, mass, min_size):
    """Start and end of the central share of (b, cells), and if too short."""
    total = ops.sum(profile, axis=1, keepdims=True)
    shares = profile / ops.where(total > 0, total, 1.0)
    end = _quantile(shares, (1 + mass) / 2)
    start = 1.0 - _quantile(ops.flip(shares, axis=1), (1 + mass) / 2)
    too_short = ops.logical_or(end - start < min_size, total[:, 0] <= 0)
    return start, end, too_short


def _quantile(shares, quantile):
    """First place in 0..1 before which that much of (b, cells) lies."""
    before = ops.cumsum(shares, axis=1) - shares
    # Each cell adds the fraction of it that lies before the place.
    fractions = (quantile - before) / ops.maximum(shares, SMALLEST_SHARE)
    return ops.mean(ops.clip(fractions, 0.0, 1.0), axis=1)


def _extent(occupied, min_size):
    """Start and end in 0..1 of the True cells of (b, cells), and if too short.

    Where no cell is True the extent is negative, so shorter than any
    `min_size`.
    """
    count = ops.shape(occupied)[1]
    cells = ops.arange(count, dtype="int32")
    start = ops.min(ops.where(occupied, cells, count), axis=1)
    end = ops.max(ops.where(occupied, cells + 1, 0), axis=1)
    start, end = ops.cast(start, "float32"), ops.cast(end, "float32")
    count = ops.cast(count, "float32")
    # Compared in whole cells: 0.9 - 0.6 is not 0.3.
    return start / count, end / count, end - start < min_size * count
