"""Chooses how an image file is decoded; `images` has the rules.

Each operation of a graph costs microseconds, and milliseconds at the start of
an epoch, also in a branch that is not taken. A JPEG without EXIF, the most
common file, takes the shortest way, and all else is in functions that the
runtime does not inline.
"""

import functools

from keras_fgvc.decoding import exif, jpeg
from keras_fgvc.decoding.binary import shared, starts_with
from keras_fgvc.decoding.headers import MAX_PIXELS
from keras_fgvc.decoding.inspection import FORMATS, inspect, is_kind, pixels

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


@functools.cache
def decode_any(kinds):
    """Returns a function that decodes an image of some kinds, with all care."""
    import tensorflow as tf

    def decode(encoded, least_size, max_pixels):
        image, error = try_any(kinds)(encoded, least_size, max_pixels)
        is_decoded = tf.debugging.Assert(error == "", [error])
        with tf.control_dependencies([is_decoded]):
            return tf.identity(image), error

    return decode


@functools.cache
def try_any(kinds):
    """Returns a function as that of `decode_any`; it returns the error."""
    return functools.partial(_try, kinds=kinds)


def _try(encoded, least_size, max_pixels, kinds):
    import tensorflow as tf

    found = inspect(encoded, max_pixels, kinds)
    least_size = exif.upright_size(least_size, found.orientation)

    def upright():
        decode = _decoder(kinds)
        image = decode(encoded, found.size, least_size)
        return exif.turn_upright(image, found.orientation)

    image = tf.cond(
        found.error == "", upright, lambda: tf.zeros((0, 0, 3), tf.uint8)
    )
    return image, found.error


@functools.cache
def _decoder(kinds):
    return shared(functools.partial(_decode_kind, kinds=kinds))


def _decode_kind(encoded, size, least_size, kinds):
    import tensorflow as tf

    def of_jpeg():
        return jpeg.decode(encoded, size, least_size)

    ways = [
        (
            is_kind(encoded, kind),
            lambda kind=kind: shared(FORMATS[kind].decode)(encoded),
        )
        for kind in kinds
        if kind != "jpeg"
    ]
    return tf.case(ways, default=of_jpeg) if ways else of_jpeg()


@functools.cache
def upright_size(kinds):
    """Returns a function of a file's content: int32 `(height, width)`."""
    import tensorflow as tf

    def size_of(encoded):
        found = inspect(encoded, MAX_PIXELS, kinds)
        size = exif.upright_size(found.size, found.orientation)
        return tf.cast(size, tf.int32)

    return size_of
