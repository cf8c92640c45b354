"""Meaning of the names that people give to columns, boxes and splits.

Names are compared without case, spaces and punctuation. Where two columns
could be meant, or four columns two kinds of boxes, the user is asked.
"""

import math
import re
from typing import Any, NamedTuple

COLUMNS = ("path", "label", "split")
BOX_COLUMNS = ("x_min", "y_min", "x_max", "y_max")
ALIASES = {
    "path": (
        *("file", "filename", "filenames", "filepath", "filepaths", "paths"),
        *("image", "images", "imageid", "imagename", "imagepath", "imagefile"),
        *("img", "imgname", "imgpath"),
    ),
    "label": (
        *("labels", "labelname", "class", "classname", "category"),
        *("species", "target"),
    ),
    "split": ("splitname", "set", "subset", "partition", "dataset"),
}
CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("left", "top", "right", "bottom"),
    ("xtl", "ytl", "xbr", "ybr"),
)
CORNER_AND_SIZE = (
    ("xmin", "ymin", "width", "height"),
    ("left", "top", "width", "height"),
)
CENTRE_AND_SIZE = (("xcenter", "ycenter", "width", "height"),)
# x and y are a corner to some and the centre to others.
UNCLEAR = ("x", "y", "width", "height")
SPELLINGS = {"w": "width", "h": "height"} | {
    spelling.format(axis): f"{axis}{side}"
    for side, spellings in {
        "min": ("min{}",),
        "max": ("max{}",),
        "center": ("center{}", "centre{}", "{}centre", "c{}", "{}c"),
    }.items()
    for spelling in spellings
    for axis in "xy"
}
PREFIX = re.compile(r"(bbox|bndbox|boundingbox|box|bb|roi|rect)?(.*)")
NO_NUMBER = ("", "nan", "none", "null", "na", "n/a", "<na>", "-")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")  # or a decimal comma?
# How folders and cells of a CSV name the splits.
SPLIT_WORDS = {
    "train": ("train", "training", "trn", "trainval"),
    "validation": (
        *("validation", "val", "valid", "validate", "dev", "devel"),
        *("development", "eval", "evaluation"),
    ),
    "test": ("test", "testing", "tst"),
}
SPLIT_ALIASES = {
    word: split for split, words in SPLIT_WORDS.items() for word in words
}
# Words that mean nothing beside them: train_set, TestImages, val2017.
FILLER = r"(?:sets?|data|splits?|images?|imgs?|folder|(?:19|20)\d\d)*"
SPLIT_WORD = re.compile(rf"({'|'.join(SPLIT_ALIASES)})?{FILLER}|\d\d?")
WORD = re.compile(r"[^\W_]+")


class Columns(NamedTuple):
    """Meaning of the columns of one CSV.

    Args:
        names: Names of all columns, as they are written.
        places: Number of the column of each of `COLUMNS`.
        box_places: Numbers of the four columns of a box, or nothing.
        to_corners: Function from their numbers to x_min, y_min, x_max, y_max.
    """

    names: tuple[str, ...]
    places: dict[str, int]
    box_places: tuple[int, ...] = ()
    to_corners: Any = None

    def facts(self, rows) -> list[str]:
        """Returns clauses that name the columns used, and those not used."""
        used = [
            name
            if self.names[place] == name
            else f"{self.names[place]} ({name})"
            for name, place in self.places.items()
        ]
        box = ", ".join(self.names[place] for place in self.box_places)
        facts = [f"columns {', '.join(used)}", "no boxes"]
        if box:
            facts[1] = f"boxes from the columns {box}"
            empty = sum(row.box is None for row in rows)
            facts[1] += f", empty in {empty} of {len(rows)} rows" * (empty > 0)
        taken = {*self.places.values(), *self.box_places}
        unused = [n for i, n in enumerate(self.names) if i not in taken]
        if unused:
            names = ", ".join(name or "(no name)" for name in unused)
            facts.append(f"columns not used: {names}")
        return facts

    def has_decimal_commas(self, rows) -> bool:
        """Tells whether a box has 1,5 for 1.5; 1,234 alone does not say so."""
        texts = (
            cells[place].strip()
            for cells in rows
            for place in self.box_places
            if place < len(cells)
        )
        return any(
            DECIMAL_COMMA.fullmatch(text) and not THOUSANDS.fullmatch(text)
            for text in texts
        )

    def box(self, cells, has_decimal_commas: bool):
        """Returns the corners of a row's box, None where its cells are empty.

        Raises:
            ValueError: A cell is no number.
        """
        texts = [cells[place] for place in self.box_places]
        if has_decimal_commas:
            texts = [text.replace(",", ".") for text in texts]
        if all(text.lower() in NO_NUMBER for text in texts):
            return None
        numbers = []
        for place, text in zip(self.box_places, texts, strict=True):
            try:
                numbers.append(float(text))
            except ValueError:
                numbers.append(math.nan)
            if not math.isfinite(numbers[-1]):
                raise ValueError(
                    f"`{self.names[place]}` of the box must be a number of "
                    f'pixels, not "{text}". Where there is no box, leave all '
                    "four cells empty"
                )
        return self.to_corners(*numbers)


