"""Bilinear attention pooling and the normalisation that goes with it.

Hu et al., "See Better Before Looking Closer: Weakly Supervised Data
Augmentation Network for Fine-Grained Visual Classification", 2019, and
Eshratifar et al., "Coarse2Fine: A Two-stage Training Method for Fine-grained
Visual Classification", 2019.
"""

from keras import ops

from keras_fgvc._checks import check_choice, check_rank
from keras_fgvc.ops._precision import at_least_float32, cast_back

POOLINGS = ("average", "max")


def signed_sqrt(x, epsilon=1e-6):
    """Square root that keeps the sign: sign(x) sqrt(|x|), smooth at 0.

        y = x / sqrt(|x| + epsilon)

    Dampens the few large values of a bilinear feature. This form is odd and
    strictly increasing, is 0 at 0 and has there the slope 1 / sqrt(epsilon),
    its largest. The common `sign(x) * sqrt(|x| + epsilon)` jumps at 0 and its
    gradient there is 0, so a feature that is exactly 0 never leaves it. The
    price is that y is too short by the factor 1 - epsilon / (2 |x|), which is
    below 0.1 % from |x| = 500 epsilon on.

    Args:
        x: Floating point tensor of any shape.
        epsilon: Positive number, where the root turns into a straight line.
            Defaults to 1e-6, a slope of 1000 at 0.

    Returns:
        Tensor of the shape and dtype of `x`, computed in float32 at least.

    Raises:
        ValueError: If `epsilon` is not positive.

    Example:

    ```python
    from keras_fgvc.ops import signed_sqrt

    signed_sqrt([-4.0, 0.0, 9.0])  # [-2.0, 0.0, 3.0]
    ```
    """
    if not epsilon > 0:
        raise ValueError(
            "`epsilon` must be positive, or the gradient at 0 is infinite. "
            f"Received: epsilon={epsilon}."
        )
    x = ops.convert_to_tensor(x)
    values = at_least_float32(x)
    return cast_back(values * ops.rsqrt(ops.abs(values) + epsilon), x)


def bilinear_attention_pool(features, attention, pooling="average"):
    """Pools the features once under each attention map: one row a part.

        part_mc = 1 / (h w) * sum over pixels of attention_m * features_c
        part_mc = max over pixels of attention_m * features_c  (`"max"`)

    Coarse2Fine, equation 1 and figure 4.

    The average is one matrix product an image; the products of maps and
    channels never exist. The maximum has no such form: it goes through the
    map row by row and keeps the running maximum and its pixel, so it holds
    the products of one row, a share 1 / height of all. Of equal products the
    first pixel gets the gradient, as in max pooling.

    Args:
        features: Floating point tensor of shape
            `(batch, height, width, channels)`.
        attention: Tensor of shape `(batch, height, width, maps)`. Batch,
            height and width may be unknown until the graph runs.
        pooling: `"average"` or `"max"`. Defaults to `"average"`.

    Returns:
        Tensor of shape `(batch, maps, channels)` in the dtype of `features`.
        Half precision is pooled in float32.

    Raises:
        ValueError: If a shape is wrong or `pooling` unknown.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import bilinear_attention_pool

    features = np.array([1.0, 2.0, 3.0, 4.0], "float32").reshape(1, 2, 2, 1)
    attention = np.zeros((1, 2, 2, 2), "float32")
    attention[0, 0, 0, 0], attention[0, 1, :, 1] = 2.0, 1.0
    bilinear_attention_pool(features, attention)  # [[[0.5], [1.75]]]
    bilinear_attention_pool(features, attention, "max")  # [[[2.0], [4.0]]]
    ```
    """
    check_choice("pooling", pooling, POOLINGS)
    features = ops.convert_to_tensor(features)
    values, attention = at_least_float32(features), at_least_float32(attention)
    check_same_pixels(values.shape, attention.shape)
    pool = _average if pooling == "average" else _maximum
    return cast_back(pool(values, ops.cast(attention, values.dtype)), features)


def check_same_pixels(features_shape, attention_shape):
    """Raises unless both are maps, and of one size as far as is known."""
    layout = "(batch, height, width, {})"
    check_rank("features", features_shape, 4, layout.format("channels"))
    check_rank("attention", attention_shape, 4, layout.format("maps"))
    sides = zip(features_shape[1:3], attention_shape[1:3], strict=True)
    if any(None not in pair and pair[0] != pair[1] for pair in sides):
        raise ValueError(
            "`attention` must have the height and width of `features`. "
            f"Received: features of shape {tuple(features_shape)}, "
            f"attention of shape {tuple(attention_shape)}."
        )


def _average(features, attention):
    """A matrix product; `ops.einsum` has a slow gradient (2-3 times)."""
    _, height, width, channels = ops.shape(features)
    maps, pixels = attention.shape[-1], height * width
    # Divided where it is cheapest: of the three arrays the smallest.
    attention = attention / ops.cast(pixels, attention.dtype)
    attention = ops.reshape(attention, (-1, pixels, maps))
    features = ops.reshape(features, (-1, pixels, channels))
    return ops.matmul(ops.transpose(attention, (0, 2, 1)), features)


def _maximum(features, attention):
    """Looks for the largest product's pixel, then multiplies there only.

    Nothing differentiates the search: the gradient is that of two gathers.
    """
    _, height, width, channels = ops.shape(features)
    maps, pixels = attention.shape[-1], height * width
    pixel = _pixel_of_largest(
        ops.stop_gradient(features), ops.stop_gradient(attention)
    )  # (b, m, c)
    features = ops.reshape(features, (-1, pixels, channels))
    attention = ops.reshape(attention, (-1, pixels, maps))
    feature = ops.take_along_axis(features, pixel, axis=1)
    pixel = ops.transpose(pixel, (0, 2, 1))
    weight = ops.take_along_axis(attention, pixel, axis=1)  # (b, c, m)
    return feature * ops.transpose(weight, (0, 2, 1))


def _pixel_of_largest(features, attention):
    """(b, h, w, c), (b, h, w, m) -> (b, m, c), counted along the rows."""
    _, height, width, _ = ops.shape(features)
    columns = ops.reshape(ops.arange(width, dtype="int32"), (-1, 1, 1))

    def search_row(row, state):
        largest, pixel = state
        products = ops.expand_dims(features[:, row], 2)
        products = products * ops.expand_dims(attention[:, row], 3)
        value = ops.max(products, axis=1)  # (b, w, m, c) -> (b, m, c)
        at = products == ops.expand_dims(value, 1)
        column = ops.min(ops.where(at, columns, width - 1), axis=1)
        higher = value > largest
        pixel = ops.where(higher, row * width + column, pixel)
        return ops.where(higher, value, largest), pixel

    # Shaped like the result: one product of the first pixel.
    first = ops.expand_dims(features[:, 0, 0], 1)
    first = first * ops.expand_dims(attention[:, 0, 0], 2)
    lowest = ops.full_like(first, -float("inf"))
    state = (lowest, ops.zeros_like(first, dtype="int32"))
    return ops.fori_loop(0, height, search_row, state)[1]
