"""Protocol of the images of one split, wherever they are kept.

Also the texts that name images, which cover each kind of source in its own
way, and the search for images with the same bytes.
"""

import collections
import concurrent.futures
import hashlib
import json
import os
from typing import Protocol

import numpy as np

from keras_fgvc.decoding.images import Encoded, decode_and_resize
from keras_fgvc.decoding.inspection import KINDS

MIDDLE = 1024  # bytes that tell most files of one size apart


class ImageSource(Protocol):
    """The images of one split in their order. Its fields are its state."""

    def __len__(self) -> int:
        """Returns the number of images."""

    def take(self, indices) -> "ImageSource":
        """Returns the images at `indices` (an integer array), in this order."""

    def reader(self):
        """Returns a function of an index and a size, for use in a graph.

        It returns uint8 `(height, width, 3)`, resized to `size`, a pair. Where
        that is `None` it returns the image as it is stored: pixels, or
        `Encoded`, a file that is not decoded.
        """

    def identity(self) -> str:
        """Returns a kind and a digest that stay when the images are moved."""

    def add_facts(self, digest) -> None:
        """Adds to a digest what changes whenever the images do."""


def decoded(read_encoded, kinds=KINDS):
    """Makes a reader of a function from an index to an encoded image."""

    def read(index, size):
        content = read_encoded(index)
        if size is None:
            return Encoded(content, kinds)
        return decode_and_resize(content, size, kinds=kinds)

    return read


def are_others(ours: str, theirs: str) -> bool:
    """Tells whether two identities of one kind name different images."""
    kinds = [text.rpartition(" ")[0] for text in (ours, theirs)]
    return kinds[0] == kinds[1] and ours != theirs


def fingerprint(data) -> str:
    """Condenses what a data set holds to a text that can be compared.

    It covers the names of the classes and, for each split, its name, its
    labels and its images, all in their order: an image file with its path,
    its size and the time it was last written, an image in memory with its
    pixels, an image within a larger file with its place there and the facts
    of that file. Nothing is decoded. Boxes, source and licence do not count.

    Args:
        data: `LabeledImages`, or anything with a `fingerprint` of its own,
            such as `Precomputed` and `PartImages`.

    Returns:
        64 hexadecimal digits.

    Raises:
        TypeError: `data` is something else.
        OSError: An image file is not there any more.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.data import Examples, LabeledImages, fingerprint

    def one_image(grey):
        image = np.full((1, 32, 32, 3), grey, "uint8")
        examples = Examples(labels=np.array([0], "int32"), images=image)
        return LabeledImages("one", ("cat",), {"train": examples})

    assert fingerprint(one_image(7)) == fingerprint(one_image(7))
    assert fingerprint(one_image(7)) != fingerprint(one_image(8))
    ```
    """
    own = getattr(data, "fingerprint", None)
    if own is None:
        raise TypeError(
            "`data` must be LabeledImages or have an attribute `fingerprint`, "
            "a text that changes with what it holds. "
            f"Received: {type(data).__name__}."
        )
    return own


def add_json(digest, value) -> None:
    """Adds what JSON can hold; nothing that follows can be mistaken for it."""
    digest.update(json.dumps(value, sort_keys=True).encode() + b"\n")


def add_array(digest, array) -> None:
    """Adds shape, type and values, whatever the layout in memory.

    One row after another: an array that np.broadcast_to made large is never
    copied as a whole.
    """
    add_json(digest, [array.shape, array.dtype.str])
    for row in array:
        digest.update(np.ascontiguousarray(row))


def add_files(digest, paths) -> None:
    """Adds the path, the size and the modification time of files."""
    facts = [(os.fspath(path), os.stat(path)) for path in paths]
    add_json(
        digest, [[path, fact.st_size, fact.st_mtime_ns] for path, fact in facts]
    )


def digests_of_alike(count: int, *keys) -> list:
    """Returns the last key of the images that have another's, else None.

    Each key is asked only of images that agree with another in the key
    before, so that cheap keys spare the reading of whole images.

    Args:
        count: Number of images.
        *keys: Functions from the number of an image to what it is compared
            by.
    """
    digests, left = [None] * count, range(count)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for key in keys:
            found = list(pool.map(key, left))
            counts = collections.Counter(found)
            alike = [
                pair
                for pair in zip(left, found, strict=True)
                if counts[pair[1]] > 1
            ]
            left = [number for number, _ in alike]
    for number, digest in alike:
        digests[number] = digest
    return digests


def file_keys(places):
    """Returns keys for `digests_of_alike`: size, middle and content.

    Args:
        places: List of file name, first byte and number of bytes.
    """

    def middle(number):
        path, start, size = places[number]
        return _read(path, start + size // 2, min(MIDDLE, size - size // 2))

    def content(number):
        return hashlib.sha256(_read(*places[number])).hexdigest()

    return lambda number: places[number][2], middle, content


def _read(path, start, size) -> bytes:
    with open(path, "rb") as file:
        file.seek(start)
        return file.read(size)
