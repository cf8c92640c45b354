"""The size of an image from its header, without decoding it."""

import struct

from keras_fgvc.data.orientation import (
    EXIF_OFFSETS,
    FIRST_TRANSPOSED,
    HEAD_BYTES,
    TAGS,
)

# Markers that start a JPEG frame and hold its size: all SOFs, without the
# tables (C4), arithmetic coding (CC) and a reserved one (C8).
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def read_size(path) -> tuple[int, int]:
    """(height, width) of the upright image in a file.

    Raises:
        ValueError: The file is not a JPEG, PNG, GIF, BMP or WebP image, or
            ends within its header.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        try:
            if head.startswith(b"\xff\xd8"):
                return _jpeg_size(file, head)
            return _other_size(head)
        except struct.error as error:
            raise ValueError("is cut short within its header") from error


def _other_size(head) -> tuple[int, int]:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return struct.unpack_from(">II", head, 16)[::-1]
    if head.startswith((b"GIF87a", b"GIF89a")):
        return struct.unpack_from("<HH", head, 6)[::-1]
    if head.startswith(b"BM"):
        width, height = struct.unpack_from("<ii", head, 18)
        return abs(height), width  # Negative: stored from the top.
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp_size(head)
    raise ValueError(
        "is not an image (its content is not JPEG, PNG, GIF, BMP or WebP)"
    )


def _jpeg_size(file, head) -> tuple[int, int]:
    file.seek(2)
    while True:
        mark, code = struct.unpack("BB", file.read(2))
        if mark != 0xFF:
            raise ValueError("is corrupt: its header is not a JPEG's")
        while code == 0xFF:  # Any number of them may fill up.
            (code,) = struct.unpack("B", file.read(1))
        (length,) = struct.unpack(">H", file.read(2))
        if code in START_OF_FRAME:
            height, width = struct.unpack(">xHH", file.read(5))
            break
        file.seek(length - 2, 1)
    is_lying = orientation(head) >= FIRST_TRANSPOSED
    return (width, height) if is_lying else (height, width)


def orientation(head) -> int:
    """1 (upright) to 8, of the first bytes of a JPEG.

    The same rule as `orientation.orientation_from_exif`.
    """
    if all(head[at : at + 4] != b"Exif" for at in EXIF_OFFSETS):
        return 1
    for tag, value_at in TAGS:
        found = head.find(tag)
        if 0 <= found < len(head) - value_at and head[found + value_at] <= 8:
            return max(1, head[found + value_at])
    return 1


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
