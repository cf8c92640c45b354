"""One short text that tells the images of a split from others."""

import hashlib
import os
import pathlib

import numpy as np

from keras_fgvc.data.fingerprints import add_array, add_json


def identity(examples) -> str:
    """Which images these are, in their order; nothing is decoded.

    Unlike `fingerprint` it stays the same when their folder is moved or
    copied. Texts of other kinds of storage, such as of files and of the same
    images in memory, cannot be compared: see `are_others`.

    Args:
        examples: `Examples`.

    Returns:
        Their kind, a space, and a digest: of pixels, of files' names below
        the folder they have in common and their sizes, or of places within
        larger files.
    """
    digest = hashlib.sha256()
    if examples.images is not None:
        kind = "pixels {1}x{2}".format(*examples.images.shape)
        add_array(digest, examples.images)
    elif examples.paths is not None:
        kind = "files"
        _add_files(digest, examples.paths)
    else:
        kind, records = "records", examples.records
        add_json(digest, [os.path.basename(path) for path in records.files])
        places = (records.file_index, records.offsets, records.lengths)
        add_array(digest, np.stack([np.asarray(p, "<i8") for p in places]))
    return f"{kind} {digest.hexdigest()}"


def are_others(ours: str, theirs: str) -> bool:
    """Whether two identities are of one kind and of different images."""
    kinds = [text.rpartition(" ")[0] for text in (ours, theirs)]
    return kinds[0] == kinds[1] and ours != theirs


def _add_files(digest, paths):
    """Adds names below the folder they have in common, and sizes."""
    if not paths:
        return
    root = os.path.commonpath([os.path.dirname(path) for path in paths])
    for path in paths:
        name = pathlib.PurePath(os.path.relpath(path, root)).as_posix()
        add_json(digest, [name, os.path.getsize(path)])
