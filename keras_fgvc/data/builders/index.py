"""The index of a prepared TFDS data set, kept beside it.

Looking up each record of the largest data sets takes minutes. What was found
is kept as an .npz beside the records, and the next opening reads that alone.
It belongs to files of certain names and sizes: with others it is made anew.
"""

import contextlib
import dataclasses
import json
import os
import zipfile

import numpy as np

from keras_fgvc.data.builders.record_contents import (
    Features,
    Indexed,
    look_up,
    with_digests,
)
from keras_fgvc.data.sources.records import Records

VERSION = 2  # Another one makes all indices anew.


def read_index(folder, files, features: Features) -> dict[str, Indexed]:
    """Reads the index beside the records, or makes and keeps it.

    Args:
        folder: Where the index is kept; if it cannot be written there, it is
            made at each opening.
        files: Dictionary from the name of a split to its TFRecord files.
        features: `Features`.

    Raises:
        ValueError: A file is cut short, or lacks a feature.
    """
    key = _key(files, features)
    several = isinstance(features.label, tuple)
    name = "all" if several else features.label.replace("/", "_")
    path = os.path.join(folder, f"keras_fgvc_index_{name}.npz")
    found = _load(path, key, files)
    if found is None:
        found = with_digests(
            {split: look_up(paths, features) for split, paths in files.items()}
        )
        _save(path, key, found)
    return found


def _key(files, features) -> str:
    """Text that changes with the files, the features and this code."""
    facts = {
        split: [[os.path.basename(p), os.path.getsize(p)] for p in paths]
        for split, paths in files.items()
    }
    wanted = dataclasses.asdict(features)
    return json.dumps([VERSION, wanted, facts], sort_keys=True)


def _save(path, key, found) -> None:
    arrays = {"key": key}
    for split, indexed in found.items():
        records = indexed.records
        arrays |= {
            f"{split}.file_index": records.file_index,
            f"{split}.offsets": records.offsets,
            f"{split}.lengths": records.lengths,
            f"{split}.labels": indexed.labels,
            f"{split}.folders": json.dumps(list(indexed.folders.items())),
            f"{split}.digests": json.dumps(list(indexed.digests.items())),
        }
        if indexed.boxes is not None:
            arrays[f"{split}.boxes"] = indexed.boxes
    incomplete = f"{path}.{os.getpid()}.incomplete"
    try:
        with open(incomplete, "wb") as file:
            np.savez(file, **arrays)
        os.replace(incomplete, path)
    except OSError:  # A folder that others share may be for reading only.
        with contextlib.suppress(OSError):
            os.remove(incomplete)


def _load(path, key, files) -> dict[str, Indexed] | None:
    """Returns None if the index is missing, stale or corrupt."""
    try:
        # NumPy leaves a file open that is no archive.
        with open(path, "rb") as file, np.load(file) as stored:
            if str(stored["key"]) != key:
                return None
            arrays = dict(stored)
        return {
            split: _from_arrays(
                paths,
                {
                    name.partition(".")[2]: values
                    for name, values in arrays.items()
                    if name.startswith(f"{split}.")
                },
            )
            for split, paths in files.items()
        }
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _from_arrays(files, arrays) -> Indexed:
    records = Records(
        tuple(files),
        arrays["file_index"],
        arrays["offsets"],
        arrays["lengths"],
    )
    return Indexed(
        records,
        arrays["labels"],
        arrays.get("boxes"),
        dict(json.loads(str(arrays["folders"]))),
        digests=dict(json.loads(str(arrays["digests"]))),
    )
