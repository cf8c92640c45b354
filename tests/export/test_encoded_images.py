"""A batch of files is read row by row: a bad one harms no other."""

import functools
import struct

import numpy as np
import pytest
import tensorflow as tf

from keras_fgvc import data
from keras_fgvc.decoding import gif, inspection
from keras_fgvc.decoding.headers import read_size
from keras_fgvc.export.encoded_images import (
    UNREADABLE,
    UNREADABLE_WEBP,
    read_images,
)
from tests.data.image_files import encode, smooth_pixels, write
from tests.export.bad_files import CASES, gif_with_later_frame, png_chunk

SIZE = (17, 23)
MAX_PIXELS = 50_000_000


@functools.cache
def graph(max_pixels):
    return tf.function(
        lambda rows: read_images(rows, SIZE, max_pixels),
        [tf.TensorSpec((None,), tf.string)],
    )


def read(files, max_pixels=MAX_PIXELS):
    """`read_images` as one graph, as a signature has it."""
    images, errors = graph(max_pixels)(tf.constant(files))
    return images.numpy(), [error.decode() for error in errors.numpy()]


@pytest.fixture(scope="module")
def all_read():
    """Every case in one batch."""
    images, errors = read([content for content, _ in CASES.values()])
    return dict(zip(CASES, zip(images, errors, strict=True), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_each_row_gets_its_own(all_read, name):
    content, expected = CASES[name]
    image, error = all_read[name]
    if expected:
        assert expected in error
        assert not image.any()
    else:
        assert error == ""
        pixels = data.decode_and_resize(content, SIZE)
        np.testing.assert_array_equal(image, pixels)


def test_alone_as_in_the_batch(all_read):
    for name in ("JPEG", "truncated JPEG", "zero bytes"):
        images, errors = read([CASES[name][0]])
        np.testing.assert_array_equal(images[0], all_read[name][0])
        assert errors == [all_read[name][1]]


def test_order_of_many_rows_is_kept():
    files = [encode(np.full((2, 2, 3), i, np.uint8), "PNG") for i in range(40)]
    files[7] = files[23] = b"broken"
    images, errors = read(files)
    expected = np.where(np.isin(np.arange(40), [7, 23]), 0, np.arange(40))
    np.testing.assert_array_equal(images.max((1, 2, 3)), expected)
    assert [i for i, error in enumerate(errors) if error] == [7, 23]


def test_limit_is_the_largest_that_is_read():
    files = [encode(smooth_pixels(20, 30), kind) for kind in ("PNG", "JPEG")]
    assert read(files, max_pixels=600)[1] == ["", ""]
    text = "declares 20 x 30 pixels; at most 599 in all are decoded"
    assert read(files, max_pixels=599)[1] == [text, text]


def test_png_with_a_chunk_before_its_header():
    """The decoder reads it: the size that counts is not the one checked."""
    whole = encode(smooth_pixels(20, 30), "PNG")
    small = png_chunk(b"prVt", struct.pack(">II", 1, 1))
    content = whole[:8] + small + whole[8:]
    assert tf.io.decode_png(content).shape == (20, 30, 3)
    assert read([content], max_pixels=10)[1] == [UNREADABLE]


def test_webp_frame_without_its_name():
    """The decoder reads it too, its size from another place."""
    whole = encode(smooth_pixels(), "WEBP")
    frame = whole[20:]
    length = struct.pack("<I", len(frame) + 4)
    content = b"RIFF" + length + b"WEBP" + frame
    assert tf.io.decode_image(content).shape[-3:] == (44, 60, 3)
    assert read([content])[1] == [UNREADABLE_WEBP]


def test_later_frames_of_a_gif_are_not_decoded():
    content = gif_with_later_frame(side=300)
    assert tf.io.decode_gif(content).shape[1:3] == (300, 300)
    images, errors = read([content], max_pixels=44 * 60)
    alone = encode(smooth_pixels()[..., 0], "GIF")
    assert errors == [""]
    np.testing.assert_array_equal(
        images[0], data.decode_and_resize(alone, SIZE)
    )


def test_gif_of_too_many_blocks(monkeypatch):
    whole, _ = CASES["GIF"]
    monkeypatch.setattr(gif, "MAX_DATA_BLOCKS", 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        gif.decode(tf.constant(whole))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"icc_profile": b"profile" * 30000}),
        ("PNG", {}),
        ("GIF", {}),
        ("GIF", {"comment": b"said " * 200}),
        ("GIF", {"interlace": False}),
        ("BMP", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0 and so on"}),
    ],
)
def test_sizes_are_those_of_the_python_reader(tmp_path, kind, options):
    content = encode(smooth_pixels(), kind, **options)
    found = tuple(inspection.declared_size(content).numpy())
    assert found == read_size(write(tmp_path / "image", content))


def test_bmp_from_the_top():
    content = encode(smooth_pixels(), "BMP")
    content = content[:22] + struct.pack("<i", -44) + content[26:]
    assert tuple(inspection.declared_size(content).numpy()) == (44, 60)


def test_gif_with_a_colour_table_in_its_frame():
    content = encode(smooth_pixels(), "GIF")
    start = content.index(b",", 13 + 3 * 256)
    table = content[13 : 13 + 3 * 256]
    local = (
        content[:10]
        + bytes([content[10] & 0x7F])
        + content[11:13]
        + content[13 + 3 * 256 : start + 9]
        + bytes([content[start + 9] | 0x87])
        + table
        + content[start + 10 :]
    )
    images, errors = read([content, local])
    assert errors == ["", ""]
    np.testing.assert_array_equal(images[0], images[1])
