"""Collects what was left out or noticed while a data set was opened."""

import collections
import dataclasses
import os
import re
from typing import NamedTuple

from keras_fgvc._checks import check_choice

MAX_SHOWN = 10
MAX_NAMED = 5
SAME_BYTES = {
    "leak": "image(s) have the same bytes as one of another split, so a "
    "score is measured on images that were trained on",
    "conflict": "image(s) have the same bytes as one of another class",
    "repetition": "image(s) have the same bytes as one of their class and "
    "split",
}
# Control characters, also of writing from right to left, and bytes that are
# not UTF-8 as Python keeps them.
UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
ON_ERROR = ("raise", "skip")


@dataclasses.dataclass(frozen=True)
class Problem:
    """One image that cannot be used.

    Args:
        path: Of the image.
        kind: A short class of reasons, such as "unreadable file".
        reason: What is wrong with this one.
    """

    path: str
    kind: str
    reason: str


@dataclasses.dataclass(frozen=True)
class SameBytes:
    """Two images with the same content: files, records or arrays.

    Args:
        kind: "leak" (in two splits), "conflict" (under two labels) or
            "repetition" (of one label in one split).
        first, second: Each a text of path, label and split.
    """

    kind: str
    first: str
    second: str


@dataclasses.dataclass(frozen=True)
class Report:
    """Problems that `open_dataset` left out, and its notes.

    Args:
        left_out: Tuple of `Problem`, each with `path`, `kind`, `reason`.
        notes: Tuple of sentences about the data set as a whole.
        same_bytes: Tuple of all `SameBytes`; the notes show the first ones.

    Attributes:
        counts: Dictionary from the kind of a problem to its number.
    """

    left_out: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    same_bytes: tuple[SameBytes, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        return dict(collections.Counter(p.kind for p in self.left_out))

    def lines(self) -> list[str]:
        """Readable lines for the end of a summary."""
        lines = [
            f"  note: {printable(line)}" if not n else f"    {printable(line)}"
            for note in self.notes
            for n, line in enumerate(note.split("\n"))
        ]
        if self.left_out:
            lines.append(f"  left out: {_count_kinds(self.counts)}")
            lines.extend(_list_problems(self.left_out))
        return lines


class ProblemLog:
    """Collects problems and notes; raises or skips as `on_error` says."""

    def __init__(self, on_error: str):
        check_choice("on_error", on_error, ON_ERROR)
        self.on_error = on_error
        self.problems = []
        self.notes = []
        self.same_bytes = []

    def add(self, path: str, kind: str, reason: str) -> None:
        """Notes that the image (or row, or folder) at `path` is no use."""
        self.problems.append(Problem(str(path), kind, reason))

    def settle(self) -> None:
        """Raises with all problems so far, unless they are skipped."""
        if self.on_error == "skip" or not self.problems:
            return
        counts = collections.Counter(p.kind for p in self.problems)
        listed = "\n".join(_list_problems(self.problems))
        raise ValueError(
            f"Not usable: {_count_kinds(counts)}.\n{listed}\n"
            "Repair or remove what is listed, or pass "
            'on_error="skip" to leave it out.'
        )

    def report(self) -> Report:
        found = (self.problems, self.notes, self.same_bytes)
        return Report(*map(tuple, found))


def _count_kinds(counts) -> str:
    return ", ".join(f"{n} x {kind}" for kind, n in counts.items())


def _list_problems(problems) -> list[str]:
    shown = [printable(f"  {p.path}: {p.reason}") for p in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        shown.append(f"  ... and {len(problems) - MAX_SHOWN} more")
    return shown


@dataclasses.dataclass
class Layout:
    """Folders and files of a data set that are no class, for one note.

    Args:
        root: Folder of the data set.
        endings: Number of images by the ending of their names.
        others: Files in class folders that are no images.
        loose: Images beside class folders.
        hidden: Hidden folders.
        unused: Folders and files that are neither split nor class.
        splits: Name of the folder of each split.
    """

    root: str
    endings: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )
    others: list = dataclasses.field(default_factory=list)
    loose: list = dataclasses.field(default_factory=list)
    hidden: list = dataclasses.field(default_factory=list)
    unused: list = dataclasses.field(default_factory=list)
    splits: dict = dataclasses.field(default_factory=dict)

    def note(self, place, num_classes: int) -> str:
        """Returns the note of class folders that lie in `place`."""
        where = ", ".join(
            f"{split} (folder {name})" for split, name in self.splits.items()
        )
        text = f"layout: {num_classes} class folder(s)"
        text += f" in {where}" if where else ""
        below = os.path.relpath(place, self.root)
        text += f", below {below}" if below != os.curdir else ""
        text += f", with {by_ending(self.endings) or 'no'} files; no boxes"
        kinds = {
            "files of other endings": self.others,
            "images in no class folder": self.loose,
            "hidden folders": self.hidden,
            "other folders and files": self.unused,
        }
        not_read = [
            f"{len(paths)} {kind} ({self._some(paths)})"
            for kind, paths in kinds.items()
            if paths
        ]
        if not_read:
            text += f". Not read: {'; '.join(not_read)}"
        return text

    def _some(self, paths) -> str:
        shown = [os.path.relpath(p, self.root) for p in paths[:MAX_NAMED]]
        more = len(paths) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")


def ending(path: str) -> str:
    """Returns the ending of a file's name, such as ".jpg", in small letters."""
    return os.path.splitext(path)[1].lower()


def by_ending(endings) -> str:
    """Returns a list of endings with their numbers."""
    counts = collections.Counter(endings).most_common()
    return ", ".join(f"{n} {name or 'no ending'}" for name, n in counts)


def printable(text: str) -> str:
    """Escapes what a terminal cannot show, or would obey.

    Names of files may hold bytes that are not UTF-8, line breaks and the
    codes that move a cursor. The escapes are also those of JSON.
    """
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Compared(NamedTuple):
    """One image that is compared with the others, as `table.Row` has it."""

    path: str
    label: str
    split: str
    digest: str | None = None


def tell_same_bytes(rows, log) -> None:
    """Notes images with the same content: leaks, conflicts, repetitions."""
    groups = {}
    for row in rows:
        if row.digest is not None:
            groups.setdefault(row.digest, []).append(row)
    found = [
        SameBytes(kind, _described(pair[0]), _described(pair[1]))
        for group in groups.values()
        for kind, pair in _pairs(group)
    ]
    log.same_bytes += found
    for kind, meaning in SAME_BYTES.items():
        pairs = [f"{p.first} and {p.second}" for p in found if p.kind == kind]
        if pairs:
            shown = "\n".join(pairs[:MAX_SHOWN])
            more = len(pairs) - MAX_SHOWN
            shown += f"\n... and {more} more" if more > 0 else ""
            log.notes.append(f"{kind}: {len(pairs)} {meaning}:\n{shown}")


def with_same_bytes(report, class_names, splits, digests) -> Report:
    """Returns a report with the copies among images that are no files.

    Args:
        report: `Report` of the data set.
        class_names: Its classes.
        splits: Dictionary from the name of a split to its `Examples`.
        digests: List of a digest per image of all splits, or None.
    """
    rows = [
        Compared(f"image {number}", _classes(label, class_names), split)
        for split, examples in splits.items()
        for number, label in enumerate(examples.labels)
    ]
    pairs = zip(rows, digests, strict=True)
    log = ProblemLog("raise")
    tell_same_bytes([row._replace(digest=d) for row, d in pairs if d], log)
    return dataclasses.replace(
        report,
        notes=report.notes + tuple(log.notes),
        same_bytes=report.same_bytes + tuple(log.same_bytes),
    )


def _classes(label, class_names) -> str:
    """Returns the name of a class, or of several that an image has."""
    if not getattr(label, "ndim", 0):
        return class_names[int(label)]
    chosen = zip(class_names, label, strict=True)
    return " and ".join(name for name, has in chosen if has) or "no class"


def _pairs(group):
    """Yields each later row with the first that it differs from, if any."""
    for number, row in enumerate(group[1:], start=1):
        earlier = group[:number]
        leaks = [other for other in earlier if other.split != row.split]
        conflicts = [other for other in earlier if other.label != row.label]
        if leaks:
            yield "leak", (leaks[0], row)
        if conflicts:
            yield "conflict", (conflicts[0], row)
        if not leaks and not conflicts:
            yield "repetition", (group[0], row)


def _described(row) -> str:
    return f"{row.path} ({row.label}, {row.split})"
