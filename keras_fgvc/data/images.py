"""Decoding and resizing of encoded images, as one TensorFlow graph.

Training, evaluation and the served model all call `decode_and_resize`, so
one file gives the same pixels everywhere. What it decides:

- The format is read from the bytes, never from the file's name: JPEG, PNG,
  GIF (the first frame), BMP, WebP. Grey and CMYK become RGB, 16-bit PNG
  becomes 8-bit.
- Transparent pixels of a PNG or WebP lie on white. What an editor stores
  under a transparent pixel is arbitrary, so dropping the alpha channel would
  show colours nobody ever saw.
- The EXIF orientation of a JPEG is obeyed: a phone's photograph is upright.
- Resizing averages areas where the image shrinks and is bilinear where it
  grows, axis by axis; the aspect ratio is not kept. Bird photographs of
  500 x 375 shrunk to 224 x 224 then differ by 3.0 grey levels (root mean
  square) from Lanczos resampling and cost 0.35 ms; plain bilinear, which
  skips pixels, 4.5 and 0.2 ms; TensorFlow's antialiased bilinear 3.7 and
  1.4 ms, more than three times what decoding takes.
- uint8 out, rounded: four times less to shuffle and to copy to the device,
  and the same type with and without augmentation.

TensorFlow is imported where it is used.
"""

from keras_fgvc.data.orientation import orientation_from_exif, turn_upright

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
RIFF_SIGNATURE = b"RIFF"
WEBP_HEAD_BYTES = 25
PNG_COLOUR_TYPE_AT = 25
PNG_ALPHA_TYPES = (b"\x04", b"\x06")  # grey and RGB, each with alpha
LAST_PNG_CHUNKS = (b"tRNS", b"IDAT", b"IEND")
# Before the pixels; files have about ten. Empty chunks cost 12 bytes each.
MAX_PNG_CHUNKS = 256
# Padding, so that a file cut short ends with a chunk too.
PNG_END = b"\0\0\0\0IEND" + b"\0" * len(PNG_SIGNATURE) * 4
BIG_ENDIAN = (2**24, 2**16, 2**8, 1)


def decode(encoded):
    """Decodes one image file to upright RGB pixels.

    Args:
        encoded: Scalar string tensor (or bytes), the content of a JPEG, PNG,
            GIF, BMP or WebP file.

    Returns:
        uint8 tensor of shape `(height, width, 3)`.

    Raises:
        tf.errors.InvalidArgumentError: The bytes are empty, cut short,
            corrupt or not an image.
    """
    import tensorflow as tf

    encoded = tf.convert_to_tensor(encoded)
    signature = tf.strings.substr(encoded, 0, len(PNG_SIGNATURE))
    image = tf.cond(
        signature == PNG_SIGNATURE,
        lambda: _decode_png(encoded),
        lambda: tf.cond(
            tf.strings.substr(encoded, 0, len(RIFF_SIGNATURE))
            == RIFF_SIGNATURE,
            lambda: _decode_webp(encoded),
            lambda: _decode_opaque(encoded),
        ),
    )
    image.set_shape((None, None, 3))
    return image


def resize(image, image_size):
    """Resizes raw pixels: area average to shrink, bilinear to enlarge.

    Args:
        image: Tensor `(height, width, 3)` or `(batch, height, width, 3)`.
        image_size: Pair `(height, width)` in pixels.

    Returns:
        uint8 tensor of the new height and width.
    """
    import tensorflow as tf

    stored_size = tf.shape(image)[-3:-1]
    shrunk_size = tf.minimum(stored_size, image_size)
    shrunk = tf.cond(
        tf.reduce_all(shrunk_size == stored_size),
        lambda: tf.cast(image, tf.float32),
        lambda: tf.image.resize(image, shrunk_size, method="area"),
    )
    return to_uint8(tf.image.resize(shrunk, image_size))


