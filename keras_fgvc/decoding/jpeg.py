"""JPEG: its size, orientation and scans; decoding at a fraction of its size.

A JPEG is a chain of segments up to the first scan. EXIF is the first segment
APP1 that starts with "Exif", wherever in the chain it lies. Walking the chain
takes a loop in the graph, which costs as much as decoding a small image, so
two searches first tell the files that need no walk.
"""

from typing import NamedTuple

from keras_fgvc.decoding import exif
from keras_fgvc.decoding.binary import contains

SIGNATURE = b"\xff\xd8\xff"
# Before the first scan; photographs have 10 to 200. Empty ones cost 4 bytes.
MAX_SEGMENTS = 1000
# Each scan is decoded over the whole image: a progressive JPEG of 98 bytes a
# scan costs 0.02 s a scan at 49 million pixels. Encoders write about 10;
# libjpeg-turbo's own encoder accepts scripts of up to 100.
MAX_SCANS = 100
# The header of each scan holds its length and number of channels.
SCAN_HEADER = "\x00(\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)"
SCAN_HEADER_BYTES = 3
# A search through a file that is larger takes longer than the walk.
MAX_SEARCHED_BYTES = 300_000
RATIOS = (1, 2, 4, 8)
START_OF_SCAN = b"\xff\xda"
END_CODES = (0xDA, 0xD9)  # start of the scan, end of the image
# Markers without content: restarts, the start of the image, TEM.
BARE_CODES = (*range(0xD0, 0xD9), 0x01)
EXIF_CODE = 0xE1
# All start-of-frame markers, without tables (C4), a reserved one (C8) and
# arithmetic coding (CC).
FRAME_CODES = tuple(set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC})
SEQUENTIAL_CODES = (0xC0, 0xC1)


class Segments(NamedTuple):
    """Findings of a walk over the segments: int32 positions or -1."""

    end: object
    exif: object
    exif_length: object
    frame: object


def read_size(encoded):
    """The declared `(height, width)`, int64, before the orientation."""
    import tensorflow as tf

    return tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64)


def is_plain(encoded):
    """Tells whether a quick search finds no EXIF and few scans."""
    import tensorflow as tf

    def search():
        rest = tf.strings.regex_replace(encoded, SCAN_HEADER, "")
        removed = tf.strings.length(encoded) - tf.strings.length(rest)
        # Other bytes may look like a header: this is an upper bound.
        has_few_scans = removed <= MAX_SCANS * SCAN_HEADER_BYTES
        return has_few_scans & ~contains(encoded, exif.MARK.decode())

    is_small = tf.strings.length(encoded) <= MAX_SEARCHED_BYTES
    return tf.cond(is_small, search, lambda: tf.constant(False))


def inspect(encoded):
    """The stored size, the orientation, and why it is not read, or ""."""
    import tensorflow as tf

    orientation, scans = orientation_and_scans(encoded)
    text = tf.strings.join(
        [
            "is a JPEG of ",
            tf.strings.as_string(scans),
            f" scans; at most {MAX_SCANS} are decoded",
        ]
    )
    error = tf.where(scans > MAX_SCANS, text, "")
    return read_size(encoded), orientation, error


def orientation_and_scans(encoded):
    """Walks the segments: the EXIF orientation and the number of scans."""
    import tensorflow as tf

    found = walk(encoded)
    orientation = tf.cond(
        found.exif >= 0,
        lambda: exif.read_orientation(
            tf.strings.substr(encoded, found.exif, found.exif_length)
        ),
        lambda: tf.constant(exif.UPRIGHT),
    )
    # Only a sequential JPEG whose first scan has all channels ends there.
    codes = _bytes_at(encoded, found.frame, 10)
    channels = _bytes_at(encoded, found.end, 5)[4]
    is_sequential = tf.reduce_any(codes[1] == SEQUENTIAL_CODES)
    is_single = (found.frame >= 0) & is_sequential & (codes[9] == channels)
    scans = tf.cond(
        is_single,
        lambda: tf.constant(1),
        lambda: _count_scans(encoded, found.end),
    )
    return orientation, scans


