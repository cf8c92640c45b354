"""The operations of a deep bilinear transformation.

Zheng, Fu, Zha and Luo, "Learning Deep Bilinear Transformation for
Fine-grained Image Representation", NeurIPS 2019,
https://arxiv.org/abs/1911.03621 (DBTNet). Groups are contiguous blocks of
channels: with s = channels / groups, group g has channels g s to g s + s - 1.
"""

import numpy as np
from keras import ops

from keras_fgvc._checks import check_positive_int, check_rank
from keras_fgvc.ops._precision import at_least_float32, cast_back


def group_bilinear(features, groups):
    """Products of the channels of each group with each other, per pixel.

    With x_g the s = channels / groups values of group g at one pixel,

        y = sum over groups g of x_g x_g^T                   (s x s, flattened)

    so entry `i * s + j` says how strongly the i-th and the j-th channel of
    the groups fire together: all pairs within a group, none between groups,
    and the groups' matrices laid over each other. It is blind to the order
    of the groups; `group_codes` added to the features undo that.

    Source: DBTNet, the group bilinear layer, without its group index.

    Args:
        features: Floating point tensor of shape
            `(batch, height, width, channels)`. All but channels may be
            unknown until the graph runs.
        groups: Integer, divides the channels.

    Returns:
        Tensor of shape `(batch, height, width, (channels / groups)**2)` in
        the dtype of `features`. Half precision is summed in float32.

    Raises:
        TypeError: If `groups` is not an integer.
        ValueError: If `features` does not have four axes or `groups` does not
            divide its channels.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import group_bilinear

    features = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
    group_bilinear(features, groups=2)  # [1, 2, 2, 4] + [9, 12, 12, 16]
    ```
    """
    features = ops.convert_to_tensor(features)
    check_rank(
        "features", features.shape, 4, "(batch, height, width, channels)"
    )
    check_groups(groups, features.shape[-1])
    _, height, width, channels = ops.shape(features)
    size = channels // groups
    values = ops.reshape(at_least_float32(features), (-1, groups, size))
    # A matrix product a pixel; `ops.einsum` has a slow gradient (2 times).
    products = ops.matmul(ops.transpose(values, (0, 2, 1)), values)
    products = ops.reshape(products, (-1, height, width, size * size))
    return cast_back(products, features)


def group_codes(groups, channels, base=1.5):
    """A fixed code for each group, so that sums over groups tell them apart.

    With s = channels / groups values in a code, those of group g are

        code_g[2i]     = sin(g / base^(2i / s))
        code_g[2i + 1] = cos(g / base^(2i / s))

    Source: DBTNet, the group index of the group bilinear layer. The authors'
    code adds a table that is tiled over the channels, 8 codes of 16 values in
    its last layer of 32 groups of 64 channels, so that these groups share two
    codes. Here each group has a code of its own, as long as the group.

    The codes of any two of 64 groups or fewer differ by at least 0.1 (root of
    the mean square) from 4 channels a group on, and by 0.5 from 16 on. Below
    4 there are too few frequencies: group 44 nearly repeats group 0.

    Args:
        groups: Integer, the number of codes.
        channels: Integer, all channels, a multiple of `groups`.
        base: Number above 1; the frequencies lie between 1 and `1 / base`.
            Defaults to 1.5, that of the authors' code: with the 10000 usual
            for positions most entries would be equal for all groups.

    Returns:
        NumPy array of shape `(groups, channels / groups)`, float32. Flattened,
        it has the order of the channels.

    Raises:
        TypeError: If `groups` or `channels` is not an integer.
        ValueError: If `groups` does not divide `channels`, or `base` is not
            above 1.

    Example:

    ```python
    from keras_fgvc.ops import group_codes

    group_codes(3, 6)  # [[0, 1], [sin 1, cos 1], [sin 2, cos 2]]
    ```
    """
    check_positive_int("channels", channels)
    check_groups(groups, channels)
    if not base > 1:
        raise ValueError(f"`base` must be above 1. Received: base={base}.")
    size = channels // groups
    entry = np.arange(size)
    frequency = float(base) ** (-2.0 * (entry // 2) / size)
    angle = np.arange(groups)[:, None] * frequency
    codes = np.where(entry % 2 == 0, np.sin(angle), np.cos(angle))
    return codes.astype("float32")


def interpolate_channels(features, channels):
    """Linear interpolation along the last axis to another length.

    As in an image resize, the centre of channel j of the result lies at

        p = (j + 1/2) * old / channels - 1/2,      kept within 0..old - 1

    and takes its value from the two channels around p: two gathers with
    constant positions. Where `old` is a multiple of `channels` these are the
    middle of each block of old / channels. Nothing is averaged beyond the two,
    however short the result (no "antialias").

    Source: DBTNet's code, which brings the s^2 products of a group bilinear
    layer back to the channels that came in by a bilinear image resize along
    the channels, after a division by 32 and a tanh. The positions and weights
    here are those of a resize with half-pixel centres; `GroupBilinear` divides
    by the number of groups instead of 32.

    Args:
        features: Floating point tensor of shape `(..., old)`; all but the
            last side may be unknown.
        channels: Integer, the new length.

    Returns:
        Tensor of shape `(..., channels)` in the dtype of `features`, weighted
        in float32 at least.

    Raises:
        TypeError: If `channels` is not an integer.
        ValueError: If `channels` is below 1.

    Example:

    ```python
    from keras_fgvc.ops import interpolate_channels

    interpolate_channels([[1.0, 2.0, 4.0, 8.0]], 2)  # [[1.5, 6.0]]
    interpolate_channels([[1.0, 5.0]], 4)  # [[1.0, 2.0, 4.0, 5.0]]
    ```
    """
    check_positive_int("channels", channels)
    features = ops.convert_to_tensor(features)
    old = features.shape[-1]
    if old == channels:
        return features
    values = at_least_float32(features)
    lead = ops.shape(features)[:-1]
    resize = _middle_of_blocks if old % channels == 0 else _between_channels
    result = resize(ops.reshape(values, (-1, old)), channels)
    return cast_back(ops.reshape(result, (*lead, channels)), features)


def _middle_of_blocks(values, channels):
    """(n, old) -> (n, channels) where old is a multiple of channels.

    A product with one short column, and as fast in the gradient: gathers, or
    slices with a stride, take two to five times as long.
    """
    step = values.shape[-1] // channels
    column = np.zeros((step, 1))
    column[(step - 1) // 2] += 0.5  # of an odd step both are the middle one
    column[step // 2] += 0.5
    blocks = ops.reshape(values, (-1, step))
    middle = ops.matmul(blocks, ops.cast(column, values.dtype))
    return ops.reshape(middle, (-1, channels))


def _between_channels(values, channels):
    """(n, old) -> (n, channels) for any two numbers."""
    old = values.shape[-1]
    position = (np.arange(channels) + 0.5) * old / channels - 0.5
    position = np.clip(position, 0, old - 1)[:, None]
    lower = np.floor(position)
    share = ops.cast(position - lower, values.dtype)
    lower = lower[:, 0].astype("int32")
    # Whole rows are gathered and, in the gradient, scattered: half the time.
    rows = ops.transpose(values)
    low = ops.take(rows, lower, axis=0)
    high = ops.take(rows, np.minimum(lower + 1, old - 1), axis=0)
    return ops.transpose(low + share * (high - low))


def check_groups(groups, channels):
    """Raises unless `groups` is an integer that divides `channels`."""
    check_positive_int("groups", groups)
    if channels is None or channels % groups:
        raise ValueError(
            f"`groups` must divide the number of channels. "
            f"Received: groups={groups} for {channels} channels."
        )