def decode_and_resize(encoded, image_size):
    """Decodes one image file and resizes it, for training and for serving.

    Args:
        encoded: Scalar string tensor (or bytes), the content of the file.
        image_size: Pair `(height, width)` in pixels.

    Returns:
        uint8 tensor of shape `(*image_size, 3)`, RGB, 0..255.

    Raises:
        tf.errors.InvalidArgumentError: The bytes are not a whole image.

    Example:

    ```python
    import tensorflow as tf
    from keras_fgvc.data import decode_and_resize

    encoded = tf.io.encode_jpeg(tf.zeros((60, 80, 3), "uint8"))
    image = decode_and_resize(encoded, (32, 48))  # (32, 48, 3)
    ```
    """
    return resize(decode(encoded), image_size)


def to_uint8(image):
    """Rounds and clips float pixels to 0..255."""
    import tensorflow as tf

    return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)


def _decode_png(encoded):
    import tensorflow as tf

    # Asked for four channels, TensorFlow gives an opaque PNG of fewer than
    # eight bits an alpha of nearly zero.
    return tf.cond(
        _png_has_alpha(encoded),
        lambda: _on_white(tf.io.decode_png(encoded, channels=4)),
        lambda: tf.io.decode_png(encoded, channels=3),
    )


def _png_has_alpha(encoded):
    """Tells whether the colour type or a tRNS chunk gives a PNG alpha."""
    import tensorflow as tf

    padded = encoded + PNG_END
    size = tf.strings.length(encoded)

    def kind(at):
        return tf.strings.substr(padded, at + 4, 4)

    def next_chunk(at):
        codes = tf.io.decode_raw(tf.strings.substr(padded, at, 4), tf.uint8)
        length = tf.reduce_sum(tf.cast(codes, tf.int64) * BIG_ENDIAN)
        # A length beyond the file ends the walk at its padding.
        step = tf.minimum(length, tf.cast(size, tf.int64))
        return (tf.minimum(at + tf.cast(step, tf.int32) + 12, size),)

    (at,) = tf.while_loop(
        lambda at: ~tf.reduce_any(kind(at) == LAST_PNG_CHUNKS),
        next_chunk,
        (tf.constant(len(PNG_SIGNATURE)),),
        maximum_iterations=MAX_PNG_CHUNKS,
    )
    colour_type = tf.strings.substr(padded, PNG_COLOUR_TYPE_AT, 1)
    is_alpha = tf.reduce_any(colour_type == PNG_ALPHA_TYPES)
    return is_alpha | (kind(at) == b"tRNS")


def _decode_webp(encoded):
    import tensorflow as tf

    def decoded(channels):
        image = tf.io.decode_image(
            encoded, channels=channels, expand_animations=False
        )
        return tf.ensure_shape(image, (None, None, channels))

    # TensorFlow refuses other channels than the file's. It must not choose
    # them: that ended the whole process on one of the tests' bad files.
    return tf.cond(
        _webp_has_alpha(encoded),
        lambda: _on_white(decoded(4)),
        lambda: decoded(3),
    )


def _webp_has_alpha(encoded):
    """Tells whether the header of a WebP, not animated, announces alpha."""
    import tensorflow as tf

    head = tf.strings.substr(encoded, 0, WEBP_HEAD_BYTES)
    head = tf.io.decode_raw(head + bytes(WEBP_HEAD_BYTES), tf.uint8)
    kind = tf.strings.substr(encoded + bytes(WEBP_HEAD_BYTES), 12, 4)
    is_extended_alpha = (kind == b"VP8X") & (head[20] & 0x12 == 0x10)
    is_lossless_alpha = (kind == b"VP8L") & (head[24] & 0x10 == 0x10)
    return is_extended_alpha | is_lossless_alpha


def _on_white(image):
    """Blends uint8 RGBA on white; uint16 needs half the memory of float32."""
    import tensorflow as tf

    alpha = tf.cast(image[..., 3:], tf.uint16)
    darkness = tf.cast(255 - image[..., :3], tf.uint16)
    return 255 - tf.cast((alpha * darkness + 127) // 255, tf.uint8)


def _decode_opaque(encoded):
    import tensorflow as tf

    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    return turn_upright(image, orientation_from_exif(encoded))
