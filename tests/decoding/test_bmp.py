"""BMP of every depth against Pillow."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_fgvc.decoding.images import decode, why_refused
from tests.data.image_files import encode, smooth_pixels

PIXELS = smooth_pixels(11, 29)
IMAGE = Image.fromarray(PIXELS)
FILES = {
    "1 bit": encode(IMAGE.convert("1"), "BMP"),
    "8 bits, grey": encode(IMAGE.convert("L"), "BMP"),
    "8 bits, palette": encode(IMAGE.quantize(200), "BMP"),
    "24 bits": encode(IMAGE, "BMP"),
    "32 bits": encode(IMAGE.convert("RGBA"), "BMP"),
}


def bmp(width, height, bits, compression, content, extra=b"", colours=0):
    """A BMP of one's own; `extra` follows the header."""
    start = 54 + len(extra)
    head = b"BM" + struct.pack("<IHHI", start + len(content), 0, 0, start)
    head += struct.pack("<IiiHHI", 40, width, height, 1, bits, compression)
    head += struct.pack("<IiiII", len(content), 0, 0, colours, 0)
    return head + extra + content


PALETTE = bytes(np.random.default_rng(0).integers(0, 256, 64, np.uint8))
ROW = bytes(range(0x10, 0x18))
FILES |= {
    "4 bits": bmp(13, 2, 4, 0, ROW + ROW[::-1], PALETTE),
    "from the top": bmp(13, -2, 4, 0, ROW + ROW[::-1], PALETTE),
    "16 bits": bmp(3, 2, 16, 0, bytes(range(16))),
    "16 bits, 565": bmp(
        3, 2, 16, 3, bytes(range(16)), struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_every_depth(name):
    encoded = FILES[name]
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    difference = np.abs(decode(encoded).numpy().astype(int) - expected)
    assert difference.max() <= 1


@pytest.mark.parametrize("name", FILES)
def test_cut_short(name):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(FILES[name][:-3])


@pytest.mark.parametrize(("bits", "compression"), [(8, 1), (2, 0), (16, 9)])
def test_other_layouts_are_refused_in_words(bits, compression):
    encoded = bmp(3, 2, bits, compression, bytes(64))
    assert f"is a BMP of {bits} bits" in why_refused(encoded)
    with pytest.raises(tf.errors.InvalidArgumentError, match="save it as PNG"):
        decode(encoded)
