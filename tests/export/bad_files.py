"""Image files that a server meets, and what each of them gets.

`CASES` maps a name to `(content, error)`: what is sent, and a part of the
sentence that its row gets; an empty error where the image is read.
"""

import struct
import zlib

import numpy as np
from PIL import Image

from tests.data.image_files import encode, smooth_pixels

PIXELS = smooth_pixels()
CUT = "is cut short or corrupt"
NO_IMAGE = "is not an image"


def _png(height, width):
    """A whole PNG but for its pixels, of which it has ten zeros."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(10))),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        png_chunk(*chunk) for chunk in chunks
    )


def png_chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _jpeg_that_declares(height, width):
    content = encode(PIXELS, "JPEG")
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


def _bmp_that_declares(height, width):
    content = encode(PIXELS, "BMP")
    size = struct.pack("<ii", width, height)
    return content[:18] + size + content[26:]


def _animated(kind, **options):
    frames = [Image.fromarray(smooth_pixels(seed=seed)) for seed in range(3)]
    return encode(
        frames[0], kind, save_all=True, append_images=frames[1:], **options
    )


def gif_with_later_frame(side):
    """A GIF whose second frame is larger than its first."""
    small, large = (
        encode(Image.fromarray(pixels), "GIF")
        for pixels in (PIXELS[..., 0], np.zeros((side, side), np.uint8))
    )
    return small[:-1] + large[large.index(b",", 13 + 3) :]


def _half(content):
    return content[: len(content) // 2]


GREY = Image.fromarray(PIXELS).convert("L")
CASES = {
    "JPEG": (encode(PIXELS, "JPEG"), ""),
    "PNG": (encode(PIXELS, "PNG"), ""),
    "GIF": (encode(PIXELS, "GIF"), ""),
    "BMP": (encode(PIXELS, "BMP"), ""),
    "WebP": (encode(PIXELS, "WEBP"), ""),
    "zero bytes": (b"", "is empty (0 bytes)"),
    "one byte": (b"\xff", NO_IMAGE),
    "a text": (b"no image at all", NO_IMAGE),
    "TIFF": (encode(PIXELS, "TIFF"), NO_IMAGE),
    "a sound, RIFF": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(28), NO_IMAGE),
    "RIFF and no more": (b"RIFF", NO_IMAGE),
    "truncated JPEG": (_half(encode(PIXELS, "JPEG")), CUT),
    "JPEG without its end": (encode(PIXELS, "JPEG")[:-2], CUT),
    "JPEG, header only": (encode(PIXELS, "JPEG")[:30], CUT),
    "truncated PNG": (_half(encode(PIXELS, "PNG")), CUT),
    "PNG, header only": (encode(PIXELS, "PNG")[:20], CUT),
    "PNG, wrong checksum": (
        encode(PIXELS, "PNG")[:60] + b"?" + encode(PIXELS, "PNG")[61:],
        CUT,
    ),
    "truncated GIF": (_half(encode(PIXELS, "GIF")), CUT),
    "truncated WebP": (_half(encode(PIXELS, "WEBP")), CUT),
    "PNG bomb, 60000 x 60000": (
        _png(60000, 60000),
        "declares 60000 x 60000 pixels; at most 50000000 in all",
    ),
    "JPEG bomb, 65000 x 65000": (
        _jpeg_that_declares(65000, 65000),
        "declares 65000 x 65000 pixels",
    ),
    "GIF, animated": (_animated("GIF"), ""),
    "WebP, animated": (_animated("WEBP"), "or is animated WebP"),
    "JPEG, CMYK": (encode(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"), ""),
    "PNG, 16 bit": (
        encode(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257), "PNG"),
        "",
    ),
    "PNG, grey and alpha": (encode(GREY.convert("LA"), "PNG"), ""),
    "1 x 1 PNG": (encode(PIXELS[:1, :1], "PNG"), ""),
    "BMP, wrong size": (_bmp_that_declares(44, 6000), CUT),
    "BMP bomb": (_bmp_that_declares(60000, 60000), "declares 60000 x 60000"),
}
