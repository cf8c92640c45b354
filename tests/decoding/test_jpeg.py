"""The walk over a JPEG's segments, its scans, and reduced decoding."""

import time

import numpy as np
import pytest
import tensorflow as tf

from keras_fgvc.data.pipeline import geometry
from keras_fgvc.decoding import jpeg
from keras_fgvc.decoding.images import (
    Encoded,
    decode,
    decode_and_resize,
    decode_window,
    resize,
    why_refused,
)
from tests.data.image_files import encode, smooth_pixels
from tests.decoding.test_exif import segment, tiff

EXIF = segment(0xE1, b"Exif\0\0" + tiff(6))


def photograph(height, width, **options):
    return encode(smooth_pixels(height, width), "JPEG", quality=95, **options)


def with_scans(count):
    """A progressive JPEG whose last scan is repeated."""
    content = photograph(16, 24, progressive=True)
    table = content.rindex(b"\xff\xc4")
    return content[:-2] + count * content[table:-2] + content[-2:]


def test_many_tiny_segments_take_no_seconds():
    plain = photograph(16, 24)
    content = plain[:2] + segment(0xEF, b"") * 100_000 + EXIF + plain[2:]
    started = time.process_time()
    # EXIF behind the last segment that is walked is not found.
    assert decode(content).shape == (16, 24, 3)
    assert time.process_time() - started < 10


def test_fill_bytes_are_walked_one_by_one():
    plain = photograph(16, 24)
    content = plain[:2] + b"\xff" * 200 + EXIF + plain[2:]
    assert decode(content).shape == (24, 16, 3)


@pytest.mark.parametrize(("count", "is_read"), [(80, True), (120, False)])
@pytest.mark.parametrize("before", [b"", EXIF])
def test_scans_are_limited(count, is_read, before):
    content = with_scans(count)
    content = content[:2] + before + content[2:]
    assert bool(why_refused(content)) != is_read
    if is_read:
        assert decode(content).shape[-1] == 3
    else:
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="scans; at most 100"
        ):
            decode(content)


@pytest.mark.parametrize(
    ("size", "least", "expected"),
    [
        ((64, 96), (64, 96), (64, 96)),
        ((64, 96), (33, 40), (64, 96)),
        ((64, 96), (32, 48), (32, 48)),
        ((64, 96), (9, 96), (64, 96)),
        ((64, 96), (16, 17), (16, 24)),
        ((64, 96), (1, 1), (8, 12)),
        ((67, 101), (16, 25), (17, 26)),
        ((3, 5), (1, 1), (2, 3)),
    ],
)
def test_the_smallest_ratio_that_is_large_enough(size, least, expected):
    received = decode(photograph(*size), least)
    assert received.shape == (*expected, 3)


# What a reduced image of an odd size covers is up to a pixel larger.
@pytest.mark.parametrize(
    ("height", "width", "mean"), [(400, 608, 1.5), (403, 605, 3.0)]
)
@pytest.mark.parametrize("value", range(1, 9))
def test_reduced_and_turned(value, height, width, mean):
    before = segment(0xE1, b"Exif\0\0" + tiff(value))
    plain = photograph(height, width)
    content = plain[:2] + before + plain[2:]
    whole = resize(decode(content), (50, 23)).numpy().astype(int)
    least = decode(content, (50, 23)).shape
    assert 50 <= least[0] < 200
    assert 23 <= least[1] < 200
    received = decode_and_resize(content, (50, 23)).numpy()
    assert np.abs(received - whole).mean() < mean


@pytest.mark.parametrize("before", [b"", EXIF])
@pytest.mark.parametrize("share", [0.09, 0.5, 1.0])
def test_a_window_is_that_of_the_whole_image(before, share):
    plain = photograph(400, 608)
    content = plain[:2] + before + plain[2:]

    def choose(size):
        return geometry.choose_window(
            size, tf.constant(share), tf.constant((0.3, 0.8))
        )

    received, window = geometry.cut_file(Encoded(content), choose, (19, 23))
    whole = decode(content)
    expected = choose(tf.shape(whole)[:2])
    np.testing.assert_array_equal(window.corner, expected.corner)
    np.testing.assert_array_equal(window.size, expected.size)
    expected = geometry.cut_image(whole, expected, (19, 23)).numpy().astype(int)
    # Its corner is rounded to a pixel of the reduced image.
    assert np.abs(received.numpy() - expected).mean() < 7


def test_a_window_is_decoded_no_smaller_than_wanted():
    content = photograph(200, 304)
    received, size = decode_window(
        Encoded(content),
        lambda size: (tf.constant((10, 20)), tf.constant((100, 150))),
        (40, 60),
    )
    assert tuple(size.numpy()) == (200, 304)
    assert received.shape == (50, 75, 3)


def test_walk_finds_the_scan_and_its_frame():
    content = photograph(16, 24)
    found = jpeg.walk(tf.constant(content))
    assert content[found.end : found.end + 2] == b"\xff\xda"
    assert content[found.frame : found.frame + 2] == b"\xff\xc0"
    assert found.exif == -1
