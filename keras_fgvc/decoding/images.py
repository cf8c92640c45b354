"""Decoding and resizing of encoded images, as one TensorFlow graph.

Training, evaluation and the served model all call `decode_and_resize`, so
one file gives the same pixels everywhere. What it decides:

- The format is read from the bytes, never from the file's name: JPEG, PNG,
  GIF (the first frame), BMP, WebP. Grey and CMYK become RGB, 16-bit PNG
  becomes 8-bit.
- Transparent pixels of a PNG, WebP or GIF lie on white. What an editor stores
  under a transparent pixel is arbitrary, so dropping the alpha channel would
  show colours nobody ever saw.
- The EXIF orientation of a JPEG, PNG or WebP is obeyed: a phone's photograph
  is upright. `exif.py` has the rules.
- An image that declares more than `max_pixels`, or a JPEG of very many scans,
  is refused before its pixels take any memory.
- A JPEG that is much larger than what is asked for is decoded at 1/2, 1/4 or
  1/8 of its size: the decoder averages, at a third of the cost. What is
  decoded is never smaller than what is asked for.
- Resizing averages areas where the image shrinks and is bilinear where it
  grows. The aspect ratio is not kept unless `resize` says so, see
  `resizing.py`. Bird photographs of 500 x 375 shrunk to
  224 x 224 then differ by 3.0 grey levels (root mean square) from Lanczos
  resampling and cost 0.35 ms; plain bilinear, which skips pixels, 4.5 and
  0.2 ms; TensorFlow's antialiased bilinear 3.7 and 1.4 ms, more than three
  times what decoding takes.
- uint8 out, rounded: four times less to shuffle and to copy to the device,
  and the same type with and without augmentation.

TensorFlow is imported where it is used.
"""

import functools
from typing import NamedTuple

from keras_fgvc._renamed import takes_old_names
from keras_fgvc.decoding import jpeg, resizing
from keras_fgvc.decoding.binary import shared
from keras_fgvc.decoding.choices import (
    decode_any,
    decode_at_least,
    look_at,
    try_any,
    upright_size,
)
from keras_fgvc.decoding.headers import MAX_PIXELS, kind_of_content
from keras_fgvc.decoding.inspection import KINDS, inspect


class Encoded(NamedTuple):
    """The content of an image file, not decoded yet.

    Args:
        content: Scalar string tensor.
        kinds: Names of the formats that it may have, of
            `inspection.KINDS`. Fewer make a smaller graph, which starts
            sooner; a file of another format is refused.
    """

    content: object
    kinds: tuple[str, ...] = KINDS


resize = resizing.resize  # its name before it had neighbours

# Counted up when the same file gives other pixels: caches of features note it.
DECODING = 2


def decode(
    encoded, least_size=None, *, max_pixels: int = MAX_PIXELS, kinds=KINDS
):
    """Decodes one image file to upright RGB pixels.

    Args:
        encoded: Scalar string tensor (or bytes), the content of a JPEG, PNG,
            GIF, BMP or WebP file.
        least_size: Pair `(height, width)` in pixels that is wanted at least:
            a larger JPEG may be decoded at 1/2, 1/4 or 1/8 of its size. None
            for the stored size.
        max_pixels: A file that declares more is refused undecoded.
        kinds: See `Encoded`.

    Returns:
        uint8 tensor of shape `(height, width, 3)`.

    Raises:
        tf.errors.InvalidArgumentError: The bytes are empty, cut short,
            corrupt or not an image, or declare too many pixels or scans.
    """
    of_any = decode_any(kinds)
    image, _ = decode_at_least(encoded, least_size, max_pixels, of_any)
    return image


def try_to_decode(encoded, least_size, max_pixels):
    """Decodes as `decode`; what the header reveals raises no error.

    Returns:
        Pair of the pixels and a string tensor, which says why there are none
        (0 x 0), or is empty.
    """
    return decode_at_least(encoded, least_size, max_pixels, try_any(KINDS))


