"""Sizes from headers equal the sizes of decoded images."""

import pytest
from PIL import Image

from keras_fgvc.decoding.headers import read_size
from keras_fgvc.decoding.images import decode
from tests.data.image_files import (
    HEIGHT,
    WIDTH,
    encode,
    jpeg,
    smooth_pixels,
    write,
)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"icc_profile": b"profile" * 300}),
        ("PNG", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0 and so on"}),
    ],
)
def test_every_format(tmp_path, kind, options):
    path = write(tmp_path / "image", encode(smooth_pixels(), kind, **options))
    assert read_size(path) == (HEIGHT, WIDTH)


def test_fill_bytes_before_a_marker(tmp_path):
    """Any number of 0xFF may stand there."""
    image = jpeg()
    image = image[:2] + b"\xff\xff" + image[2:]
    assert decode(image).shape[:2] == (HEIGHT, WIDTH)
    assert read_size(write(tmp_path / "image", image)) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 8])
def test_orientation_counts(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(smooth_pixels(), "JPEG", exif=exif)
    size = read_size(write(tmp_path / "image.jpg", content))
    assert size == decode(content).shape[:2]
    assert size == ((WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a text", "is not an image"),
        (jpeg()[:100], "cut short or corrupt within its header"),
        (encode(smooth_pixels(), "PNG")[:18], "corrupt within its header"),
        (b"\xff\xd8\xff" + b"no marker", "corrupt within its header"),
    ],
)
def test_broken_headers_raise(tmp_path, content, message):
    path = write(tmp_path / "image.jpg", content)
    with pytest.raises(ValueError, match=message):
        read_size(path)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "PNG", "JPEG"])
def test_many_pixels_are_refused_in_words(tmp_path, kind):
    """Also where Pillow refuses them itself."""
    content = bytearray(encode(smooth_pixels(), kind))
    large = 60_000
    if kind == "GIF":
        frame = content.index(b",", 13 + 3 * 256)
        for place in (frame + 5, frame + 7):  # The screen stays small.
            content[place : place + 2] = large.to_bytes(2, "little")
    elif kind == "BMP":
        content[18:26] = 2 * large.to_bytes(4, "little")
    elif kind == "PNG":
        content[16:24] = 2 * large.to_bytes(4, "big")
    else:
        place = content.index(b"\xff\xc0") + 5
        content[place : place + 4] = 2 * large.to_bytes(2, "big")
    with pytest.raises(ValueError, match=r"declares .* pixels; at most"):
        read_size(write(tmp_path / "large", bytes(content)))
