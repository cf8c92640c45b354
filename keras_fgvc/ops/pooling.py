"""Global k-max pooling: between global max and global average pooling."""

from keras import ops

from keras_fgvc._checks import check_positive_int, check_rank
from keras_fgvc.ops._k_largest import k_largest
from keras_fgvc.ops._precision import at_least_float32, cast_back


def global_k_max_pool(features, k, weights=None):
    """Averages the k largest values of each channel over all positions.

    With S the values of one channel sorted in descending order,

        y = 1 / k * sum over i = 1..k of S_i               (equation 3)
        y = 1 / k * sum over i = 1..k of weights_i * S_i   (equation 4)

    from Hanselmann and Ney, "ELoPE: Fine-Grained Visual Classification with
    Efficient Localization, Pooling and Embedding", 2020. `k=1` is global max
    pooling and `k=height * width` global average pooling.

    Equal values share their gradient equally, so it does not depend on the
    order of the pixels.

    Args:
        features: Floating point tensor of shape
            `(batch, height, width, channels)`. Batch, height and width may be
            unknown until the graph runs.
        k: Integer from 1 to height * width; the paper uses 4. Where height
            or width is unknown, a `k` above their product makes the backend's
            `top_k` fail when the graph runs.
        weights: Tensor of shape `(k,)`, the weight of each rank for all
            channels, largest value first. Defaults to None, which is
            equation 3 and the same as all ones.

    Returns:
        Tensor of shape `(batch, channels)` in the dtype of `features`. Half
        precision is averaged in float32.

    Raises:
        ValueError: If `features` does not have four axes, `k` is out of
            range, or `weights` is not of shape `(k,)`.
        TypeError: If `k` is not an integer.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import global_k_max_pool

    features = np.array([1.0, 8.0, 2.0, 4.0], "float32").reshape(1, 2, 2, 1)
    global_k_max_pool(features, k=2)  # [[6.0]]
    global_k_max_pool(features, k=2, weights=[1.5, 0.5])  # [[7.0]]
    ```
    """
    features = ops.convert_to_tensor(features)
    check_rank(
        "features", features.shape, 4, "(batch, height, width, channels)"
    )
    check_k(k, features.shape)
    if weights is not None:
        return _weighted_mean(_pixels(features), k, weights)
    if k == 1:
        return ops.max(features, axis=(1, 2))
    if k == _num_pixels(features.shape):
        total = ops.sum(at_least_float32(features), axis=(1, 2))
        return cast_back(total / k, features)
    return _mean_of_largest(_pixels(features), k)


def check_k(k, shape):
    check_positive_int("k", k)
    num_pixels = _num_pixels(shape)
    if num_pixels is not None and k > num_pixels:
        raise ValueError(
            f"`k` must be between 1 and height * width ({num_pixels}). "
            f"Received: k={k} for input shape {tuple(shape)}."
        )


def _num_pixels(shape):
    """height * width, or None while either is unknown."""
    _, height, width, _ = shape
    return None if height is None or width is None else height * width


def _pixels(features):
    """(b, h, w, c) -> (b, h * w, c), static where height and width are."""
    batch, _, _, channels = ops.shape(features)
    num_pixels = _num_pixels(features.shape)
    if num_pixels is None:
        return ops.reshape(features, (batch, -1, channels))
    return ops.reshape(features, (-1, num_pixels, channels))


def _mean_of_largest(pixels, k):
    """Equation 3, with the gradient taken at the k-th largest value.

    That value is a threshold: pixels above it pass 1 / k of the gradient on,
    pixels at it share what is left, the rest get nothing. This needs one
    comparison of the feature map and no index, where the gradient of `top_k`
    scatters and that of the insertions walks back through all of them.
    """

    @ops.custom_gradient
    def pool(pixels):
        largest = k_largest(pixels, k)  # (b, c, k)
        # Only reductions read `largest`: a slice of it makes XLA sort.
        threshold = ops.expand_dims(ops.min(largest, axis=-1), 1)  # (b, 1, c)

        def gradient(*args, upstream=None):
            # TensorFlow and JAX pass the upstream gradient alone, torch by
            # name after the inputs.
            upstream = args[0] if upstream is None else upstream
            each = ops.expand_dims(at_least_float32(upstream) / k, 1)
            above = largest > ops.expand_dims(threshold[:, 0], -1)
            num_above = ops.expand_dims(_count(above, -1, each.dtype), 1)
            at = pixels == threshold
            num_at = ops.expand_dims(_count(at, 1, each.dtype), 1)
            share = each * (k - num_above) / num_at
            below = ops.where(at, cast_back(share, pixels), 0.0)
            return ops.where(pixels > threshold, cast_back(each, pixels), below)

        total = ops.sum(at_least_float32(largest), axis=-1)
        return cast_back(total / k, pixels), gradient

    return pool(pixels)


def _weighted_mean(pixels, k, weights):
    """Equation 4; the weights get their gradient by differentiation."""
    weights = at_least_float32(weights)
    if tuple(weights.shape) != (k,):
        raise ValueError(
            f"`weights` must have shape (k,) = ({k},). "
            f"Received: weights of shape {tuple(weights.shape)}."
        )
    largest = at_least_float32(_differentiable_largest(pixels, k))
    weights = ops.cast(weights, largest.dtype)
    return cast_back(ops.sum(largest * weights, axis=-1) / k, pixels)


def _differentiable_largest(pixels, k):
    """k_largest, whose equal values share their gradient equally."""

    @ops.custom_gradient
    def select(pixels):
        largest = k_largest(pixels, k)  # (b, c, k)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return _spread_over_ties(pixels, largest, upstream)

        return largest, gradient

    return select(pixels)


def _spread_over_ties(pixels, largest, upstream):
    """Gradient of the k largest (b, c, k) for the pixels (b, pixels, c)."""
    tied = ops.expand_dims(largest, -1) == ops.expand_dims(largest, -2)
    given = at_least_float32(ops.expand_dims(upstream, -2))
    given = ops.sum(ops.where(tied, given, 0.0), axis=-1)  # (b, c, k)
    # All equals of a value are in `largest`, except those of the lowest.
    threshold = ops.min(largest, axis=-1, keepdims=True)  # (b, c, 1)
    at = pixels == ops.expand_dims(threshold[..., 0], 1)
    num_at = ops.expand_dims(_count(at, 1, given.dtype), -1)
    num_tied = _count(tied, -1, given.dtype)
    num_tied = ops.where(largest == threshold, num_at, num_tied)
    share = cast_back(given / num_tied, pixels)
    result = ops.zeros_like(pixels)
    for rank in range(largest.shape[-1]):
        at = pixels == ops.expand_dims(largest[..., rank], 1)
        result = ops.where(at, ops.expand_dims(share[..., rank], 1), result)
    return result


def _count(condition, axis, dtype):
    """Number of True values; `dtype` not half, which counts to 256 only."""
    return ops.sum(ops.cast(condition, dtype), axis=axis)
