"""Attention maps: how they are normalised, drawn and used to hide pixels."""

import numbers

import keras
from keras import ops

from keras_fgvc._checks import check_in_range, check_rank
from keras_fgvc.ops._precision import at_least_float32
from keras_fgvc.ops._resizing import resize_maps


def spatial_softmax(scores):
    """Softmax over the positions of each map.

        mask_ijk = exp(scores_ijk) / sum over rows r, columns s of
                   exp(scores_rsk)

    Each map becomes a distribution over the image, so a map cannot turn off
    everywhere, nor on. Rodriguez et al., "A Painless Attention Mechanism for
    Convolutional Neural Networks", 2018, equation 1.

    Args:
        scores: Tensor of shape `(batch, height, width, maps)`. All but maps
            may be unknown until the graph runs.

    Returns:
        Tensor of the same shape, float32 (float64 for float64). Each map sums
        to 1.

    Raises:
        ValueError: If `scores` does not have four axes.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import spatial_softmax

    scores = np.log([[1.0, 2.0], [4.0, 1.0]]).reshape(1, 2, 2, 1)
    spatial_softmax(scores)[0, :, :, 0]  # [[0.125, 0.25], [0.5, 0.125]]
    ```
    """
    scores = at_least_float32(scores)
    check_rank("scores", scores.shape, 4, "(batch, height, width, maps)")
    # Not `ops.softmax`: over these axes it transposes the maps, twice.
    highest = ops.max(ops.stop_gradient(scores), axis=(1, 2), keepdims=True)
    powers = ops.exp(scores - highest)
    return powers / ops.sum(powers, axis=(1, 2), keepdims=True)


def attention_drop(images, attention, threshold):
    """Blanks the pixels a map attends to, so that others must be used.

    The map is resized bilinearly to the image; then

        pixel_ij <- 0 where map_ij >= threshold * max of the map

    and pixels below that are kept. A map without a positive value attends to
    nothing, and its image is kept whole. Hu et al., "See Better Before
    Looking Closer: Weakly Supervised Data Augmentation Network for
    Fine-Grained Visual Classification", 2019.

    No gradient reaches the map: a threshold has none.

    Args:
        images: Tensor of shape `(batch, height, width, channels)`.
        attention: Tensor of shape `(batch, i, j)`, one map for each image,
            of any size and not negative; see `sample_maps`.
        threshold: Share of each map's maximum, 0 to 1: a number, or a tensor
            of shape `(batch,)` with one for each image. The paper's code
            draws it from 0.2 to 0.5.

    Returns:
        Tensor of the shape and dtype of `images`.

    Raises:
        ValueError: If an input has the wrong number of axes, or the number
            `threshold` lies outside 0..1.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import attention_drop

    images = np.full((1, 2, 3, 1), 7, "uint8")
    attention = np.array([[[0.1, 0.9, 0.3], [0.0, 0.5, 0.2]]], "float32")
    attention_drop(images, attention, 0.5)[0, :, :, 0]
    # [[7, 0, 7], [7, 0, 7]]
    ```
    """
    images = ops.convert_to_tensor(images)
    attention = ops.stop_gradient(at_least_float32(attention))
    check_rank("images", images.shape, 4, "(batch, height, width, channels)")
    check_rank("attention", attention.shape, 3, "(batch, i, j)")
    if isinstance(threshold, numbers.Real):
        check_in_range("threshold", threshold, 0, 1)
    threshold = ops.cast(threshold, attention.dtype)
    threshold = ops.reshape(threshold, (-1, 1, 1, 1))
    _, height, width, _ = ops.shape(images)
    maps = ops.expand_dims(resize_maps(attention, height, width), -1)
    highest = ops.max(maps, axis=(1, 2), keepdims=True)
    attended = ops.logical_and(maps >= threshold * highest, highest > 0)
    return ops.where(attended, ops.zeros_like(images), images)


def sample_maps(attention, seed, uniform=False):
    """Draws one attention map for each image.

    Map k is drawn with probability

        p_k = sqrt(a_k) / sum over maps l of sqrt(a_l)

    with a_k its mean activation, as the code of Hu et al. ("See Better
    Before Looking Closer", 2019) does; the paper draws uniformly, and so does
    Coarse2Fine (Eshratifar et al., 2019). An image whose maps are all zero
    gets one of them at random.

    Gradients flow to the drawn map, not to the draw.

    Args:
        attention: Tensor of shape `(batch, height, width, maps)`, not
            negative (a negative mean counts as 0). All but maps may be
            unknown until the graph runs.
        seed: A `keras.random.SeedGenerator`, or an integer, which draws the
            same at each call.
        uniform: Whether each map is as likely as any other. Defaults to
            `False`.

    Returns:
        Tensor of shape `(batch, height, width)` in the dtype of `attention`.

    Raises:
        ValueError: If `attention` does not have four axes.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import sample_maps

    attention = np.zeros((2, 3, 5, 4), "float32")
    attention[..., 1] = 7.0
    sample_maps(attention, seed=0)  # (2, 3, 5), all 7
    ```
    """
    attention = ops.convert_to_tensor(attention)
    check_rank("attention", attention.shape, 4, "(batch, height, width, maps)")
    weights = _draw_weights(attention)  # (b, m)
    if uniform:
        weights = ops.ones_like(weights)
    drawn = keras.random.categorical(
        ops.log(weights), 1, dtype="int32", seed=seed
    )
    drawn = ops.reshape(drawn, (-1, 1, 1, 1))
    chosen = drawn == ops.arange(attention.shape[-1], dtype="int32")
    # A sum with one term is faster than a gather, whose gradient scatters.
    zero = ops.zeros_like(attention)
    return ops.sum(ops.where(chosen, attention, zero), axis=-1)


def _draw_weights(attention):
    """(b, h, w, m) -> (b, m), relative probabilities; ones where all are 0."""
    mean = ops.mean(at_least_float32(ops.stop_gradient(attention)), axis=(1, 2))
    weights = ops.sqrt(ops.maximum(mean, 0.0))
    is_dead = ops.max(weights, axis=-1, keepdims=True) == 0
    return ops.where(is_dead, ops.ones_like(weights), weights)