def decode_window(encoded: Encoded, choose, least_size):
    """Decodes a part of one image file.

    Args:
        encoded: The file.
        choose: Function from the size of the upright image, int32 `(2,)`, to
            the pair (corner, size) of a window of it in pixels.
        least_size: Pixels of the window that are wanted at least: see
            `decode`.

    Returns:
        The window's pixels, uint8 `(height, width, 3)`, and the size of the
        upright image, int32 `(2,)`, as it was given to `choose`.
    """
    import tensorflow as tf

    encoded, kinds = tf.convert_to_tensor(encoded.content), encoded.kinds
    least_size = tf.constant(least_size)
    stored_size, is_plain = look_at(encoded, MAX_PIXELS)

    def of_plain_jpeg():
        size = tf.cast(stored_size, tf.int32)
        window = choose(size)
        return jpeg.decode_window(encoded, *window, least_size), size

    def of_any():
        size = shared(upright_size(kinds))(encoded)
        corner, part = choose(size)
        whole = least_size * size // part + 1  # At least, rounded up.
        image = decode(encoded, whole, kinds=kinds)
        # The decoded image may be a reduced one, and the window with it.
        found = tf.shape(image)[:2]
        row, column = tf.unstack((corner * found + size // 2) // size)
        height, width = tf.unstack(tf.maximum(part * found // size, 1))
        return image[row : row + height, column : column + width], size

    image, size = tf.cond(is_plain, of_plain_jpeg, of_any)
    return tf.ensure_shape(image, (None, None, 3)), size


@takes_old_names(image_size="load_size")
def decode_and_resize(
    encoded,
    load_size,
    *,
    resize: str = "squash",
    max_pixels: int = MAX_PIXELS,
    kinds=KINDS,
):
    """Decodes one image file and resizes it, for training and for serving.

    Args:
        encoded: Scalar string tensor (or bytes), the content of the file.
        load_size: Pair `(height, width)` in pixels.
        resize: `"squash"` (default) changes the aspect ratio, `"crop"` takes
            the largest central part of the aspect ratio of `load_size`, and
            `"pad"` adds mid-grey at two sides.
        max_pixels: A file that declares more is refused undecoded. Defaults
            to 89 million.
        kinds: See `Encoded`.

    Returns:
        uint8 tensor of shape `(*load_size, 3)`, RGB, 0..255.

    Raises:
        ValueError: `resize` is none of the three.
        tf.errors.InvalidArgumentError: The bytes are not a whole image, or
            declare too many pixels.

    Example:

    ```python
    import tensorflow as tf
    from keras_fgvc.data import decode_and_resize

    encoded = tf.io.encode_jpeg(tf.zeros((60, 80, 3), "uint8"))
    image = decode_and_resize(encoded, (32, 48))  # (32, 48, 3)
    ```
    """
    resizing.check_resize(resize)
    image = decode(encoded, load_size, max_pixels=max_pixels, kinds=kinds)
    placed, _ = resizing.place(image, load_size, resize)
    return placed


def to_uint8(image):
    """Rounds and clips float pixels to 0..255."""
    import tensorflow as tf

    return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)


def why_refused(encoded: bytes) -> str:
    """Says why `decode` refuses a file by its headers; empty if not."""
    import tensorflow as tf

    try:
        error = inspect(tf.constant(encoded), MAX_PIXELS).error
    except tf.errors.InvalidArgumentError:
        return ""
    return error.numpy().decode()


def check(encoded: bytes) -> tuple[int, int]:
    """Decodes a file to see that it is whole, at the least cost.

    Returns:
        (height, width) of the upright image.

    Raises:
        tf.errors.InvalidArgumentError: As `decode`.
    """
    import tensorflow as tf

    kind = kind_of_content(encoded)
    # A graph of one format is traced in a fraction of the time of all.
    kinds = KINDS if kind is None else (kind,)
    size = shared(_checked_size(kinds))(tf.constant(encoded))
    height, width = size.numpy().tolist()
    return height, width


@functools.cache
def _checked_size(kinds):
    """Returns a function of a file's content: the size, once it is decoded."""
    import tensorflow as tf

    def decoded_size(encoded):
        # One pixel is wanted: the decoder still reads every byte of a JPEG.
        image = decode(encoded, (1, 1), kinds=kinds)
        with tf.control_dependencies([image]):
            return upright_size(kinds)(encoded)

    return decoded_size
