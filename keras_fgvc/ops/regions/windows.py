"""Windows of a fixed number of cells around locations of a map.

FCAN's attention regions (Liu et al., 2016, section 5.1: 4x4 and 8x8 cells of
a 16x16 map). The paper does not say what a region at the border is: here the
window is shifted until it lies inside the map.
"""

import numbers

from keras import ops

from keras_fgvc._checks import check_positive_int, check_rank, check_shape


def window_boxes(locations, region_size, map_size):
    """Computes the box of the window around each location.

    With r the region size, the window around row i of h rows is

        rows start .. start + r - 1,  start = clip(i - r // 2, 0, h - r)

    and the same of columns: a window of odd size has its location in the
    middle, one of even size just below and right of the middle, unless it had
    to be shifted to stay inside. `gather_windows` cuts the same windows.

    Liu et al., "Fully Convolutional Attention Localization Networks", 2016,
    https://arxiv.org/abs/1603.06765, section 5.1.

    Args:
        locations: Integer tensor of shape `(batch, samples, 2)`, row and
            column of a cell; see `sample_locations`.
        region_size: Integer, height and width of the window in cells.
        map_size: Pair height and width of the map, each an integer or a
            scalar tensor. A tensor's value is not checked: a window larger
            than the map gives a box that ends outside the image.

    Returns:
        Tensor of shape `(batch, samples, 4)`, float32,
        `[y_min, x_min, y_max, x_max]` in 0..1. It has no gradient.

    Raises:
        ValueError: If `locations` does not have this shape, `map_size` is not
            a pair, or `region_size` is below 1 or larger than the map.
        TypeError: If `region_size` is not an integer.

    Example:

    ```python
    from keras_fgvc.ops import window_boxes

    window_boxes([[[2, 2], [0, 3]]], 2, (4, 4))
    # [[[0.25, 0.25, 0.75, 0.75], [0.0, 0.5, 0.5, 1.0]]]
    ```
    """
    locations = ops.cast(locations, "int32")
    check_shape(
        "locations", locations.shape, (None, None, 2), "(batch, samples, 2)"
    )
    if not isinstance(map_size, (tuple, list)) or len(map_size) != 2:
        raise ValueError(
            "`map_size` must be a pair (height, width). "
            f"Received: map_size={map_size!r}."
        )
    starts = _starts(locations, region_size, map_size)
    lows, highs = [], []
    for start, length in zip(starts, map_size, strict=True):
        length = ops.cast(length, "float32")
        lows.append(ops.cast(start, "float32") / length)
        highs.append(ops.cast(start + region_size, "float32") / length)
    return ops.stack([*lows, *highs], axis=-1)


def gather_windows(features, locations, region_size):
    """Cuts the window around each location out of a map.

    The windows are those of `window_boxes`, whole cells copied as they are.
    FCAN classifies a part by them in training, "the corresponding region in
    the convolutional feature map of the whole image" (Liu et al., "Fully
    Convolutional Attention Localization Networks", 2016,
    https://arxiv.org/abs/1603.06765, section 3).

    Args:
        features: Tensor of shape `(batch, height, width, channels)`. All but
            channels may be unknown until the graph runs. A map that turns out
            smaller than the window then gives an error or wrong cells.
        locations: Integer tensor of shape `(batch, samples, 2)`, row and
            column of a cell; see `sample_locations`.
        region_size: Integer, height and width of the window in cells.

    Returns:
        Tensor of shape `(batch, samples, region_size, region_size, channels)`
        in the dtype of `features`. Differentiable in them.

    Raises:
        ValueError: If a shape is not as described, or `region_size` is below
            1 or larger than the map.
        TypeError: If `region_size` is not an integer.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import gather_windows

    features = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    gather_windows(features, [[[2, 1]]], 2)[0, 0, :, :, 0]
    # [[3.0, 4.0], [6.0, 7.0]]
    ```
    """
    features = ops.convert_to_tensor(features)
    locations = ops.cast(locations, "int32")
    check_rank(
        "features", features.shape, 4, "(batch, height, width, channels)"
    )
    expected = (features.shape[0], None, 2)
    check_shape("locations", locations.shape, expected, "(batch, samples, 2)")
    batch, height, width, channels = ops.shape(features)
    top, left = _starts(locations, region_size, (height, width))
    offsets = ops.arange(region_size, dtype="int32")
    first_rows = ops.arange(batch, dtype="int32") * height
    rows = ops.expand_dims(top + ops.expand_dims(first_rows, 1), -1) + offsets
    columns = ops.expand_dims(left, -1) + offsets  # (b, s, r)
    cells = ops.expand_dims(rows * width, 3) + ops.expand_dims(columns, 2)
    table = ops.reshape(features, (-1, channels))  # (b * h * w, c)
    return ops.take(table, cells, axis=0)  # (b, s, r, r, c)


def _starts(locations, region_size, map_size):
    """First row and first column of each window, both (b, s)."""
    check_positive_int("region_size", region_size)
    starts = []
    for axis, side in enumerate(("height", "width")):
        length = map_size[axis]
        if isinstance(length, numbers.Integral) and region_size > length:
            raise ValueError(
                f"`region_size` must be at most the {side} of the map "
                f"({length}). Received: region_size={region_size}."
            )
        start = locations[..., axis] - region_size // 2
        start = ops.minimum(start, length - region_size)
        starts.append(ops.maximum(start, 0))
    return starts