def split_of(name: str, ignored=frozenset()) -> str | None:
    """Returns the split that a name means, in any usual spelling, or None.

    Args:
        name: Such as "Training", "test_set" or "val2017".
        ignored: Other words that the name may hold.
    """
    words, others = _words(name)
    splits = {SPLIT_ALIASES[word] for word in words}
    return splits.pop() if len(splits) == 1 and others <= ignored else None


def other_words(name: str) -> set[str]:
    """Returns the words of a name that have nothing to do with splits."""
    return _words(name)[1]


def _words(name):
    """Words that name a split, and those that mean something else."""
    words = WORD.findall(name.lower())
    found = {word: SPLIT_WORD.fullmatch(word) for word in words}
    splits = {match[1] for match in found.values() if match and match[1]}
    return splits, {word for word, match in found.items() if not match}


def find_columns(csv_path, names) -> Columns:
    """Finds the columns of a CSV by their names.

    Raises:
        ValueError: A column is missing, or two could be meant.
    """
    names = tuple(name.strip() for name in names)
    compact = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    places = {
        name: _find_column(csv_path, name, names, compact) for name in COLUMNS
    }
    missing = [name for name in COLUMNS if places[name] is None]
    box = _find_box(csv_path, names, compact)
    if not box:
        lost = [n for n in BOX_COLUMNS if n.replace("_", "") not in compact]
        missing += lost if len(lost) < len(BOX_COLUMNS) else []
    if missing:
        raise ValueError(
            f"{csv_path} lacks the column(s) {', '.join(missing)}. Its first "
            f"line must name {', '.join(COLUMNS)} and, with boxes, "
            f"{', '.join(BOX_COLUMNS)}, separated by commas, semicolons, tabs "
            f"or bars. Received: {', '.join(names) or 'nothing'}."
        )
    return Columns(names, places, *box)


def _find_column(csv_path, wanted, names, compact):
    """Returns the place of a column by its name or a usual other one."""
    found = [i for i, name in enumerate(compact) if name == wanted]
    if not found:
        aliases = ALIASES[wanted]
        found = [i for i, name in enumerate(compact) if name in aliases]
    if len(found) > 1:
        raise ValueError(
            f"{csv_path} must have one column {wanted}. Received: "
            f"{', '.join(names[i] for i in found)}, which could each be "
            f"meant. Name one of them {wanted} and the others differently."
        )
    return found[0] if found else None


def _find_box(csv_path, names, compact) -> tuple:
    """Returns the places of the columns of a box, and what they mean."""
    if all(name in names for name in BOX_COLUMNS):
        return tuple(map(names.index, BOX_COLUMNS)), _corners
    groups = {}  # by what their names begin with, as in bbox_x1
    for place, name in enumerate(compact):
        prefix, rest = PREFIX.fullmatch(name).groups()
        group = groups.setdefault(prefix, {})
        group.setdefault(SPELLINGS.get(rest, rest), place)
    found = [box for group in groups.values() for box in _boxes_of(group)]
    if not found:
        unclear = [g for g in groups.values() if all(n in g for n in UNCLEAR)]
        found = [(tuple(g[n] for n in UNCLEAR), None) for g in unclear]
    if len(found) > 1 or (found and found[0][1] is None):
        listed = " or ".join(
            ", ".join(names[i] for i in places) for places, _ in found
        )
        raise ValueError(
            f"{csv_path} must say what a box is: x_min, y_min, x_max, y_max "
            "(two corners), x_min, y_min, width, height, or x_center, "
            f"y_center, width, height. Received: {listed}. Rename the columns "
            "that are meant so, and the others differently."
        )
    return found[0] if found else ()


def _boxes_of(group):
    """Lists the boxes that columns of one kind of names describe."""
    styles = (
        (CORNERS, _corners),
        (CORNER_AND_SIZE, _corner_and_size),
        (CENTRE_AND_SIZE, _centre_and_size),
    )
    for layouts, to_corners in styles:
        boxes = [
            (tuple(group[name] for name in layout), to_corners)
            for layout in layouts
            if all(name in group for name in layout)
            and not ("x1" in layout and "x3" in group)  # of a polygon
        ]
        if boxes:  # width and height beside two corners are the image's
            return boxes
    return []


def _corners(*box):
    return box


def _corner_and_size(x, y, width, height):
    return x, y, x + width, y + height


def _centre_and_size(x, y, width, height):
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
