"""One table with one row per image, from the listed files to the splits.

Each step takes the rows and returns those that are left, with more known.
"""

import collections
import dataclasses
import os

import numpy as np

from keras_fgvc.data.dataset import Examples
from keras_fgvc.data.pipeline.geometry import normalize_box
from keras_fgvc.data.pipeline.shares import stratified_cut
from keras_fgvc.data.sources.files import check_images

SPLITS = ("train", "validation", "test")

SPLIT_ALIASES = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}


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
    """

    path: str
    label: str
    split: str | None = None
    box: tuple[float, ...] | None = None
    line: int = 0


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
            f"{len(rows)} usable image(s) in other splits."
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
        return rows
    sizes = check_images([row.path for row in rows], verify, log)
    kept, clipped = [], []
    for row, size in zip(rows, sizes, strict=True):
        if size is None:
            continue
        if row.box is not None:
            try:
                box, is_clipped = normalize_box(row.box, size)
            except ValueError as error:
                log.add(row.path, "bad box", f"{error} (line {row.line})")
                continue
            clipped += [row.path] * is_clipped
            row = dataclasses.replace(row, box=box)
        kept.append(row)
    if clipped:
        log.notes.append(
            f"{len(clipped)} box(es) reached beyond their image and were "
            f"clipped, the first of {clipped[0]}"
        )
    return kept


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
        boxes = [row.box for row in chosen if row.box is not None]
        if chosen:
            splits[split] = Examples(
                labels=np.array([numbers[r.label] for r in chosen], np.int32),
                paths=tuple(row.path for row in chosen),
                boxes=np.array(boxes, np.float32) if boxes else None,
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
