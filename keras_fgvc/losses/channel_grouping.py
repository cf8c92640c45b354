from keras import ops

from keras_fgvc._checks import check_rank
from keras_fgvc.ops._precision import at_least_float32
from keras_fgvc.ops.group_bilinear import check_groups

# Added to a map's squared length over all pixels: far below that of any living
# map, and large enough for a finite gradient (1e4 times) at the zero map.
NORM_EPSILON = 1e-8


def channel_grouping(features, *, groups: int):
    """Makes channels of one group respond at the same places, others elsewhere.

    The groups are contiguous blocks of channels, each of which comes to stand
    for one part of the object; `GroupBilinear` then multiplies within groups
    only. With x_i the map of channel i, scaled to length 1 over the pixels:

        o_ij = x_i . x_j                        (co-occurrence)
        t_ij = 1 where i and j are of one group, 0 elsewhere
        loss = mean over i and j of (o_ij - t_ij)^2

    Source: Zheng, Fu, Zha and Luo, "Learning Deep Bilinear Transformation for
    Fine-grained Image Representation" (DBTNet), NeurIPS 2019,
    https://arxiv.org/abs/1911.03621, the semantic grouping layer; used by
    "Dual Attention Fusion" (DAF) for fine-grained image classification,
    section 3.4.

    DBTNet's published code averages o over the batch before the square, and
    squares the loss once more. Ours is taken image by image, so that a batch
    spread over several devices has the loss of the whole, and is quadratic.

    There is no target, so `compile(loss=...)` does not take it: use it in
    `loss_terms`, or in a layer's `add_loss` as `SemanticGrouping` does.

    Args:
        features: `(batch, height, width, channels)`, all but the channels may
            be unknown. After a ReLU: signed maps can respond at the same
            places with an o of 0.
        groups: Integer, the number of groups; must divide the channels.

    Returns:
        `(batch,)`, float32, at least 0 but for rounding.

    Raises:
        TypeError: If `groups` is not an integer.
        ValueError: If `features` does not have four axes or its channels do
            not fall into `groups` groups.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.losses import channel_grouping

    features = np.ones((1, 7, 7, 4), "float32")  # all channels alike
    channel_grouping(features, groups=1)  # [0.0]
    channel_grouping(features, groups=2)  # [0.5], half of the pairs are wrong
    ```

    A channel that is 0 everywhere counts as unlike every other, and itself.
    """
    features = at_least_float32(features)
    layout = "(batch, height, width, channels)"
    check_rank("features", features.shape, 4, layout)
    _, height, width, channels = ops.shape(features)
    check_groups(groups, features.shape[-1])
    maps = ops.reshape(features, (-1, height * width, channels))
    length = ops.sum(ops.square(maps), axis=1, keepdims=True)
    maps = maps * ops.rsqrt(length + NORM_EPSILON)
    # The square multiplied out: o itself, channels^2 numbers an image, is not
    # needed, and t only sums the maps of each group.
    squares = _sum_of_squared_products(maps)
    size = channels // groups
    sums = ops.reshape(maps, (-1, height * width, groups, size))
    within = ops.sum(ops.square(ops.sum(sums, axis=-1)), axis=(1, 2))
    return (squares - 2.0 * within) / channels**2 + 1.0 / groups


def _sum_of_squared_products(maps):
    """The sum over i and j of (x_i . x_j)^2, `(b, pixels, c)` -> `(b,)`.

    The same whether rows or columns are multiplied with one another: taken
    where they are fewer. Matrix products, as `ops.einsum` has a slow gradient
    (2-3 times).
    """
    across = ops.transpose(maps, (0, 2, 1))
    pixels, channels = maps.shape[1:]
    if pixels is not None and pixels < channels:
        products = ops.matmul(maps, across)  # (b, pixels, pixels)
    else:
        products = ops.matmul(across, maps)  # (b, c, c)
    return ops.sum(ops.square(products), axis=(1, 2))
