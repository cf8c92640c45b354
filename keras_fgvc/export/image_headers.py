"""The size that an encoded image declares, read inside a graph.

A file of a hundred bytes can declare 60,000 x 60,000 pixels, for which a
decoder would take 10 GB. A served graph reads the declared size first. Broken
headers raise, as the decoders do: call these where an error is caught
(`encoded_images.read_images`).

`keras_fgvc.data.headers` reads the same sizes from files, in Python.
"""

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
GIF = b"GIF8"
BMP = b"BM"
RIFF, WEBP = b"RIFF", b"WEBP"  # Four bytes of length lie between them.
GIF_SIZE_AT = 5  # Bytes from an image's separator to its width.
# A GIF's data lies in blocks of up to 255 bytes, walked one by one: these
# limits (25 MB in full blocks) keep a file of tiny ones from taking minutes.
MAX_DATA_BLOCKS = 100_000
MAX_EXTENSIONS = 100
MAX_EXTENSION_BLOCKS = 1000


def is_kind(encoded, signature: bytes):
    """Scalar string tensor -> scalar bool: starts it with these bytes?"""
    import tensorflow as tf

    return tf.strings.substr(encoded, 0, len(signature)) == signature


def is_webp(encoded):
    """The same for WebP, one of several kinds of RIFF files."""
    import tensorflow as tf

    padded = tf.strings.substr(encoded, 0, 12) + b" " * 12
    name = tf.strings.substr(padded, 8, 4)
    return tf.logical_and(is_kind(encoded, RIFF), name == WEBP)


def is_known(encoded):
    """Is this a JPEG, PNG, GIF, BMP or WebP file, by its first bytes?"""
    import tensorflow as tf

    kinds = [is_kind(encoded, known) for known in (PNG, JPEG, GIF, BMP)]
    return tf.reduce_any([*kinds, is_webp(encoded)])


def declared_size(encoded):
    """Reads the size of an image of a known kind; GIF: of its first frame.

    Args:
        encoded: Scalar string tensor, the content of the file.

    Returns:
        int64 tensor `(height, width)`, before the EXIF orientation.
    """
    import tensorflow as tf

    readers = [
        (is_kind(encoded, PNG), lambda: _png_size(encoded)),
        (is_kind(encoded, GIF), lambda: _gif_size(encoded)),
        (is_kind(encoded, BMP), lambda: _bmp_size(encoded)),
        (is_kind(encoded, RIFF), lambda: _webp_size(encoded)),
    ]
    return tf.case(readers, default=lambda: _jpeg_size(encoded))


def first_frame(encoded):
    """Cuts an animated GIF after its first frame; all else stays.

    The decoder would decode all frames and make the first as large as the
    largest: 300 kB then cost 20 seconds and 1.2 GB.
    """
    import tensorflow as tf

    def cut():
        start = _gif_image(encoded)
        table = _color_table_bytes(_number(encoded, start + 9, 1))
        # The separator, nine bytes of descriptor, the table, the code size.
        end = _after_blocks(encoded, start + 11 + table, MAX_DATA_BLOCKS)
        zero = tf.constant(0, tf.int64)
        return tf.strings.substr(encoded, zero, end) + b";"

    return tf.cond(is_kind(encoded, GIF), cut, lambda: encoded)


def _number(encoded, at, count, big_endian=False):
    """The unsigned number of `count` bytes at a position, int64."""
    import tensorflow as tf

    found = tf.strings.substr(encoded, at, count)
    codes = tf.io.decode_raw(found, tf.uint8)
    codes = tf.ensure_shape(codes, (count,))  # Raises where bytes are missing.
    powers = [256**place for place in range(count)]
    powers = powers[::-1] if big_endian else powers
    return tf.reduce_sum(tf.cast(codes, tf.int64) * powers)


def _jpeg_size(encoded):
    import tensorflow as tf

    return tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64)


def _png_size(encoded):
    import tensorflow as tf

    # The decoder steps over unknown chunks to a header that lies behind.
    chunk = tf.strings.substr(encoded, 12, 4)
    with tf.control_dependencies([tf.debugging.assert_equal(chunk, b"IHDR")]):
        width = _number(encoded, 16, 4, big_endian=True)
    return tf.stack([_number(encoded, 20, 4, big_endian=True), width])


def _bmp_size(encoded):
    import tensorflow as tf

    def signed(value):
        return tf.where(value < 2**31, value, value - 2**32)

    # A negative height: stored from the top.
    height = tf.abs(signed(_number(encoded, 22, 4)))
    return tf.stack([height, signed(_number(encoded, 18, 4))])


def _webp_size(encoded):
    import tensorflow as tf

    kind = tf.strings.substr(encoded, 12, 4)

    def extended():
        return [_number(encoded, at, 3) + 1 for at in (27, 24)]

    def lossless():
        bits = _number(encoded, 21, 4)
        return [bits // 2**14 % 2**14 + 1, bits % 2**14 + 1]

    def lossy():
        # The decoder takes a frame without its name too, elsewhere.
        named = tf.debugging.assert_equal(kind, b"VP8 ")
        with tf.control_dependencies([named]):
            return [_number(encoded, at, 2) % 2**14 for at in (28, 26)]

    kinds = [(kind == b"VP8X", extended), (kind == b"VP8L", lossless)]
    return tf.stack(tf.case(kinds, default=lossy))


def _gif_size(encoded):
    import tensorflow as tf

    at = _gif_image(encoded) + GIF_SIZE_AT
    return tf.stack([_number(encoded, at + 2, 2), _number(encoded, at, 2)])


def _gif_image(encoded):
    """Where the first image descriptor starts, after all extensions."""
    import tensorflow as tf

    start = 13 + _color_table_bytes(_number(encoded, 10, 1))
    (at,) = tf.while_loop(
        lambda at: tf.strings.substr(encoded, at, 1) == b"!",
        lambda at: (_after_blocks(encoded, at + 2, MAX_EXTENSION_BLOCKS),),
        (start,),
        maximum_iterations=MAX_EXTENSIONS,
    )
    found = tf.strings.substr(encoded, at, 1)
    with tf.control_dependencies([tf.debugging.assert_equal(found, b",")]):
        return tf.identity(at)


def _color_table_bytes(flags):
    """Length of the table that a byte of flags announces."""
    import tensorflow as tf

    entries = tf.bitwise.left_shift(tf.constant(2, tf.int64), flags % 8)
    return tf.where(flags >= 128, 3 * entries, 0)


def _after_blocks(encoded, at, limit):
    """The position after a chain of data blocks and its end mark."""
    import tensorflow as tf

    # At the limit what follows is no end mark: the decoder refuses the file.
    _, end = tf.while_loop(
        lambda length, at: length > 0,
        lambda length, at: (
            _number(encoded, at + length + 1, 1),
            at + length + 1,
        ),
        (_number(encoded, at, 1), at),
        maximum_iterations=limit,
    )
    return end + 1
