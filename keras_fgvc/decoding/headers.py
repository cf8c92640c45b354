"""The size and orientation of an image from its header, without its pixels.

Pillow reads JPEG, GIF and BMP, and EXIF of all kinds. The chunks of PNG and
WebP are walked here, because Pillow finds EXIF behind the pixels of a PNG
only by decoding them, and takes memory for two images to open a WebP.

The other modules read the same inside a graph, by the same rules.
"""

import os
import struct
import threading
import warnings

from keras_fgvc.decoding.exif import (
    BIG_ENDIAN,
    FIRST_TRANSPOSED,
    LAST,
    LITTLE_ENDIAN,
    MARK,
    ORIENTATION,
    UPRIGHT,
)
from keras_fgvc.decoding.webp import EXIF

# As Pillow's: a quarter of a gigabyte of RGB pixels. A photograph of 50
# megapixels passes; one of 100 must be made smaller before.
MAX_PIXELS = 2**30 // 4 // 3
HEAD_BYTES = 32
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
GIF_SIGNATURES = (b"GIF87a", b"GIF89a")
UNKNOWN = "is not an image (its content is not JPEG, PNG, GIF, BMP or WebP)"
BROKEN = "is cut short or corrupt within its header"
# What Pillow raises for a broken header.
PILLOW_ERRORS = (SyntaxError, ValueError, TypeError, LookupError, struct.error)
# `warnings.catch_warnings` is not safe in several threads at once.
_QUIET = threading.Lock()


def read_size(path) -> tuple[int, int]:
    """(height, width) of the upright image in a file.

    Raises:
        ValueError: The file is not a JPEG, PNG, GIF, BMP or WebP image, ends
            within its header, or declares too many pixels.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        height, width = _stored_size(file)
        if height * width > MAX_PIXELS:
            raise ValueError(
                f"declares {height} x {width} pixels; at most {MAX_PIXELS} "
                "in all are decoded"
            )
        is_lying = orientation(file) >= FIRST_TRANSPOSED
    return (width, height) if is_lying else (height, width)


def kind_of(path) -> str | None:
    """Returns the format of a file by its first bytes, None if unknown.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        return kind_of_content(file.read(HEAD_BYTES))


def kind_of_content(content: bytes) -> str | None:
    """Returns the format of the content of a file, None if unknown."""
    signatures = {
        "jpeg": JPEG_SIGNATURE,
        "png": PNG_SIGNATURE,
        "gif": GIF_SIGNATURES,
        "bmp": b"BM",
    }
    for kind, signature in signatures.items():
        if content.startswith(signature):
            return kind
    return "webp" if _is_webp(content) else None


def orientation(file) -> int:
    """The EXIF orientation of an image, 1 (upright) to 8.

    Args:
        file: Binary file, read from its start.
    """
    head = _read_head(file)
    try:
        if head.startswith(JPEG_SIGNATURE):
            block = _open_jpeg(file).info.get("exif", b"")
        elif head.startswith(PNG_SIGNATURE):
            block = _find_chunk(file, b"eXIf", 8, ">I4s", 4)
        elif _is_webp(head) and head[12:16] == b"VP8X" and head[20] & EXIF:
            block = _find_chunk(file, b"EXIF", 12, "<4sI", 0)
        else:
            return UPRIGHT
    except ValueError:  # A broken header has no orientation.
        return UPRIGHT
    return _orientation_of(block)


def _stored_size(file) -> tuple[int, int]:
    head = _read_head(file)
    try:
        if head.startswith(PNG_SIGNATURE):
            return struct.unpack_from(">II", head, 16)[::-1]
        if _is_webp(head):
            return _webp_size(head)
    except struct.error as error:
        raise ValueError(BROKEN) from error
    if head.startswith(JPEG_SIGNATURE):
        return _open_jpeg(file).size[::-1]
    if head.startswith(GIF_SIGNATURES):
        from PIL.GifImagePlugin import GifImageFile

        left, top, right, bottom = _open(GifImageFile, file).tile[0][1]
        return bottom - top, right - left
    if head.startswith(b"BM"):
        from PIL.BmpImagePlugin import BmpImageFile

        return _open(BmpImageFile, file).size[::-1]
    raise ValueError(UNKNOWN)


def _read_head(file) -> bytes:
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return head


def _open_jpeg(file):
    from PIL.JpegImagePlugin import JpegImageFile

    return _open(JpegImageFile, file)


def _open(kind, file):
    """A Pillow image, its header read; unlike `Image.open` of one format.

    `Image.open` warns of many pixels, which are refused here anyway.
    """
    from PIL import Image

    try:
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken EXIF
            return kind(file)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"declares too many pixels; at most {MAX_PIXELS} in all are decoded"
        ) from error
    except PILLOW_ERRORS as error:
        raise ValueError(BROKEN) from error
    except OSError as error:
        if error.errno is not None:
            raise  # The disk's, not Pillow's.
        raise ValueError(BROKEN) from error


def _orientation_of(block: bytes) -> int:
    """The orientation in a TIFF structure, 1 where it has none."""
    from PIL import Image

    block = block.removeprefix(MARK)
    if not block.startswith((LITTLE_ENDIAN, BIG_ENDIAN)):
        return UPRIGHT
    # Not `Image.getexif`, which falls back to XMP as no browser does.
    found = Image.Exif()
    try:
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a directory cut short
            found.load(block)
            value = found.get(ORIENTATION)
    except (*PILLOW_ERRORS, OSError):
        return UPRIGHT
    is_valid = isinstance(value, int) and UPRIGHT <= value <= LAST
    return value if is_valid else UPRIGHT


def _find_chunk(file, wanted, start, layout, check_bytes) -> bytes:
    """The content of the first chunk of a name in a PNG or WebP."""
    file.seek(start)
    while len(head := file.read(8)) == 8:
        name, length = sorted(
            struct.unpack(layout, head), key=lambda part: isinstance(part, int)
        )
        if name == wanted:
            return file.read(length)
        # Chunks of WebP, which have no check sum, end on even bytes.
        padding = check_bytes or length % 2
        file.seek(length + padding, os.SEEK_CUR)
    return b""


def _is_webp(head) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def _webp_size(head) -> tuple[int, int]:
    kind = head[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(head[24:27], "little") + 1
        return int.from_bytes(head[27:30], "little") + 1, width
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", head, 26)
    return height & 0x3FFF, width & 0x3FFF
