"""Bilinear sampling inside boxes, of feature maps and of images."""

from keras import ops

from keras_fgvc._checks import as_size, check_positive_int, check_rank
from keras_fgvc.ops._precision import at_least_float32
from keras_fgvc.ops.regions._box_checks import check_normalized_boxes
from keras_fgvc.ops.regions._separable import Axis, sample


def roi_align(features, boxes, output_size, samples=2):
    """Pools the features inside boxes by bilinear sampling.

    Each box is cut into `output_size` bins, and each bin is the mean of
    `samples` x `samples` bilinear samples at the centres of its equal parts.
    On an axis of L cells the box spans `[low * L, high * L]`, and cell i has
    its centre at i + 0.5. A sample further than half a cell outside the map
    counts as 0, one nearer takes the value of the border.

    RoIAlign of He, Gkioxari, Dollar and Girshick, "Mask R-CNN", 2017, as
    torchvision computes it with `aligned=True` and `sampling_ratio=samples`,
    but boxes are normalised and get a gradient too.

    Args:
        features: Floating point tensor of shape
            `(batch, height, width, channels)`. Batch, height and width may be
            unknown until the graph runs.
        boxes: Tensor of shape `(batch, n, 4)`,
            `[y_min, x_min, y_max, x_max]` in 0..1.
        output_size: Pair of integers, height and width in bins, or one
            integer for a square.
        samples: Integer, samples per bin and axis. Defaults to 2.

    Returns:
        Tensor of shape `(batch, n, output_height, output_width, channels)` in
        the dtype of `features`. Positions are computed in float32 at least.

    Raises:
        ValueError: If a shape is not as described, `output_size` or `samples`
            is not positive, or eager boxes are plainly pixels.
        TypeError: If `output_size` or `samples` are not integers.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import roi_align

    features = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    top_left = [[[0.0, 0.0, 0.5, 0.5]]]
    roi_align(features, top_left, (1, 1))  # [[[[[2.5]]]]], mean of 0 1 4 5
    ```
    """
    output_size = as_size("output_size", output_size)
    check_positive_int("samples", samples)
    features = ops.convert_to_tensor(features)
    boxes = at_least_float32(boxes)
    check_rank(
        "features", features.shape, 4, "(batch, height, width, channels)"
    )
    check_normalized_boxes("boxes", boxes, (None, None, 4), "(batch, n, 4)")
    _, height, width, _ = ops.shape(features)
    y_min, x_min, y_max, x_max = (boxes[..., i : i + 1] for i in range(4))
    rows = Axis(y_min, y_max, height, output_size[0], samples)
    columns = Axis(x_min, x_max, width, output_size[1], samples)
    return sample(features, rows, columns)


def crop_and_resize(images, boxes, output_size):
    """Cuts boxes out of images and resizes them bilinearly.

    One bilinear sample at the centre of each output pixel, so a crop of the
    whole image at its own size is exactly the image. (tf.image's function of
    this name spans the box from its first to its last pixel centre instead,
    and is not exact.) Nothing is averaged: to shrink an image by far, resize
    it with antialiasing first. What lies further than half a pixel outside
    the image is 0.

    Args:
        images: Tensor of shape `(batch, height, width, channels)`, integer
            or floating point.
        boxes: Tensor of shape `(batch, 4)` or `(batch, n, 4)`,
            `[y_min, x_min, y_max, x_max]` in 0..1.
        output_size: Pair of integers, height and width in pixels, or one
            integer for a square.

    Returns:
        Tensor of shape `(batch, output_height, output_width, channels)` or
        `(batch, n, output_height, output_width, channels)`, in the dtype of
        floating point images, float32 for integers. Differentiable in images
        and boxes.

    Raises:
        ValueError: If a shape is not as described, `output_size` is not
            positive, or eager boxes are plainly pixels.
        TypeError: If `output_size` does not hold integers.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import crop_and_resize

    images = np.zeros((2, 32, 48, 3), "uint8")
    left_halves = [[0.0, 0.0, 1.0, 0.5], [0.0, 0.0, 1.0, 0.5]]
    crop_and_resize(images, left_halves, (16, 16))  # (2, 16, 16, 3), float32
    ```
    """
    images = ops.convert_to_tensor(images)
    boxes = at_least_float32(boxes)
    check_rank("images", images.shape, 4, "(batch, height, width, channels)")
    if len(boxes.shape) == 3:
        return roi_align(images, boxes, output_size, samples=1)
    check_rank("boxes", boxes.shape, 2, "(batch, 4) or (batch, n, 4)")
    boxes = ops.expand_dims(boxes, axis=1)
    return roi_align(images, boxes, output_size, samples=1)[:, 0]
