"""The EXIF orientation, read and obeyed inside a graph.

A camera held upright often stores its pixels lying and notes in the file how
to turn them. TensorFlow's decoders ignore the note. It is the tag 0x0112 of
the first directory (IFD0) of a TIFF structure; the directory of the thumbnail
(IFD1) has one of its own, which does not count.

The rules are those of browsers and of Pillow's `ImageOps.exif_transpose`:

- A whole number of 2 or 4 bytes counts, in either byte order.
- Anything but 1 to 8 is upright, and so is EXIF that is broken or cut short.
- If the tag is repeated, the last one counts, as in Pillow.
- An orientation in XMP is ignored, as in browsers. Pillow falls back to it.
"""

from keras_fgvc.decoding.binary import shared, starts_with

MARK = b"Exif\0\0"
LITTLE_ENDIAN, BIG_ENDIAN = b"II*\0", b"MM\0*"
ORIENTATION = 0x0112
# SHORT and SSHORT, LONG and SLONG.
TYPES_OF_2_BYTES, TYPES_OF_4_BYTES = (3, 8), (4, 9)
ENTRY_BYTES = 12
POWERS = (1, 2**8, 2**16, 2**24)
# An entry is a tag, a type (2 bytes each), a count and a value (4 bytes each).
FIELDS = tuple(
    tuple(
        POWERS[byte - start] if start <= byte < end else 0
        for start, end in ((0, 2), (2, 4), (4, 8), (8, 12))
    )
    for byte in range(ENTRY_BYTES)
)
REVERSED_FIELDS = (1, 0, 3, 2, 7, 6, 5, 4, 11, 10, 9, 8)
UPRIGHT = 1
LAST = 8
FIRST_TRANSPOSED = 5
MIRRORED_COLUMNS = (2, 3, 6, 7)
MIRRORED_ROWS = (3, 4, 7, 8)


def read_orientation(block):
    """Reads the orientation from a TIFF structure.

    Args:
        block: Scalar string tensor: TIFF, with or without "Exif" before it.

    Returns:
        Scalar int32 tensor, 1 (upright) to 8.
    """
    return shared(_read_orientation)(block)


def _read_orientation(block):
    import tensorflow as tf

    skipped = tf.where(starts_with(block, MARK), len(MARK), 0)
    block = tf.strings.substr(block, skipped, tf.strings.length(block))
    is_little = starts_with(block, LITTLE_ENDIAN)
    is_tiff = is_little | starts_with(block, BIG_ENDIAN)
    return tf.cond(
        is_tiff & (tf.strings.length(block) >= 8),
        lambda: _last_orientation(block, is_little),
        lambda: tf.constant(UPRIGHT),
    )


def turn_upright(image, orientation):
    """Turns `(height, width, 3)` pixels as the EXIF orientation says."""
    import tensorflow as tf

    def turned():
        transposed = tf.cond(
            orientation >= FIRST_TRANSPOSED,
            lambda: tf.transpose(image, (1, 0, 2)),
            lambda: image,
        )
        mirrored = [
            tf.reduce_any(orientation == MIRRORED_ROWS),
            tf.reduce_any(orientation == MIRRORED_COLUMNS),
            False,
        ]
        return tf.raw_ops.Reverse(tensor=transposed, dims=mirrored)

    return tf.cond(orientation == UPRIGHT, lambda: image, turned)


def upright_size(size, orientation):
    """Turns the stored `(height, width)` as the orientation says."""
    import tensorflow as tf

    return tf.where(orientation >= FIRST_TRANSPOSED, size[::-1], size)


def _last_orientation(block, is_little):
    import tensorflow as tf

    codes = tf.cast(tf.io.decode_raw(block, tf.uint8), tf.int64)
    size = tf.size(codes, tf.int64)

    def number(values):
        values = tf.where(is_little, values, values[::-1])
        return tf.reduce_sum(values * POWERS[: values.shape[0]])

    at = tf.minimum(number(tf.ensure_shape(codes[4:8], (4,))), size)
    head = tf.concat([codes[at : at + 2], [0, 0]], 0)[:2]
    there = tf.maximum((size - at - 2) // ENTRY_BYTES, 0)
    count = tf.minimum(number(tf.ensure_shape(head, (2,))), there)
    entries = codes[at + 2 : at + 2 + count * ENTRY_BYTES]
    entries = tf.reshape(entries, (-1, ENTRY_BYTES))  # (entries, bytes)
    order = tf.where(is_little, range(ENTRY_BYTES), REVERSED_FIELDS)
    fields = tf.linalg.matmul(
        tf.gather(entries, order, axis=1), tf.constant(FIELDS, tf.int64)
    )
    tag, kind, number_of_values, value = tf.unstack(fields, axis=1)
    short = tf.where(is_little, value % 2**16, value // 2**16)
    is_short = tf.reduce_any(kind[:, None] == TYPES_OF_2_BYTES, axis=1)
    is_long = tf.reduce_any(kind[:, None] == TYPES_OF_4_BYTES, axis=1)
    value = tf.where(is_short, short, value)
    # Of two values, as some programs write, the first counts.
    is_valid = is_short & (number_of_values == 2)
    is_valid |= (is_short | is_long) & (number_of_values == 1)
    is_valid &= (value >= UPRIGHT) & (value <= LAST)
    value = tf.where(is_valid, value, UPRIGHT)
    found = tf.boolean_mask(value, tag == ORIENTATION)
    last = tf.concat([tf.constant([UPRIGHT], tf.int64), found], 0)[-1]
    return tf.cast(last, tf.int32)
