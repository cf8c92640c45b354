"""Answers about images as rows of a table that fits the terminal."""

import shutil
import unicodedata

from keras_fgvc.cli.messages import printable

GAP = "  "
SHARE_WIDTH = 8  # of " 100.0 %"
BOX_WIDTH = len("box 0.00 0.00 0.00 0.00")
FALLBACK = (80, 24)  # columns and lines, where the terminal is not known
LEAST_WIDTH = 24  # one share or one box, indented


class AnswerTable:
    """Rows of path, classes and the object's box, under one another.

    Where the longest row is wider than the terminal, the path has a line of
    its own and the classes stand below it, as many beside one another as fit.
    What is wider even so is broken: nothing is left out.

    Args:
        paths: Paths of all images of the table.
        class_names: Names of the classes.
        num_top: Number of classes per image.
        object_box: Name of the answer's box to show, or None.
        width: Columns. Defaults to those of the terminal; 80 if not known.
    """

    def __init__(self, paths, class_names, num_top, object_box, width=None):
        columns = shutil.get_terminal_size(FALLBACK).columns
        self.width = max(width or columns, LEAST_WIDTH)
        self.object_box = object_box
        self.path_width = _longest(paths)
        self.name_width = _longest(class_names)
        cells = [self.name_width + SHARE_WIDTH] * min(num_top, len(class_names))
        cells += [BOX_WIDTH] * (object_box is not None)
        widest = self.path_width + sum(len(GAP) + cell for cell in cells)
        self.is_one_line = widest <= self.width

    def __call__(self, answer) -> str:
        """Returns the row of one answer, of one or several lines."""
        path, cells = printable(answer["path"]), self._cells(answer)
        if self.is_one_line:
            return GAP.join([_pad(path, self.path_width), *cells])
        inside = self.width - len(GAP)
        lines = [GAP + line for line in _packed(cells, inside)]
        return "\n".join([*_broken(path, self.width), *lines])

    def _cells(self, answer):
        pairs = zip(
            answer["top_classes"], answer["top_probabilities"], strict=True
        )
        cells = [
            f"{_pad(printable(name), self.name_width)} {100 * share:5.1f} %"
            for name, share in pairs
        ]
        if self.object_box is not None:
            (sides,) = answer[self.object_box]
            cells.append("box " + " ".join(f"{side:.2f}" for side in sides))
        return cells


def _packed(cells, width):
    """Lines of cells, each of which begins where there is room for it."""
    line = ""
    for cell in cells:
        longer = f"{line}{GAP}{cell}" if line else cell
        if _columns(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        *whole, line = _broken(cell, width)
        yield from whole
    yield line


def _broken(text, width):
    """Lines of at most `width` columns that together are the text."""
    lines, used = [""], 0
    for character in text:
        columns = _columns(character)
        if used + columns > width:
            lines.append("")
            used = 0
        lines[-1] += character
        used += columns
    return lines


def _longest(texts):
    return max((_columns(printable(text)) for text in texts), default=0)


def _pad(text, width):
    return text + " " * (width - _columns(text))


def _columns(text):
    """Columns of a terminal; East Asian characters take two."""
    return sum(
        0
        if unicodedata.combining(character)
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
