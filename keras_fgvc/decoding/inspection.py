"""Reads inside a graph what an image file declares, before any pixel.

A file of a hundred bytes can declare 60,000 x 60,000 pixels, for which a
decoder would take 10 GB. Training, evaluation and the served model all ask
`inspect` first. Broken headers raise, as the decoders do.

`keras_fgvc.decoding.headers` reads the same from files, in Python.
"""

import functools
from typing import NamedTuple

from keras_fgvc.decoding import bmp, exif, gif, jpeg, png, webp
from keras_fgvc.decoding.binary import shared, starts_with
from keras_fgvc.decoding.headers import UNKNOWN

EMPTY = "is empty (0 bytes)"
FORMATS = {"jpeg": jpeg, "png": png, "gif": gif, "bmp": bmp, "webp": webp}
KINDS = tuple(FORMATS)


class Header(NamedTuple):
    """Facts of the header of an image.

    Args:
        size: int64 tensor `(height, width)` of the pixels as stored.
        orientation: int32 tensor, 1 (upright) to 8.
        error: String tensor, why the image is not decoded; empty if it is.
    """

    size: object
    orientation: object
    error: object


def inspect(encoded, max_pixels, kinds=KINDS) -> Header:
    """Reads the header of an image file.

    Args:
        encoded: Scalar string tensor, the content of the file.
        max_pixels: A file that declares more is refused.
        kinds: Names of formats, of `KINDS`. Others are no images.

    Raises:
        tf.errors.InvalidArgumentError: The header is cut short or corrupt.
    """
    import tensorflow as tf

    found = Header(*_inspector(kinds)(encoded))
    error = size_error(found.size, max_pixels)
    return found._replace(error=tf.where(error == "", found.error, error))


def declared_size(encoded):
    """The `(height, width)` of the pixels as stored, int64."""
    return Header(*_inspector(KINDS)(encoded)).size


def size_error(size, max_pixels):
    """The error of a declared size over the limit, or an empty string."""
    import tensorflow as tf

    height, width = tf.unstack(tf.strings.as_string(size))
    limit = tf.strings.as_string(max_pixels)
    limit = tf.strings.join([" pixels; at most ", limit])
    text = ["declares ", height, " x ", width, limit, " in all are decoded"]
    is_large = pixels(size) > tf.cast(max_pixels, tf.float64)
    return tf.where(is_large, tf.strings.join(text), "")


def pixels(size):
    """The number of pixels of a declared size."""
    import tensorflow as tf

    # In float: two sides of 32 bits can overflow a product of 64.
    return tf.reduce_prod(tf.cast(size, tf.float64))


def is_kind(encoded, kind):
    """Tells whether the content is of the format of a name."""
    if kind == "webp":
        return webp.is_webp(encoded)
    return starts_with(encoded, FORMATS[kind].SIGNATURE)


@functools.cache
def _inspector(kinds):
    return shared(functools.partial(_inspect, kinds=kinds))


def _inspect(encoded, kinds):
    import tensorflow as tf

    def of_kind(kind):
        size, orientation, error = shared(kind.inspect)(encoded)
        return size, tf.cast(orientation, tf.int32), tf.convert_to_tensor(error)

    def of_no_image():
        error = tf.where(tf.strings.length(encoded) == 0, EMPTY, UNKNOWN)
        return tf.zeros(2, tf.int64), tf.constant(exif.UPRIGHT), error

    ways = [
        (is_kind(encoded, kind), lambda kind=kind: of_kind(FORMATS[kind]))
        for kind in kinds
    ]
    return tf.case(ways, default=of_no_image)