def walk(encoded) -> Segments:
    """Walks the segments up to the first scan."""
    import tensorflow as tf

    def step(at, code, place, length, frame):
        codes = _bytes_at(encoded, at, 4)
        code = codes[1]
        # Fill bytes and junk before a marker are stepped over.
        is_marker = (codes[0] == 0xFF) & (code != 0xFF) & (code != 0)
        code = tf.where(is_marker, code, 0)
        is_end = tf.reduce_any(code == END_CODES)
        is_bare = tf.reduce_any(code == BARE_CODES)
        size = tf.maximum(codes[2] * 256 + codes[3], 2)
        head = tf.strings.substr(encoded, at + 4, len(exif.MARK))
        is_exif = (code == EXIF_CODE) & (head == exif.MARK) & (place < 0)
        place = tf.where(is_exif, at + 4, place)
        length = tf.where(is_exif, size - 2, length)
        is_frame = tf.reduce_any(code == FRAME_CODES) & (frame < 0)
        frame = tf.where(is_frame, at, frame)
        stride = tf.where(is_bare, 2, size + 2)
        stride = tf.where(is_marker, tf.where(is_end, 0, stride), 1)
        at = tf.minimum(at + stride, tf.strings.length(encoded))
        return at, code, place, length, frame

    at, _, place, length, frame = tf.while_loop(
        lambda at, code, *_: (
            ~tf.reduce_any(code == END_CODES)
            & (at < tf.strings.length(encoded))
        ),
        step,
        tuple(map(tf.constant, (2, 0, -1, 0, -1))),
        maximum_iterations=MAX_SEGMENTS,
    )
    return Segments(at, place, length, frame)


def decode(encoded, size, least_size=None):
    """Decodes RGB pixels, at the smallest ratio that keeps a size.

    Args:
        encoded: Scalar string tensor.
        size: Its stored size, `(height, width)`.
        least_size: The pixels needed at least, as stored; None for all.

    Returns:
        uint8 tensor `(height, width, 3)`.
    """
    import tensorflow as tf

    if least_size is None:
        return tf.io.decode_jpeg(encoded, channels=3)
    return _at_ratio(
        lambda ratio: tf.io.decode_jpeg(encoded, channels=3, ratio=ratio),
        size,
        least_size,
    )


def decode_window(encoded, corner, size, least_size):
    """Decodes a window of the stored pixels, at a ratio as `decode`.

    Args:
        encoded: Scalar string tensor.
        corner: int32 tensor `(2,)`, the row and column of the corner.
        size: int32 tensor `(2,)`, height and width of the window.
        least_size: The pixels that the window needs at least.

    Returns:
        uint8 tensor `(height, width, 3)`.
    """
    import tensorflow as tf

    def decoded(ratio):
        # The nearest corner: the far side still lies within.
        nearest = (corner + ratio // 2) // ratio
        window = tf.concat([nearest, size // ratio], axis=0)
        return tf.io.decode_and_crop_jpeg(
            encoded, window, channels=3, ratio=ratio
        )

    return _at_ratio(decoded, size, least_size)


def _at_ratio(decoded, size, least_size):
    """`decoded(ratio)` of the largest ratio that leaves the least size."""
    import tensorflow as tf

    size = tf.cast(size, tf.int32)
    times = tf.reduce_min(size // tf.maximum(least_size, 1))
    index = tf.reduce_sum(tf.cast(times >= RATIOS[1:], tf.int32))
    return tf.switch_case(
        index, [lambda ratio=ratio: decoded(ratio) for ratio in RATIOS]
    )


def _count_scans(encoded, start):
    import tensorflow as tf

    rest = tf.strings.substr(encoded, start, tf.strings.length(encoded))
    # In the data of a scan 0xFF never stands before such a byte.
    pieces = tf.strings.split(rest[None], START_OF_SCAN).flat_values
    return tf.size(pieces) - 1


def _bytes_at(encoded, at, count):
    """int32 tensor `(count,)`; zeros where bytes are missing."""
    import tensorflow as tf

    at = tf.clip_by_value(at, 0, tf.strings.length(encoded))
    found = tf.strings.substr(encoded, at, count) + bytes(count)
    codes = tf.io.decode_raw(tf.strings.substr(found, 0, count), tf.uint8)
    return tf.ensure_shape(tf.cast(codes, tf.int32), (count,))
