"""Orientation wherever EXIF lies: pixels and header against Pillow."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from keras_fgvc.decoding import exif, png, webp
from keras_fgvc.decoding.headers import orientation, read_size
from keras_fgvc.decoding.images import decode
from tests.data.image_files import encode, smooth_pixels, write

SHORT, LONG, BYTE = 3, 4, 1
PIXELS = smooth_pixels(22, 30)
CODES = {SHORT: "H2x", LONG: "I", BYTE: "B3x"}


def tiff(value, order="<", kind=SHORT, thumbnail=None, count=1):
    """A TIFF structure whose first directory holds the orientation alone."""
    mark = b"II*\0" if order == "<" else b"MM\0*"

    def directory(value, following):
        entry = struct.pack(order + "HHI", 0x0112, kind, count)
        entry += struct.pack(order + CODES[kind], value)
        following = struct.pack(order + "I", following)
        return struct.pack(order + "H", 1) + entry + following

    first = directory(value, 0 if thumbnail is None else 8 + 18)
    second = b"" if thumbnail is None else directory(thumbnail, 0)
    return mark + struct.pack(order + "I", 8) + first + second


def segment(code, content):
    return bytes([0xFF, code]) + struct.pack(">H", len(content) + 2) + content


EXIF = segment(0xE1, b"Exif\0\0" + tiff(6))
XMP = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")
PLACES = {
    "first": [EXIF],
    "comment": [segment(0xFE, b"by some tool"), EXIF],
    "XMP": [XMP, EXIF],
    "ICC": [segment(0xE2, bytes(60_000)), segment(0xE2, bytes(60_000)), EXIF],
    "fill bytes": [b"\xff\xff", EXIF],
    "empty segments": [*[segment(0xEF, b"")] * 300, EXIF],
    "before JFIF": [EXIF, segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")],
    "twice": [EXIF, segment(0xE1, b"Exif\0\0" + tiff(3))],
    "a comment that looks so": [segment(0xFE, EXIF), EXIF],
}


def jpeg_with(*segments):
    plain = encode(PIXELS, "JPEG", quality=95)
    return plain[:2] + b"".join(segments) + plain[2:]


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png_with(content, *, behind=False):
    plain = encode(PIXELS, "PNG")
    at = len(plain) - 12 if behind else len(png.SIGNATURE) + 25
    return plain[:at] + chunk(b"eXIf", content) + plain[at:]


def webp_with(content):
    return encode(PIXELS, "WEBP", lossless=True, exif=content)


def assert_upright(tmp_path, encoded, mean=2.0):
    image = Image.open(io.BytesIO(encoded))
    expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    received = decode(encoded).numpy()
    assert received.shape == expected.shape
    assert np.abs(received - expected.astype(float)).mean() <= mean
    size = read_size(write(tmp_path / "image", encoded))
    assert size == received.shape[:2]


@pytest.mark.parametrize("place", PLACES)
def test_any_place_among_the_segments(tmp_path, place):
    encoded = jpeg_with(*PLACES[place])
    assert orientation(io.BytesIO(encoded)) == 6
    assert_upright(tmp_path, encoded)


@pytest.mark.parametrize("build", [png_with, webp_with])
@pytest.mark.parametrize("value", range(1, 9))
def test_png_and_webp(tmp_path, build, value):
    assert_upright(tmp_path, build(tiff(value, order=">")), mean=0)


def test_png_with_exif_behind_the_pixels(tmp_path):
    assert_upright(tmp_path, png_with(tiff(8), behind=True), mean=0)


def test_webp_exif_after_its_mark(tmp_path):
    assert_upright(tmp_path, webp_with(b"Exif\0\0" + tiff(5)), mean=0)


BLOCKS = {
    "long": (tiff(6, kind=LONG), 6),
    "long, big endian": (tiff(6, ">", LONG), 6),
    "thumbnail lies": (tiff(1, thumbnail=6), 1),
    "thumbnail only": (tiff(9, thumbnail=6), 1),
    "zero": (tiff(0), 1),
    "nine": (tiff(9), 1),
    "large": (tiff(65_535), 1),
    "two values": (tiff(6, ">", count=2), 6),
    "byte": (tiff(6, kind=BYTE), 1),
    "no TIFF": (b"XX" + tiff(6)[2:], 1),
    "cut in its header": (tiff(6)[:6], 1),
    "cut before its directory": (tiff(6)[:8], 1),
    "cut in its entry": (tiff(6)[:18], 1),
    "whole entry of many": (b"II*\0\x08\0\0\0\x63\0" + tiff(6)[10:22], 6),
    "directory far away": (b"II*\0\xff\xff\xff\xff" + tiff(6)[8:], 1),
    "empty": (b"", 1),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name):
    """The graph and the reader of headers agree."""
    block, expected = BLOCKS[name]
    assert exif.read_orientation(tf.constant(block)) == expected
    encoded = jpeg_with(segment(0xE1, b"Exif\0\0" + block))
    assert orientation(io.BytesIO(encoded)) == expected


def test_xmp_is_ignored_as_in_browsers():
    content = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    content += b'tiff:Orientation="6"/>'
    mark = b"http://ns.adobe.com/xap/1.0/\0"
    encoded = jpeg_with(segment(0xE1, mark + content))
    assert decode(encoded).shape[:2] == PIXELS.shape[:2]
    assert orientation(io.BytesIO(encoded)) == 1


def test_webp_without_the_flag_has_no_orientation():
    encoded = bytearray(webp_with(tiff(6)))
    encoded[webp.FLAGS_AT] &= ~webp.EXIF
    assert webp.read_orientation(tf.constant(bytes(encoded))) == 1
    assert orientation(io.BytesIO(bytes(encoded))) == 1
