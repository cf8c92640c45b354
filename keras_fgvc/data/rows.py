"""One image of a data set as its CSV or folder describes it."""

import collections
import dataclasses
import os

SPLIT_ALIASES = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One image that is listed but not yet read.

    Args:
        path: File name.
        label: Name of the class.
        split: "train", "validation", "test", or None where none is given.
        box: (x_min, y_min, x_max, y_max) in pixels, or None.
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


def sorted_classes(rows) -> tuple[str, ...]:
    """The classes by name, or by number where all names are numbers."""
    names = {row.label for row in rows}
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _repeated(earlier, row) -> str:
    if not row.line:
        return f"is the same file as {earlier.path}"
    return f"line {row.line} repeats line {earlier.line}"
