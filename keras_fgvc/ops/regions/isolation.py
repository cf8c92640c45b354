"""One part of an image alone, its surroundings kept as a blur."""

from keras import ops

from keras_fgvc._checks import check_rank, check_shape
from keras_fgvc.ops._precision import at_least_float32, cast_back
from keras_fgvc.ops.regions.masks import box_masks, saliency_map

# Of a pixel value.
BRIGHTEST = 255.0


def isolate_boxes(images, boxes, noise, blurred):
    """Shows each box of an image alone, in one copy of the image a box.

    What a network then says of copy i it says because of box i: the other
    boxes are disturbed, the rest tells no more than the context.

        pixel in box i              image
        in another box, not in i    image + noise
        in none                     blurred

    cut off to 0..255. A pixel's box is that of `box_masks`.

    Source: "Dual Attention Fusion" (DAF) for fine-grained image
    classification, section 3.3 and figure 2. Where boxes overlap the text is
    silent: a box's own pixels stay as they are, as "firstly we keep the pixel
    in the box unchanged".

    Args:
        images: Tensor of shape `(batch, height, width, channels)`, pixel
            values 0..255. All but channels may be unknown until the graph
            runs.
        boxes: Tensor of shape `(batch, n, 4)`,
            `[y_min, x_min, y_max, x_max]`.
        noise: Tensor of the shape of `images`, or of batch 1 for the same
            noise in each image; in pixel values.
        blurred: Tensor of the shape of `images`; see `gaussian_blur`.

    Returns:
        Tensor of shape `(batch, n, height, width, channels)`, in the dtype of
        floating point images, float32 for integers. Differentiable in all but
        the boxes, which get no gradient.

    Raises:
        ValueError: If a shape is not as described.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import isolate_boxes

    images = np.array([10, 20, 30, 40], "float32").reshape(1, 1, 4, 1)
    boxes = [[[0.0, 0.0, 1.0, 0.25], [0.0, 0.25, 1.0, 0.5]]]
    noise, blurred = np.full((1, 1, 4, 1), 3.0), np.full((1, 1, 4, 1), 25.0)
    isolate_boxes(images, boxes, noise, blurred)[0, :, 0, :, 0]
    # [[10, 23, 25, 25], [13, 20, 25, 25]]
    ```
    """
    images, boxes = ops.convert_to_tensor(images), ops.convert_to_tensor(boxes)
    values = at_least_float32(images)
    noise = ops.cast(noise, values.dtype)
    blurred = ops.cast(blurred, values.dtype)
    layout = "(batch, height, width, channels)"
    check_rank("images", images.shape, 4, layout)
    # The batch is left out: that of the noise may be 1.
    check_shape("noise", noise.shape, (None, *images.shape[1:]), layout)
    check_shape("blurred", blurred.shape, images.shape, layout)
    check_shape("boxes", boxes.shape, (images.shape[0], None, 4), "(b, n, 4)")
    height, width = ops.shape(images)[1:3]
    some_box = ops.expand_dims(saliency_map(boxes, height, width), -1)
    own_box = ops.expand_dims(box_masks(boxes, height, width), -1)
    # The same around each box, as its own pixels cover it.
    around = ops.where(some_box > 0, values + noise, blurred)  # (b, h, w, c)
    views = ops.where(
        own_box > 0, ops.expand_dims(values, 1), ops.expand_dims(around, 1)
    )
    return cast_back(ops.clip(views, 0.0, BRIGHTEST), images)
