"""One table with one row per image, from the listed files to the splits.

Each step takes the rows and returns those that are left, with more known.
"""

import collections
import dataclasses
import os

import numpy as np

from keras_fgvc.data.dataset import Examples
from keras_fgvc.data.pipeline.geometry import check_clipped, normalize_box
from keras_fgvc.data.pipeline.shares import stratified_cut
from keras_fgvc.data.sources.files import SUFFIXES, check_images, not_a_file
from keras_fgvc.data.sources.report import ending
from keras_fgvc.data.sources.source import digests_of_alike, file_keys

SPLITS = ("train", "validation", "test")
NO_BOX = (np.nan,) * 4  # as metrics and `Examples` have it
SHARE_TOLERANCE = 0.05  # of boxes from 0 to 1 that reach beyond their image


@dataclasses.dataclass(frozen=True)
class Row:
    """One image of a data set.

    Args:
        path: File name.
        label: Name of the class.
        split: "train", "validation", "test", or None where none is given.
        box: (x_min, y_min, x_max, y_max) in pixels as it is listed; after
            `check` `[y_min, x_min, y_max, x_max]` in 0..1; or None.
        line: Line of the CSV, or 0.
        digest: Hash of the file's content, or None if it is not known.
    """

    path: str
    label: str
    split: str | None = None
    box: tuple[float, ...] | None = None
    line: int = 0
    digest: str | None = None


def drop_repeated(rows, log) -> list[Row]:
    """Keeps the first of the rows with one path; a leak is an error.

    Raises:
        ValueError: An image is in two splits, whatever `on_error` is.
    """
    first, kept, leaks = {}, [], []
    for row in rows:
        path = os.path.realpath(row.path)
        earlier = first.setdefault(path, row)
        if earlier is row:
            kept.append(row)
        elif earlier.split != row.split:
            leaks.append(f"  {row.path}: {earlier.split} and {row.split}")
        else:
            log.add(row.path, "repeated image", _repeated(earlier, row))
    if leaks:
        raise ValueError(
            f"{len(leaks)} image(s) are in two splits, so a score would "
            "be measured on images that were trained on:\n"
            + "\n".join(leaks[:10])
            + "\nLeave each image in one split only."
        )
    return kept


def check_classes_in_train(rows) -> None:
    """Raises if a class of another split has no image in train."""
    known = {row.label for row in rows if row.split in ("train", None)}
    if not known:
        raise ValueError(
            'There is no usable image for the split "train". Received: '
            f"{len(rows)} usable image(s) in other splits. Name the folder, or "
            "the split in the CSV, of the training images train."
        )
    unknown = collections.Counter(
        (row.split, row.label) for row in rows if row.label not in known
    )
    if unknown:
        listed = ", ".join(
            f'"{label}" ({count} image(s) in {split})'
            for (split, label), count in unknown.items()
        )
        raise ValueError(
            f"Each class must have images in train. Missing there: {listed}. "
            "Add training images, remove these, or correct the spelling."
        )


def check(rows, verify: str, log) -> list[Row]:
    """Keeps the rows whose image and box are usable; normalises the boxes."""
    if verify == "never" and all(row.box is None for row in rows):
        return drop_no_files(rows, log)
    found = check_images([row.path for row in rows], verify, log)
    are_shares = _are_shares(rows, log)
    kept, clipped = [], []
    for row, image in zip(rows, found, strict=True):
        if image.size is None:
            continue
        row = dataclasses.replace(row, digest=image.digest)
        if row.box is not None:
            try:
                box, is_clipped = _normalize(row.box, image.size, are_shares)
            except ValueError as error:
                log.add(row.path, "bad box", f"{error} (line {row.line})")
                continue
            clipped += [row.path] * is_clipped
            row = dataclasses.replace(row, box=box)
        kept.append(row)
    check_clipped(clipped, sum(row.box is not None for row in kept))
    if clipped:
        log.notes.append(
            f"{len(clipped)} box(es) reached beyond their image and were "
            f"clipped, the first of {clipped[0]}"
        )
    return kept


def compare(rows, verify: str, log) -> list[Row]:
    """Finds the digests of files that may be copies of one another.

    A full check has them of all files; otherwise few files are read whole.
    """
    if all(row.digest for row in rows):
        return rows
    if verify == "never":
        log.notes.append(
            'copies of images were not looked for (verify="never")'
        )
        return rows
    places = [(row.path, 0, os.path.getsize(row.path)) for row in rows]
    digests = digests_of_alike(len(rows), *file_keys(places))
    return [
        dataclasses.replace(row, digest=row.digest or digest)
        for row, digest in zip(rows, digests, strict=True)
    ]


def drop_no_files(rows, log) -> list[Row]:
    """Drops rows whose path is no file to read, without opening any."""
    kept = []
    for row in rows:
        problem = not_a_file(row.path)
        if problem:
            log.add(row.path, "unreadable file", problem)
        else:
            kept.append(row)
    return kept


