"""Gaussian blur that leaves the border of an image as bright as it was."""

import numbers

from keras import ops

from keras_fgvc._checks import check_in_range, check_rank
from keras_fgvc.ops._precision import at_least_float32, cast_back

# In pixels. Here the weight of a neighbour, exp(-1 / 2 sigma^2), is 0 in any
# precision, and a division by sigma^2 is still one by a number.
SMALLEST_SIGMA = 0.01


def gaussian_blur(images, sigma):
    """Blurs images with a Gaussian as wide as wanted.

    Each pixel becomes a weighted mean of all pixels of the image, in each
    channel on its own:

        out_yx = sum over i, j of  R_yi C_xj image_ij
        R_yi = exp(-(y - i)^2 / 2 sigma^2) / sum over k of exp(-(y - k)^2 / ..)

    and C like R along the width. The rows of R and C sum to one, so a border
    does not darken, as it does where an image is continued with zeros
    (`keras.ops.image.gaussian_blur`). The kernel is cut off nowhere but at the
    border. Two matrix products, whose cost does not grow with `sigma`: meant
    for heavy blur, such as that of what does not matter in an image; for a
    narrow kernel on a large image a convolution is cheaper.

    Args:
        images: Tensor of shape `(batch, height, width, channels)`, integer
            or floating point. All but channels may be unknown until the graph
            runs.
        sigma: Standard deviation in pixels, a number of at least 0 or a
            scalar tensor. At 0 images come back as they are.

    Returns:
        Tensor of the same shape, in the dtype of floating point images,
        float32 for integers; computed in float32 at least. Differentiable.

    Raises:
        ValueError: If `images` does not have four axes or `sigma` is
            negative. The value of a tensor is not checked.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import gaussian_blur

    images = np.array([0, 0, 255, 0, 0], "float32").reshape(1, 1, 5, 1)
    gaussian_blur(images, 0.5)[0, 0, :, 0]  # [0.1, 27.2, 200.6, 27.2, 0.1]
    ```
    """
    if isinstance(sigma, numbers.Real):
        check_in_range("sigma", sigma, 0, float("inf"))
    images = ops.convert_to_tensor(images)
    check_rank("images", images.shape, 4, "(batch, height, width, channels)")
    values = at_least_float32(images)
    _, height, width, _ = ops.shape(images)
    rows = _weights(height, sigma, values.dtype)
    columns = _weights(width, sigma, values.dtype)
    # Channels first: with them last the second product has rows of three.
    values = ops.transpose(values, (0, 3, 1, 2))  # (b, c, h, w)
    values = ops.matmul(ops.matmul(rows, values), ops.transpose(columns))
    return cast_back(ops.transpose(values, (0, 2, 3, 1)), images)


def _weights(length, sigma, dtype):
    """(length, length): the share of each pixel (column) in each (row)."""
    positions = ops.cast(ops.arange(length), dtype)
    sigma = ops.maximum(ops.cast(sigma, dtype), SMALLEST_SIGMA)
    distances = (ops.expand_dims(positions, 1) - positions) / sigma
    weights = ops.exp(-0.5 * ops.square(distances))
    return weights / ops.sum(weights, axis=1, keepdims=True)
