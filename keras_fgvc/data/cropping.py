"""Crops along the axes, cut from the image as it is stored.

A crop that is not turned needs no map of each pixel: it is cut out, and only
what was cut out is resized, once. Against resizing the whole image and then
resampling a part of it, the crop is sharper and costs a fraction.
"""

import dataclasses

from keras_fgvc.data.images import decode_window, resize


@dataclasses.dataclass(frozen=True)
class Window:
    """Whole pixels of an image: `(2,)` int32 tensors, row before column."""

    image_size: object
    corner: object
    size: object


def choose_window(image_size, share, place) -> Window:
    """The window that is nearest to a share and a place.

    Args:
        image_size: int32 tensor `(2,)`, height and width in pixels.
        share: Scalar tensor, the window's share of the image's area.
        place: Tensor `(2,)` in 0..1, the window's place (x, y): 0 is far left
            or at the top, 1 far right or at the bottom.
    """
    import tensorflow as tf

    sides = tf.cast(image_size, tf.float32) * tf.sqrt(share)
    size = tf.maximum(tf.cast(tf.round(sides), tf.int32), 1)
    free = tf.cast(image_size - size, tf.float32)
    corner = tf.cast(tf.round(place[::-1] * free), tf.int32)
    return Window(image_size, corner, size)


def cut_image(image, window: Window, output_size):
    """`(height, width, 3)` -> uint8 `(*output_size, 3)`."""
    import tensorflow as tf

    row, column = tf.unstack(window.corner)
    height, width = tf.unstack(window.size)
    cut = image[row : row + height, column : column + width]
    return tf.ensure_shape(resize(cut, output_size), (*output_size, 3))


def cut_file(encoded, choose, output_size):
    """Decodes and resizes a window of an image file, and only the window.

    Args:
        encoded: Scalar string tensor, the content of the file.
        choose: Function from the image's size, int32 `(2,)`, to a `Window`.
        output_size: Pair (height, width) of the result.

    Returns:
        uint8 `(*output_size, 3)`, and the `Window` in pixels of the file.
    """

    def choose_place(image_size):
        window = choose(image_size)
        return window.corner, window.size

    image, image_size = decode_window(encoded, choose_place, output_size)
    return resize(image, output_size), choose(image_size)


def cut_box(box, window: Window):
    """Normalised `(..., 4)` -> what of it lies in the window, normalised.

    A box that lies wholly outside becomes all zeros.
    """
    import tensorflow as tf

    image_size, corner, size = (
        tf.tile(tf.cast(pair, tf.float32), [2])
        for pair in (window.image_size, window.corner, window.size)
    )
    cut = tf.clip_by_value((box * image_size - corner) / size, 0.0, 1.0)
    is_there = tf.reduce_all(cut[..., 2:] > cut[..., :2], -1, keepdims=True)
    return tf.where(is_there, cut, tf.zeros_like(cut))
