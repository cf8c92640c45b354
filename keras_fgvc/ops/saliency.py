"""Locates the object by the activations of a network (SCDA)."""

from keras import ops

from keras_fgvc._checks import as_size, check_rank
from keras_fgvc.ops._precision import at_least_float32
from keras_fgvc.ops._resizing import resize_maps


def check_feature_maps(shapes):
    """Raises unless `shapes` are those of a list of feature maps."""
    listed = isinstance(shapes, (list, tuple)) and len(shapes) > 0
    if not listed or not all(isinstance(s, (list, tuple)) for s in shapes):
        raise ValueError(
            "`feature_maps` must be a list of at least one map, each (batch, "
            f"height, width, channels). Received: shapes {shapes}."
        )
    for position, shape in enumerate(shapes):
        name = f"feature_maps[{position}]"
        check_rank(name, shape, 4, "(batch, height, width, channels)")


def location_heatmap(feature_maps, size=None):
    """Marks where feature maps respond above their average.

    With x_ijc a feature map, its aggregation map A and the mask M:

        A_ij = sum over channels c of x_ijc
        M_ij = 1 where A_ij > mean of A over the image, else 0

    Each mask is then resized to one size (bilinear, pixel centres at half
    integers), so that the maps of early layers add texture and those of late
    layers the whole shape. A constant map marks nothing. The paper normalises
    the result without saying how: nothing is left to do, the values are in
    0..1. SCDA itself keeps the activations, and only the largest connected
    part of the mask; DAF does neither.

    No gradient reaches the feature maps: a threshold has none.

    Source: "Dual Attention Fusion" (DAF) for fine-grained image
    classification, section 3.2, after Wei, Luo, Wu and Zhou, "Selective
    Convolutional Descriptor Aggregation for Fine-Grained Image Retrieval",
    TIP 2017, https://arxiv.org/abs/1604.04994, section III.

    Args:
        feature_maps: List of tensors `(batch, height_i, width_i,
            channels_i)`; all but the channels may be unknown until the graph
            runs.
        size: Pair `(height, width)` of the heat map, or the side of a
            square. Defaults to `None`, the
            height and width of the first map.

    Returns:
        Tensor `(batch, height, width, len(feature_maps))`, float32, values
        0..1.

    Raises:
        ValueError: If the list is empty, a map does not have four axes or
            `size` is not a pair of positive integers.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import location_heatmap

    fine = np.zeros((1, 2, 2, 3), "float32")
    fine[0, 0, 1] = 5.0
    coarse = np.ones((1, 1, 1, 7), "float32")
    location_heatmap([fine, coarse])[0, :, :, 0]  # [[0, 1], [0, 0]]
    ```
    """
    maps = [at_least_float32(features) for features in feature_maps]
    check_feature_maps([tuple(features.shape) for features in maps])
    if size is None:
        height, width = ops.shape(maps[0])[1:3]
    else:
        height, width = as_size("size", size)
    masks = [
        resize_maps(_above_mean(ops.stop_gradient(features)), height, width)
        for features in maps
    ]
    # Interpolation weights add up to 1 only within rounding.
    return ops.clip(ops.stack(masks, axis=-1), 0.0, 1.0)


def foreground(heatmap):
    """Joins the maps of a location heat map by majority.

        F_ij = 1 where the mean of the n maps at ij is at least 1/2, else 0

    An image without any foreground (constant feature maps) is all foreground,
    so that a search within it is never empty. The paper speaks of "the
    activated area" of its three maps and leaves the rule open.

    No gradient reaches the heat map: a threshold has none.

    Source: "Dual Attention Fusion" (DAF) for fine-grained image
    classification, sections 3.2 and 3.3.

    Args:
        heatmap: Tensor `(batch, height, width, maps)`, values 0..1; see
            `location_heatmap`.

    Returns:
        Tensor `(batch, height, width)`, float32, values 0 or 1.

    Raises:
        ValueError: If `heatmap` does not have four axes.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import foreground

    heatmap = np.array([[[[1.0, 0.0], [0.4, 0.5]]]], "float32")
    foreground(heatmap)  # [[[1.0, 0.0]]]
    ```
    """
    heatmap = ops.stop_gradient(at_least_float32(heatmap))
    check_rank("heatmap", heatmap.shape, 4, "(batch, height, width, maps)")
    # Summed, not averaged: one third three times is not 1.
    inside = 2.0 * ops.sum(heatmap, axis=-1) >= heatmap.shape[-1]
    nothing = ops.logical_not(ops.any(inside, axis=(1, 2), keepdims=True))
    return ops.cast(ops.logical_or(inside, nothing), "float32")


def _above_mean(features):
    """(b, h, w, c) -> (b, h, w), 1 where the sum is above its mean, else 0."""
    total = ops.sum(features, axis=-1)
    # From its minimum on: the mean of a constant would miss it by rounding.
    total = total - ops.min(total, axis=(1, 2), keepdims=True)
    above = total > ops.mean(total, axis=(1, 2), keepdims=True)
    return ops.cast(above, "float32")
