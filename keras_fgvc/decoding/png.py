"""PNG: its size, alpha and orientation."""

from keras_fgvc.decoding import exif
from keras_fgvc.decoding.alpha import on_white
from keras_fgvc.decoding.binary import contains, number

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPE_AT = 25
ALPHA_TYPES = (b"\x04", b"\x06")  # grey and RGB, each with alpha
LAST_ALPHA_CHUNKS = (b"tRNS", b"IDAT", b"IEND")
LAST_EXIF_CHUNKS = (b"eXIf", b"IEND")
# Before the pixels; files have about ten. Empty chunks cost 12 bytes each.
MAX_CHUNKS = 256
# Of a whole file that holds the name eXIf; the pixels lie in chunks of 8 kB
# or more, so this is 33 MB.
MAX_ALL_CHUNKS = 4096
# Padding, so that a file cut short ends with a chunk too.
END = b"\0\0\0\0IEND" + bytes(32)


def read_size(encoded):
    """The declared `(height, width)`, int64, before the orientation."""
    import tensorflow as tf

    # The decoder steps over unknown chunks to a header that lies behind.
    chunk = tf.strings.substr(encoded, 12, 4)
    is_first = tf.debugging.Assert(chunk == b"IHDR", ["no header in a PNG"])
    with tf.control_dependencies([is_first]):
        width = number(encoded, 16, 4, big_endian=True)
    return tf.stack([number(encoded, 20, 4, big_endian=True), width])


def inspect(encoded):
    """The stored size, the orientation, and "": nothing is refused."""
    return read_size(encoded), read_orientation(encoded), ""


def decode(encoded):
    """Decodes RGB pixels, on white where the file has alpha."""
    import tensorflow as tf

    # Asked for four channels, TensorFlow gives an opaque PNG of fewer than
    # eight bits an alpha of nearly zero.
    return tf.cond(
        has_alpha(encoded),
        lambda: on_white(tf.io.decode_png(encoded, channels=4)),
        lambda: tf.io.decode_png(encoded, channels=3),
    )


def has_alpha(encoded):
    """Tells whether the colour type or a chunk tRNS gives a PNG alpha."""
    import tensorflow as tf

    _, kind = _find(encoded, LAST_ALPHA_CHUNKS, MAX_CHUNKS)
    colour_type = tf.strings.substr(encoded + END, COLOUR_TYPE_AT, 1)
    return tf.reduce_any(colour_type == ALPHA_TYPES) | (kind == b"tRNS")


def read_orientation(encoded):
    """The orientation of the chunk eXIf, before or behind the pixels."""
    import tensorflow as tf

    def search():
        at, kind = _find(encoded, LAST_EXIF_CHUNKS, MAX_ALL_CHUNKS)
        length = _chunk_length(encoded + END, at, encoded)
        length = tf.where(kind == b"eXIf", length, 0)
        return exif.read_orientation(
            tf.strings.substr(encoded + END, at + 8, length)
        )

    return tf.cond(
        contains(encoded, "eXIf"), search, lambda: tf.constant(exif.UPRIGHT)
    )


def _find(encoded, kinds, limit):
    """Position and name of the first chunk of one of these kinds."""
    import tensorflow as tf

    padded = encoded + END

    def kind(at):
        return tf.strings.substr(padded, at + 4, 4)

    (at,) = tf.while_loop(
        lambda at: ~tf.reduce_any(kind(at) == kinds),
        lambda at: (
            tf.minimum(
                at + _chunk_length(padded, at, encoded) + 12,
                tf.strings.length(encoded),
            ),
        ),
        (tf.constant(len(SIGNATURE)),),
        maximum_iterations=limit,
    )
    return at, kind(at)


def _chunk_length(padded, at, encoded):
    """Bytes of content, int32; at most those of the file."""
    import tensorflow as tf

    size = tf.cast(tf.strings.length(encoded), tf.int64)
    length = number(padded, at, 4, big_endian=True)
    return tf.cast(tf.minimum(length, size), tf.int32)
