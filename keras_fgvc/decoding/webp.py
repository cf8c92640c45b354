"""WebP: its size, alpha and orientation."""

from keras_fgvc.decoding import exif
from keras_fgvc.decoding.alpha import on_white
from keras_fgvc.decoding.binary import number, starts_with

# Four bytes of length lie between them.
RIFF, WEBP = b"RIFF", b"WEBP"
FLAGS_AT = 20
FIRST_CHUNK_AT = 12
ANIMATED, EXIF, ALPHA = 0x02, 0x08, 0x10
HEAD_BYTES = 32
# One image has five at most, and what programs add.
MAX_CHUNKS = 256


def is_webp(encoded):
    """Tells a WebP file from the other kinds of RIFF files."""
    import tensorflow as tf

    padded = encoded + bytes(HEAD_BYTES)
    name = tf.strings.substr(padded, 8, 4)
    return starts_with(encoded, RIFF) & (name == WEBP)


def read_size(encoded):
    """The declared `(height, width)`, int64, before the orientation."""
    import tensorflow as tf

    kind = tf.strings.substr(encoded, FIRST_CHUNK_AT, 4)

    def extended():
        return [number(encoded, at, 3) + 1 for at in (27, 24)]

    def lossless():
        bits = number(encoded, 21, 4)
        return [bits // 2**14 % 2**14 + 1, bits % 2**14 + 1]

    def lossy():
        # The decoder takes a frame without its name too, elsewhere.
        named = tf.debugging.Assert(kind == b"VP8 ", ["no frame in a WebP"])
        with tf.control_dependencies([named]):
            return [number(encoded, at, 2) % 2**14 for at in (28, 26)]

    kinds = [(kind == b"VP8X", extended), (kind == b"VP8L", lossless)]
    return tf.stack(tf.case(kinds, default=lossy))


def inspect(encoded):
    """The stored size, the orientation, and "": nothing is refused."""
    return read_size(encoded), read_orientation(encoded), ""


def decode(encoded):
    """Decodes RGB pixels, on white where the file has alpha."""
    import tensorflow as tf

    def decoded(channels):
        image = tf.io.decode_image(
            encoded, channels=channels, expand_animations=False
        )
        return tf.ensure_shape(image, (None, None, channels))

    # TensorFlow refuses other channels than the file's. It must not choose
    # them: that ended the whole process on one of the tests' bad files.
    return tf.cond(
        has_alpha(encoded),
        lambda: on_white(decoded(4)),
        lambda: decoded(3),
    )


def has_alpha(encoded):
    """Tells whether the header of a WebP, not animated, announces alpha."""
    kind, head = _head(encoded)
    is_extended_alpha = head[FLAGS_AT] & (ALPHA | ANIMATED) == ALPHA
    is_lossless_alpha = head[24] & 0x10 == 0x10
    return ((kind == b"VP8X") & is_extended_alpha) | (
        (kind == b"VP8L") & is_lossless_alpha
    )


def read_orientation(encoded):
    """The orientation of the chunk EXIF, if the header announces it."""
    import tensorflow as tf

    kind, head = _head(encoded)
    padded = encoded + bytes(HEAD_BYTES)
    size = tf.strings.length(encoded)

    def length(at):
        found = number(padded, at + 4, 4)
        return tf.cast(tf.minimum(found, tf.cast(size, tf.int64)), tf.int32)

    def step(at):
        found = length(at)
        return (tf.minimum(at + 8 + found + found % 2, size),)

    def search():
        (at,) = tf.while_loop(
            lambda at: (
                (tf.strings.substr(padded, at, 4) != b"EXIF") & (at < size)
            ),
            step,
            (tf.constant(FIRST_CHUNK_AT),),
            maximum_iterations=MAX_CHUNKS,
        )
        is_found = tf.strings.substr(padded, at, 4) == b"EXIF"
        count = tf.where(is_found, length(at), 0)
        return exif.read_orientation(tf.strings.substr(padded, at + 8, count))

    return tf.cond(
        (kind == b"VP8X") & (head[FLAGS_AT] & EXIF == EXIF),
        search,
        lambda: tf.constant(exif.UPRIGHT),
    )


def _head(encoded):
    """Name of the first chunk, and the first bytes of the file."""
    import tensorflow as tf

    padded = encoded + bytes(HEAD_BYTES)
    head = tf.io.decode_raw(tf.strings.substr(padded, 0, HEAD_BYTES), tf.uint8)
    head = tf.ensure_shape(head, (HEAD_BYTES,))
    return tf.strings.substr(padded, FIRST_CHUNK_AT, 4), head
