"""BMP: its size, and its pixels.

TensorFlow's decoder shows the numbers of a palette as greys and refuses 16
and 32 bits per pixel, so the rows are taken apart here: 1, 4 and 8 bits with
a palette; 16, 24 and 32 bits. A compressed BMP is refused in words.
"""

from keras_fgvc.decoding.alpha import on_white
from keras_fgvc.decoding.binary import number, part

SIGNATURE = b"BM"
FILE_HEADER_BYTES = 14
MIN_HEADER_BYTES = 40  # An older header of 12 bytes has another layout.
PALETTE_BITS = (1, 4, 8)
BITS = (*PALETTE_BITS, 16, 24, 32)
RGB, BITFIELDS = 0, 3  # the values of `compression` that are read
MASKS_AT = FILE_HEADER_BYTES + MIN_HEADER_BYTES
MAX_COLOURS = 256
# Masks of red, green, blue that programs write, of 16 and 32 bits.
MASKS_555 = (0x7C00, 0x03E0, 0x001F)
MASKS_565 = (0xF800, 0x07E0, 0x001F)
MASKS_888 = (0xFF0000, 0x00FF00, 0x0000FF)
ALPHA_MASK = 0xFF000000
ALPHA_HEADER_BYTES = 56  # From here on the header has a mask of alpha.


def read_size(encoded):
    """The declared `(height, width)`, int64."""
    import tensorflow as tf

    height, width = _signed(encoded, 22), _signed(encoded, 18)
    # A negative height: stored from the top.
    return tf.stack([tf.abs(height), width])


def inspect(encoded):
    """The size, upright, and why it is not read, or ""."""
    return read_size(encoded), 1, refusal(encoded)


def refusal(encoded):
    """Why a BMP is not read, as a string tensor; empty where it is."""
    import tensorflow as tf

    bits, compression = number(encoded, 28, 2), number(encoded, 30, 4)
    masks = _masks(encoded)

    def has(expected):
        return tf.reduce_all(masks == tf.constant(expected, tf.int64))

    is_masked = compression == BITFIELDS
    is_read = (compression == RGB) & tf.reduce_any(bits == BITS)
    is_read |= is_masked & (bits == 16) & (has(MASKS_555) | has(MASKS_565))
    is_read |= is_masked & (bits == 32) & has(MASKS_888)
    is_read &= number(encoded, FILE_HEADER_BYTES, 4) >= MIN_HEADER_BYTES
    text = tf.strings.join(
        [
            "is a BMP of ",
            tf.strings.as_string(bits),
            " bits in a layout that is not read; save it as PNG",
        ]
    )
    return tf.where(is_read, "", text)


def decode(encoded):
    """Decodes RGB pixels of a BMP that `refusal` does not refuse."""
    import tensorflow as tf

    bits = tf.cast(number(encoded, 28, 2), tf.int32)
    size = read_size(encoded)
    # (height, bytes): each row ends on a multiple of four bytes.
    stride = (size[1] * tf.cast(bits, tf.int64) + 31) // 32 * 4
    start, count = number(encoded, 10, 4), size[0] * stride
    rows = tf.io.decode_raw(part(encoded, start, count), tf.uint8)
    with tf.control_dependencies(
        [
            tf.debugging.assert_positive(size),
            tf.debugging.assert_equal(tf.size(rows, tf.int64), count),
        ]
    ):
        rows = tf.reshape(rows, tf.stack([size[0], stride]))
    readers = {
        count: lambda count=count: _palette_colours(encoded, rows, count)
        for count in PALETTE_BITS
    }
    readers |= {
        16: lambda: _colours_of_16_bits(encoded, rows),
        24: lambda: _reversed_colours(rows, 3),
        32: lambda: _colours_of_32_bits(encoded, rows),
    }
    image = tf.case([(bits == key, reader) for key, reader in readers.items()])
    image = image[:, : size[1]]
    is_from_top = _signed(encoded, 22) < 0
    image = tf.raw_ops.Reverse(tensor=image, dims=[~is_from_top, False, False])
    return tf.ensure_shape(image, (None, None, 3))


def _palette_colours(encoded, rows, bits):
    import tensorflow as tf

    shifts = tf.constant(list(range(8 - bits, -1, -bits)), tf.uint8)
    codes = tf.bitwise.right_shift(rows[..., None], shifts)
    codes = tf.bitwise.bitwise_and(codes, tf.constant(2**bits - 1, tf.uint8))
    codes = tf.reshape(codes, tf.stack([tf.shape(rows)[0], -1]))
    start = FILE_HEADER_BYTES + number(encoded, FILE_HEADER_BYTES, 4)
    # Colours that are missing are black.
    content = part(encoded, start, 4 * 2**bits) + bytes(4 * MAX_COLOURS)
    content = part(content, 0, 4 * MAX_COLOURS)
    palette = tf.reshape(tf.io.decode_raw(content, tf.uint8), (MAX_COLOURS, 4))
    return tf.gather(palette[:, 2::-1], tf.cast(codes, tf.int32))


def _colours_of_16_bits(encoded, rows):
    import tensorflow as tf

    pairs = tf.reshape(rows, tf.stack([tf.shape(rows)[0], -1, 2]))
    codes = tf.cast(pairs, tf.int32)
    codes = codes[..., 0] + codes[..., 1] * 256
    is_565 = tf.reduce_all(_masks(encoded) == tf.constant(MASKS_565, tf.int64))
    is_565 &= number(encoded, 30, 4) == BITFIELDS
    green_bits = tf.where(is_565, 6, 5)
    greens = tf.bitwise.left_shift(1, green_bits)
    red = codes // (32 * greens) % 32 * 255 // 31
    green = codes // 32 % greens * 255 // (greens - 1)
    blue = codes % 32 * 255 // 31
    return tf.cast(tf.stack([red, green, blue], axis=-1), tf.uint8)


def _colours_of_32_bits(encoded, rows):
    import tensorflow as tf

    def with_alpha():
        pixels = tf.reshape(rows, tf.stack([tf.shape(rows)[0], -1, 4]))
        return on_white(tf.gather(pixels, (2, 1, 0, 3), axis=-1))

    has_alpha = number(encoded, 30, 4) == BITFIELDS
    has_alpha &= number(encoded, FILE_HEADER_BYTES, 4) >= ALPHA_HEADER_BYTES
    has_alpha &= _number_or_zero(encoded, MASKS_AT + 12) == ALPHA_MASK
    return tf.cond(has_alpha, with_alpha, lambda: _reversed_colours(rows, 4))


def _reversed_colours(rows, count):
    """(height, bytes) of blue, green, red and padding -> RGB."""
    import tensorflow as tf

    width = tf.shape(rows)[1] // count
    pixels = rows[:, : width * count]
    pixels = tf.reshape(pixels, tf.stack([tf.shape(rows)[0], width, count]))
    return tf.reverse(pixels[..., :3], axis=[-1])


def _masks(encoded):
    import tensorflow as tf

    places = (MASKS_AT, MASKS_AT + 4, MASKS_AT + 8)
    return tf.stack([_number_or_zero(encoded, at) for at in places])


def _number_or_zero(encoded, at):
    return number(encoded + bytes(MASKS_AT + 16), at, 4)


def _signed(encoded, at):
    import tensorflow as tf

    value = number(encoded, at, 4)
    return tf.where(value < 2**31, value, value - 2**32)
