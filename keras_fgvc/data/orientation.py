"""The EXIF orientation of a JPEG, read and obeyed inside a graph.

A camera held upright often stores its pixels lying and notes in the file how
to turn them. TensorFlow's decoders ignore the note. It sits in the first
bytes of the file: an APP1 segment "Exif", then a TIFF directory with the tag
0x0112, type short, count one. Its ten bytes are looked for as they are, in
either byte order; a file without them counts as upright.
"""

HEAD_BYTES = 1024  # Cameras write the first directory well before this.
PADDING = b"\0" * 32  # No file is too short for the offsets below.
# "Exif" follows the start of the file directly or after a JFIF segment.
EXIF_OFFSETS = (6, 24)
# The tag in little and big endian, and where its value lies.
TAGS = (
    (b"\x12\x01\x03\x00\x01\x00\x00\x00", 8),
    (b"\x01\x12\x00\x03\x00\x00\x00\x01", 9),
)
TAG_BYTES = 10
UPRIGHT = 1
FIRST_TRANSPOSED = 5
MIRRORED_COLUMNS = (2, 3, 6, 7)
MIRRORED_ROWS = (3, 4, 7, 8)


def orientation_from_exif(encoded):
    """Scalar string tensor -> scalar int32 tensor, 1 (upright) to 8."""
    import tensorflow as tf

    head = tf.strings.substr(encoded, 0, HEAD_BYTES) + PADDING
    marks = [tf.strings.substr(head, at, 4) == b"Exif" for at in EXIF_OFFSETS]
    is_jpeg = tf.strings.substr(head, 0, 2) == b"\xff\xd8"
    return tf.cond(
        tf.logical_and(is_jpeg, tf.reduce_any(marks)),
        lambda: _find_orientation(head),
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


def _find_orientation(head):
    import tensorflow as tf

    codes = tf.cast(tf.io.decode_raw(head, tf.uint8), tf.int32)
    span = tf.size(codes) - TAG_BYTES
    found = tf.constant(UPRIGHT)
    for tag, value_at in TAGS:
        hits = [codes[i : i + span] == byte for i, byte in enumerate(tag)]
        values = codes[value_at : value_at + span]
        is_tag = tf.reduce_all(hits, axis=0) & (values <= 8)
        found = tf.maximum(
            found, tf.reduce_max(tf.where(is_tag, values, UPRIGHT))
        )
    return found
