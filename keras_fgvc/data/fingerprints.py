"""One short text that changes whenever a data set does."""

import hashlib
import json
import os

import numpy as np

from keras_fgvc.data.labeled_images import LabeledImages


def fingerprint(data) -> str:
    """What a data set holds, as a short text to compare with a later one.

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
    if own is not None:
        return own
    if not isinstance(data, LabeledImages):
        raise TypeError(
            "`data` must be LabeledImages or have an attribute `fingerprint`, "
            "a text that changes with what it holds. "
            f"Received: {type(data).__name__}."
        )
    digest = hashlib.sha256()
    add_json(digest, data.class_names)
    for split, examples in data.splits.items():
        add_json(digest, split)
        add_array(digest, np.asarray(examples.labels, "<i8"))
        if examples.images is not None:
            add_array(digest, examples.images)
        elif examples.paths is not None:
            add_json(digest, [_file_facts(path) for path in examples.paths])
        else:
            _add_records(digest, examples.records)
    return digest.hexdigest()


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


def _add_records(digest, records) -> None:
    add_json(digest, [_file_facts(path) for path in records.files])
    places = (records.file_index, records.offsets, records.lengths)
    add_array(digest, np.stack([np.asarray(p, "<i8") for p in places]))


def _file_facts(path):
    facts = os.stat(path)
    return [os.fspath(path), facts.st_size, facts.st_mtime_ns]
