"""GIF: its size, and its first frame with transparent pixels on white.

TensorFlow's decoder decodes all frames, makes the first as large as the
largest and shows transparent pixels black: 300 kB then cost 20 seconds and
1.2 GB. The file is therefore cut after its first frame, and the transparent
colour of its palette is painted white, before anything is decoded.
"""

from typing import NamedTuple

from keras_fgvc.decoding.binary import number, part, shared, starts_with

SIGNATURE = b"GIF8"
HEADER_BYTES = 13
FLAGS_AT = 10
SIZE_AT = 5  # Bytes from an image's separator to its width.
DESCRIPTOR_BYTES = 10  # with its separator
EXTENSION, SEPARATOR, END = b"!", b",", b";"
# A block of four bytes: flags, delay (two), the transparent colour.
GRAPHIC_CONTROL = b"!\xf9\x04"
WHITE = b"\xff\xff\xff"
# The data lie in blocks of up to 255 bytes, walked one by one: these limits
# (25 MB in full blocks) keep a file of tiny ones from taking minutes.
MAX_DATA_BLOCKS = 100_000
MAX_EXTENSIONS = 100
MAX_EXTENSION_BLOCKS = 1000


class _Start(NamedTuple):
    """Positions of the first image descriptor and its graphic control."""

    image: object
    control: object  # -1 for none


def read_size(encoded):
    """The declared `(height, width)` of the first frame, int64."""
    import tensorflow as tf

    at = shared(_find_image)(encoded)[0] + SIZE_AT
    return tf.stack([number(encoded, at + 2, 2), number(encoded, at, 2)])


def inspect(encoded):
    """The size, upright, and "": nothing is refused."""
    return read_size(encoded), 1, ""


def decode(encoded):
    """Decodes the first frame to RGB pixels."""
    import tensorflow as tf

    image = tf.io.decode_image(
        first_frame(encoded), channels=3, expand_animations=False
    )
    return tf.ensure_shape(image, (None, None, 3))


def first_frame(encoded):
    """Cuts a GIF after its first frame; transparent pixels become white."""
    import tensorflow as tf

    start = _Start(*shared(_find_image)(encoded))
    own_colours = _color_table_bytes(number(encoded, start.image + 9, 1))
    table = start.image + DESCRIPTOR_BYTES
    # Behind the table lies the code size.
    end = _after_blocks(encoded, table + own_colours + 1, MAX_DATA_BLOCKS)
    frame = part(encoded, 0, end) + END

    def painted():
        table_at = tf.where(own_colours > 0, table, HEADER_BYTES)
        colour = number(encoded, start.control + 6, 1)
        return _replace(frame, table_at + 3 * colour, WHITE)

    def is_transparent():
        return number(encoded, start.control + 3, 1) % 2 == 1

    has_control = start.control >= 0
    has_alpha = tf.cond(has_control, is_transparent, lambda: tf.constant(False))
    return tf.cond(
        has_alpha,
        # Without the flag the decoder shows the colour as any other.
        lambda: _replace(painted(), start.control + 3, b"\0"),
        lambda: frame,
    )


def _replace(text, at, new):
    import tensorflow as tf

    size = tf.cast(tf.strings.length(text), tf.int64)
    at = tf.minimum(at, size)
    rest = part(text, tf.minimum(at + len(new), size), size)
    return tf.strings.join([part(text, 0, at), new, rest])


def _find_image(encoded) -> _Start:
    """Finds the first image descriptor, after all extensions."""
    import tensorflow as tf

    def step(at, control):
        rest = tf.strings.substr(encoded, at, len(GRAPHIC_CONTROL))
        control = tf.where(starts_with(rest, GRAPHIC_CONTROL), at, control)
        return _after_blocks(encoded, at + 2, MAX_EXTENSION_BLOCKS), control

    start = HEADER_BYTES + _color_table_bytes(number(encoded, FLAGS_AT, 1))
    at, control = tf.while_loop(
        lambda at, _: tf.strings.substr(encoded, at, 1) == EXTENSION,
        step,
        (start, tf.constant(-1, tf.int64)),
        maximum_iterations=MAX_EXTENSIONS,
    )
    found = tf.strings.substr(encoded, at, 1)
    # Never with the bytes: Python cannot decode such an error's text.
    is_image = tf.debugging.Assert(found == SEPARATOR, ["no image in a GIF"])
    with tf.control_dependencies([is_image]):
        return _Start(tf.identity(at), control)


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
            number(encoded, at + length + 1, 1),
            at + length + 1,
        ),
        (number(encoded, at, 1), at),
        maximum_iterations=limit,
    )
    return end + 1
