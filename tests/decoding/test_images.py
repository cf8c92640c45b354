"""Decoding and resizing against Pillow."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import ExifTags, Image, ImageOps

from keras_fgvc.decoding import png
from keras_fgvc.decoding.images import decode, decode_and_resize, resize
from tests.data.image_files import encode, jpeg, smooth_pixels


def pillow(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


def assert_close_pixels(received, expected, largest, mean):
    difference = np.abs(received.astype(int) - expected.astype(int))
    assert received.shape == expected.shape
    assert difference.max() <= largest
    assert difference.mean() <= mean


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_equals_pillow(mode):
    image = Image.fromarray(smooth_pixels()).convert(mode)
    encoded = encode(image, "JPEG", quality=95)
    received = decode(encoded).numpy()
    # The two libraries round the colour transform and CMYK differently.
    assert_close_pixels(received, pillow(encoded), largest=12, mean=2.0)
    assert received.std() > 20


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_formats_equal_the_pixels(kind):
    pixels = smooth_pixels()
    options = {"lossless": True} if kind == "WEBP" else {}
    received = decode(encode(pixels, kind, **options)).numpy()
    np.testing.assert_array_equal(received, pixels)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("alpha", [None, bytes([0, 51])])
def test_palette_png_of_few_bits_equals_pillow(bits, alpha):
    colours = Image.fromarray(smooth_pixels()).quantize(2**bits)
    options = {} if alpha is None else {"transparency": alpha}
    encoded = encode(colours, "PNG", bits=bits, **options)
    assert encoded[24] == bits
    image = Image.open(io.BytesIO(encoded)).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    expected = np.asarray(white.convert("RGB"))
    received = decode(encoded).numpy()
    assert_close_pixels(received, expected, largest=1, mean=0.5)


@pytest.mark.parametrize(("count", "is_walked"), [(200, True), (400, False)])
def test_only_so_many_chunks_are_walked(count, is_walked):
    """A megabyte of empty chunks must not take half a minute."""
    pixels = np.zeros((3, 5, 3), "uint8")
    encoded = encode(Image.fromarray(pixels), "PNG", transparency=(0, 0, 0))
    head = len(png.SIGNATURE) + 25  # and the chunk IHDR
    empty = struct.pack(">I4sI", 0, b"teSt", zlib.crc32(b"teSt"))
    received = decode(encoded[:head] + count * empty + encoded[head:]).numpy()
    # Behind the last that is walked the transparent colour is not seen.
    assert set(received.ravel()) == {255 if is_walked else 0}


def test_1_bit_grey_png_equals_pillow():
    encoded = encode(Image.fromarray(smooth_pixels()).convert("1"), "PNG")
    np.testing.assert_array_equal(decode(encoded), pillow(encoded))


def test_16_bit_png_keeps_the_high_byte():
    deep = np.array([[0, 255, 256], [30_000, 65_279, 65_535]], np.uint16)
    received = decode(encode(Image.fromarray(deep), "PNG")).numpy()
    expected = np.repeat((deep >> 8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(received, expected)


def test_animated_gif_gives_its_first_frame():
    frames = [
        Image.new("RGB", (9, 6), colour) for colour in ("red", "lime", "blue")
    ]
    encoded = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    expected = np.broadcast_to(np.array([255, 0, 0], np.uint8), (6, 9, 3))
    np.testing.assert_array_equal(decode(encoded), expected)


@pytest.mark.parametrize(
    ("alpha", "expected"), [(0, 255), (255, 40), (51, 212)]
)
def test_transparent_png_lies_on_white(alpha, expected):
    pixels = np.full((3, 5, 4), 40, np.uint8)
    pixels[..., 3] = alpha
    # 51 is a fifth: 0.2 * 40 + 0.8 * 255 = 212.
    assert set(decode(encode(pixels, "PNG")).numpy().ravel()) == {expected}


def test_transparent_webp_lies_on_white():
    pixels = np.full((3, 5, 4), 40, np.uint8)
    pixels[..., 3] = 51
    received = decode(encode(pixels, "WEBP", lossless=True)).numpy()
    assert set(received.ravel()) == {212}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("byte_order", ["big", "little"])
def test_exif_orientation_is_obeyed(orientation, byte_order):
    exif = Image.Exif()
    exif.endian = "<" if byte_order == "little" else ">"
    exif[ExifTags.Base.Make] = "camera"
    exif[ExifTags.Base.Orientation] = orientation
    encoded = encode(smooth_pixels(), "JPEG", quality=95, exif=exif)
    mark = b"II" if byte_order == "little" else b"MM"
    assert b"Exif\0\0" + mark in encoded
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    received = decode(encoded).numpy()
    assert_close_pixels(received, np.asarray(expected), largest=12, mean=2.0)


def test_resize_averages_areas_and_keeps_equal_sizes():
    pixels = smooth_pixels(6, 9).astype(np.float32)
    expected = np.round(pixels.reshape(3, 2, 3, 3, 3).mean(axis=(1, 3)))
    assert_close_pixels(
        resize(pixels, (3, 3)).numpy(), expected, largest=1, mean=0.2
    )
    np.testing.assert_array_equal(resize(pixels, (6, 9)), pixels)


def test_resize_enlarges_bilinearly():
    received = resize(np.array([[[0.0] * 3, [100.0] * 3]]), (1, 4)).numpy()
    assert received[0, :, 0].tolist() == [0, 25, 75, 100]


def test_resize_treats_a_batch_as_its_images():
    images = np.stack([smooth_pixels(seed=seed) for seed in range(3)])
    together = resize(images, (17, 13)).numpy()
    for image, expected in zip(images, together, strict=True):
        np.testing.assert_array_equal(resize(image, (17, 13)), expected)


@pytest.mark.parametrize("size", [(31, 47), (44, 19), (96, 101)])
def test_decode_and_resize_is_near_pillow(size):
    encoded = jpeg()
    image = Image.open(io.BytesIO(encoded))
    expected = np.asarray(image.resize(size[::-1], Image.LANCZOS))
    received = decode_and_resize(encoded, size)
    assert received.dtype == tf.uint8
    assert_close_pixels(received.numpy(), expected, largest=30, mean=2.0)


def test_graph_and_eager_agree_on_every_kind_of_file():
    graph = tf.function(
        lambda encoded: decode_and_resize(encoded, (23, 29)),
        input_signature=[tf.TensorSpec((), tf.string)],
    )
    pixels = smooth_pixels()
    for kind in ("JPEG", "PNG", "GIF", "BMP"):
        encoded = encode(pixels, kind)
        expected = decode_and_resize(encoded, (23, 29))
        received = graph(encoded)
        assert received.shape == (23, 29, 3)
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize(
    "broken", [b"", b"a text", jpeg()[:900], jpeg()[:30], b"\xff\xd8"]
)
def test_broken_bytes_raise(broken):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(broken)
