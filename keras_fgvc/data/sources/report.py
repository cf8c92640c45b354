"""Collects what was left out or noticed while a data set was opened."""

import collections
import dataclasses

from keras_fgvc._checks import check_choice

MAX_SHOWN = 10
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
class Report:
    """Problems that `open_dataset` left out, and its notes.

    Args:
        left_out: Tuple of `Problem`, each with `path`, `kind`, `reason`.
        notes: Tuple of sentences about the data set as a whole.

    Attributes:
        counts: Dictionary from the kind of a problem to its number.
    """

    left_out: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        return dict(collections.Counter(p.kind for p in self.left_out))

    def lines(self) -> list[str]:
        """Readable lines for the end of a summary."""
        lines = [f"  note: {note}" for note in self.notes]
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
        return Report(tuple(self.problems), tuple(self.notes))


def _count_kinds(counts) -> str:
    return ", ".join(f"{n} x {kind}" for kind, n in counts.items())


def _list_problems(problems) -> list[str]:
    shown = [f"  {p.path}: {p.reason}" for p in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        shown.append(f"  ... and {len(problems) - MAX_SHOWN} more")
    return shown
