"""Chooses how an image file is decoded; `images` has the rules.

Each operation of a graph costs microseconds, and milliseconds at the start of
an epoch, also in a branch that is not taken. A JPEG without EXIF, the most
common file, takes the shortest way, and all else is in functions that the
runtime does not inline.
"""

from keras_fgvc.decoding.formats import bmp, exif, gif, jpeg, png, webp
from keras_fgvc.decoding.formats.binary import shared, starts_with
from keras_fgvc.decoding.headers import MAX_PIXELS
from keras_fgvc.decoding.inspection import inspect, pixels

WHOLE = (2**31 - 1, 2**31 - 1)  # As a least size it asks for all pixels.


def decode_at_least(encoded, least_size, max_pixels, of_any):
    """Pixels and error of a plain JPEG; `of_any` decodes all else."""
    import tensorflow as tf

    encoded = tf.convert_to_tensor(encoded)
    size, is_plain = look_at(encoded, max_pixels)
    least = WHOLE if least_size is None else least_size
    limit = tf.constant(max_pixels, tf.int64)
    image, error = tf.cond(
        is_plain,
        lambda: (jpeg.decode(encoded, size, least_size), tf.constant("")),
        lambda: shared(of_any)(encoded, tf.convert_to_tensor(least), limit),
    )
    return tf.ensure_shape(image, (None, None, 3)), error


def look_at(encoded, max_pixels):
    """The stored size, and whether this is a JPEG that needs no care.

    The size is of a JPEG only.
    """
    import tensorflow as tf

    def of_jpeg():
        size = jpeg.read_size(encoded)
        is_small = pixels(size) <= float(max_pixels)
        return size, is_small & jpeg.is_plain(encoded)

    def of_other():
        return tf.zeros(2, tf.int64), tf.constant(False)

    return tf.cond(starts_with(encoded, jpeg.SIGNATURE), of_jpeg, of_other)


def decode_any(encoded, least_size, max_pixels):
    """Decodes an image of any kind, with all care."""
    import tensorflow as tf

    image, error = try_any(encoded, least_size, max_pixels)
    with tf.control_dependencies([tf.debugging.Assert(error == "", [error])]):
        return tf.identity(image), error


def try_any(encoded, least_size, max_pixels):
    import tensorflow as tf

    found = inspect(encoded, max_pixels)
    least_size = exif.upright_size(least_size, found.orientation)

    def upright():
        image = shared(_decode_kind)(encoded, found.size, least_size)
        return exif.turn_upright(image, found.orientation)

    image = tf.cond(
        found.error == "", upright, lambda: tf.zeros((0, 0, 3), tf.uint8)
    )
    return image, found.error


def _decode_kind(encoded, size, least_size):
    import tensorflow as tf

    kinds = [
        (
            starts_with(encoded, kind.SIGNATURE),
            lambda kind=kind: shared(kind.decode)(encoded),
        )
        for kind in (png, gif, bmp)
    ]
    kinds.append(
        (
            starts_with(encoded, webp.RIFF),
            lambda: shared(webp.decode)(encoded),
        )
    )
    return tf.case(
        kinds, default=lambda: jpeg.decode(encoded, size, least_size)
    )


def upright_size(encoded):
    import tensorflow as tf

    found = inspect(encoded, MAX_PIXELS)
    return tf.cast(exif.upright_size(found.size, found.orientation), tf.int32)