def _are_shares(rows, log) -> bool:
    """Tells whether all boxes are from 0 to 1: in pixels they were none."""
    sides = np.array([row.box for row in rows if row.box is not None])
    if not sides.size or np.abs(sides - 0.5).max() > 0.5 + SHARE_TOLERANCE:
        return False
    log.notes.append(
        "all boxes lie within 0 to 1 and were read as shares of the width "
        "and height of their image, not as pixels"
    )
    return True


def _normalize(box, size, are_shares):
    """`normalize_box`, for boxes in shares of the image as well."""
    if are_shares:
        height, width = size
        box = tuple(np.multiply(box, (width, height, width, height)))
    elif max(box) <= 1 and not all(side == int(side) for side in box):
        raise ValueError(
            "the box is smaller than a pixel, so it seems to be from 0 to 1; "
            "other boxes are in pixels, and all must be the same"
        )
    return normalize_box(box, size)


def cut(rows, name: str, fraction: float, seed: int, log) -> list[Row]:
    """Moves a share of each class of train to the split `name`."""
    numbers = _class_numbers(rows)
    train = [n for n, row in enumerate(rows) if row.split in ("train", None)]
    labels = [numbers[rows[n].label] for n in train]
    chosen = stratified_cut(labels, fraction, seed)
    rows = list(rows)
    for n, is_cut in zip(train, chosen, strict=True):
        split = name if is_cut else "train"
        rows[n] = dataclasses.replace(rows[n], split=split)
    if chosen.any():
        log.notes.append(
            f"{name} was cut from train ({fraction:.0%} of each class, "
            f"seed {seed})"
        )
    return rows


def to_splits(rows) -> tuple[tuple[str, ...], dict[str, Examples]]:
    """Returns the names of the classes, and `Examples` by split."""
    numbers = _class_numbers(rows)
    splits = {}
    for split in SPLITS:
        chosen = [row for row in rows if row.split == split]
        boxes = [NO_BOX if row.box is None else row.box for row in chosen]
        has_boxes = any(row.box is not None for row in chosen)
        if chosen:
            splits[split] = Examples(
                labels=np.array([numbers[r.label] for r in chosen], np.int32),
                paths=tuple(row.path for row in chosen),
                boxes=np.array(boxes, np.float32) if has_boxes else None,
            )
    return tuple(numbers), splits


def _class_numbers(rows) -> dict[str, int]:
    """Numbers the classes by name, or by number if all names are numbers."""
    names = {row.label for row in rows}
    if all(name.isdecimal() for name in names):
        ordered = sorted(names, key=lambda name: (int(name), name))
    else:
        ordered = sorted(names)
    return {name: number for number, name in enumerate(ordered)}


def _repeated(earlier, row) -> str:
    if not row.line:
        return f"is the same file as {earlier.path}"
    return f"line {row.line} repeats line {earlier.line}"


class ListedPaths:
    """Finds files whose paths are written for Windows, or without ending."""

    def __init__(self, folder):
        self.folder = folder
        self.turned, self.completed = [], []
        self._stems = {}

    def find(self, text) -> str:
        """Returns the path of the file that a cell names.

        Raises:
            ValueError: There is no file of this name, or there are several.
        """
        path = os.path.join(self.folder, text)
        if "\\" in text and not os.path.exists(path):
            path = os.path.join(self.folder, text.replace("\\", "/"))
            if path.lower().endswith(SUFFIXES) and not os.path.exists(path):
                raise ValueError(
                    "`path` has backslashes, as Windows writes them, and there "
                    f"is no such file, nor one with slashes ({path})"
                )
            self.turned.append(text)
        # A file that is not there is found missing by the check of images.
        if path.lower().endswith(SUFFIXES) or os.path.exists(path):
            return path
        return self._complete(path, text)

    def _complete(self, path, text):
        """Finds the one image whose name is `path` and an ending."""
        parent, stem = os.path.split(path)
        if parent not in self._stems:
            self._stems[parent] = _stems(parent)
        found = self._stems[parent].get(stem, [])
        if len(found) == 1:
            self.completed.append(f"{text} is {found[0]}")
            return os.path.join(parent, found[0])
        if not found and ending(path):
            return path  # check_images finds it missing
        raise ValueError(
            "`path` must name a file with its ending (extension), or one "
            f"image without it. Received: {text}, and in {parent} there is "
            f"{' and '.join(found) or 'no image of this name'}"
        )

    def facts(self) -> list[str]:
        """Returns what was taken otherwise than it is written."""
        found = []
        if self.turned:
            found.append(
                f"{len(self.turned)} path(s) with backslashes, as Windows "
                "writes them, were read with slashes"
            )
        if self.completed:
            found.append(
                f"{len(self.completed)} path(s) without the ending (extension) "
                f"of the file were completed, the first: {self.completed[0]}"
            )
        return found


def _stems(folder) -> dict[str, list[str]]:
    """Image files of a folder by their names without the ending."""
    stems = {}
    if os.path.isdir(folder):
        for name in sorted(os.listdir(folder)):
            if name.lower().endswith(SUFFIXES):
                stems.setdefault(os.path.splitext(name)[0], []).append(name)
    return stems
