"""Listing the images of a folder of class folders, or of a CSV.

What is unambiguous is read: split folders in any usual spelling, and class
folders one or several folders further down. The layout note of the report
says what was taken for what, and what was not read.
"""

import dataclasses
import os
import pathlib

from keras_fgvc._checks import name_problem
from keras_fgvc._spellings import COLUMNS, find_columns, other_words, split_of
from keras_fgvc._tables import read_table
from keras_fgvc.data.opening.table import ListedPaths, Row
from keras_fgvc.data.sources.files import (
    HIDDEN,
    SUFFIXES,
    is_image_name,
    visible_files,
)
from keras_fgvc.data.sources.report import Layout, by_ending, ending

CSV_NAMES = ("split.csv", "split.tsv")
CSV_SUFFIXES = (".csv", ".tsv")
# Folders that hold all the images, and are no class.
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")


def read_class_folders(root: str, log) -> list[Row]:
    """Lists `root/<split>/<class>/...` or, without splits, `root/<class>/...`.

    Folders inside a class folder are searched too. Where a single folder holds
    everything, it is entered. What is passed over is told in a note.

    Args:
        root: Folder. With a folder `train` of class folders in it, folders
            named train, validation and test are its splits, in any usual
            spelling, such as `Training`, `val` and `test_set`.
        log: `ProblemLog`; it is told of empty class folders.

    Raises:
        ValueError: There is no class folder, or two folders for one split.
    """
    root, seen = pathlib.Path(root), Layout(str(root))
    place = _enter(root, seen)
    splits = _find_splits(place)
    if not splits:
        rows = _read_split(place, None, seen, log)
    else:
        _look_around(place, seen)
        rows = []
        for folder in _folders(place):
            if folder in splits:
                seen.splits[splits[folder]] = folder.name
                inner = _enter(folder, seen, splits[folder])
                rows.extend(_read_split(inner, splits[folder], seen, log))
            else:
                seen.unused.append(str(folder))
    log.notes.append(seen.note(place, len({row.label for row in rows})))
    return rows


def _enter(folder, seen, split=None):
    """Goes down while one folder alone has images, and they lie deeper.

    Within a split only a folder of the same name, or named as a folder of all
    images, is entered: any other is a class.
    """
    while split is not None or not _find_splits(folder):
        folders = _folders(folder)
        full = []
        for candidate in folders:  # two are enough: do not search them all
            full += [candidate] if any(_images(candidate)) else []
            if len(full) > 1:
                return folder
        if not full or _own_images(full[0]) or not _folders(full[0]):
            return folder
        name = full[0].name.lower()
        is_same = split_of(name) == split or name == folder.name.lower()
        if split and not is_same and name not in IMAGE_FOLDERS:
            return folder
        _look_around(folder, seen)
        seen.unused += [str(f) for f in folders if f != full[0]]
        folder = full[0]
    return folder


def _find_splits(folder) -> dict:
    """Returns the split of each folder that is one, or nothing.

    `train` of vehicles is a class: it holds images, and buses lie beside it.

    Raises:
        ValueError: Two folders are taken for the same split.
    """
    folders = _folders(folder)
    # As in seg_train and seg_test.
    words = [other_words(f.name) for f in folders]
    common = set.intersection(*words) if len(words) > 1 else set()
    splits = {f: split_of(f.name, common) for f in folders}
    splits = {f: split for f, split in splits.items() if split is not None}
    deep = [f for f in splits if _folders(f)]
    has_train = "train" in splits.values()
    if len(splits) == len(folders):
        is_split = has_train or bool(deep)
    else:
        is_split = any(splits[f] == "train" for f in deep)
    if not is_split:
        return {}
    for f, split in splits.items():
        first = next(other for other in splits if splits[other] == split)
        if f != first:
            raise ValueError(
                f"{folder} must have one folder for each split. Received: "
                f"{first.name} and {f.name}, which are both taken for "
                f"{split}. Rename one to train, validation or test, or move "
                "it away."
            )
    return splits


def _read_split(folder, split, seen, log) -> list[Row]:
    class_folders = _folders(folder)
    _look_around(folder, seen)
    if not class_folders:
        raise ValueError(
            f"{folder} holds no class folders. Put the images into one "
            f"folder a class, such as {folder / 'sparrow' / '1.jpg'}, or "
            "list them in a split.csv (columns path, label, split)."
            + _name_tables(folder)
        )
    rows = []
    for class_folder in class_folders:
        if class_folder.name.lower() in IMAGE_FOLDERS:
            raise ValueError(
                f"{class_folder} would become a class of the name "
                f'"{class_folder.name}". Put its images into one folder a '
                "class, or list them in a split.csv (columns path, label, "
                "split)."
            )
        rows.extend(_read_class(class_folder, split, seen, log))
    return rows


def _name_tables(folder) -> str:
    names = [entry.name for entry in sorted(folder.glob("*.[ct]sv"))]
    if not names:
        return ""
    return f" If {' or '.join(names)} lists them, open it by its own path."


def _read_class(folder, split, seen, log) -> list[Row]:
    problem = name_problem(folder.name)
    if problem:
        reason = f"names a class, and {problem}: rename the folder"
        log.add(folder, "bad class name", reason)
        return []
    files = list(visible_files(folder, seen.hidden))
    paths = [path for path in files if is_image_name(path)]
    others = sorted(set(files) - set(paths))
    if not paths:
        reason = "holds no image"
        if others:
            reason += (
                f" of a kind that is read; its files end in "
                f"{by_ending(map(ending, others))}. Convert them, for "
                "example to .png: images end in " + ", ".join(SUFFIXES)
            )
        log.add(folder, "empty class folder", reason)
    seen.others += others
    seen.endings.update(map(ending, paths))
    return [Row(path, folder.name, split) for path in paths]


def _look_around(folder, seen) -> None:
    """Collects what lies beside class folders: it is told, not read."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            if entry.name.startswith(HIDDEN):
                seen.hidden.append(str(entry))
        elif not entry.name.startswith("."):
            is_image = is_image_name(str(entry))
            (seen.loose if is_image else seen.unused).append(str(entry))


def _folders(folder) -> list[pathlib.Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith(HIDDEN)
    )


def _own_images(folder) -> bool:
    return any(
        is_image_name(str(entry))
        for entry in folder.iterdir()
        if not entry.is_dir() and not entry.name.startswith(".")
    )


def _images(folder):
    return (path for path in visible_files(folder) if is_image_name(path))


def find_csv(folder) -> str | None:
    """Returns the path of split.csv in whatever capitals, or None."""
    names = [n for n in os.listdir(folder) if n.lower() in CSV_NAMES]
    paths = [os.path.join(folder, name) for name in sorted(names, reverse=True)]
    return next(filter(os.path.isfile, paths), None)


def read_csv(csv_path: str, image_folder: str, log) -> list[Row]:
    """Reads the rows of a CSV; what is wrong with a row goes to `log`.

    Args:
        csv_path: File whose first line names the columns, separated by
            commas, semicolons, tabs or bars, in UTF-8 or UTF-16.
        image_folder: Folder to which the paths are relative.
        log: `ProblemLog`.

    Raises:
        ValueError: The file is empty, in another encoding, lacks a column, or
            has a quotation mark that is not closed.
    """
    table = read_table(csv_path)
    columns = find_columns(csv_path, table.names)
    paths, rows = ListedPaths(image_folder), []
    has_decimal_commas = table.separator != "," and columns.has_decimal_commas(
        cells for _, cells in table.records
    )
    for line, cells in table.records:
        cells = [cell.strip() for cell in cells]
        cells += [""] * (len(columns.names) - len(cells))
        try:
            row = _to_row(cells, columns, paths, line)
            box = columns.box(cells, has_decimal_commas)
            rows.append(dataclasses.replace(row, box=box))
        except ValueError as error:
            path = cells[columns.places["path"]] or "(no path)"
            log.add(path, "bad row", f"{error} ({csv_path}, line {line})")
    if not rows and not log.problems:
        raise ValueError(f"{csv_path} lists no image. Add a line for each.")
    facts = columns.facts(rows) + table.facts() + paths.facts()
    log.notes.append(f"layout: {'; '.join(facts)}")
    return rows


def _to_row(cells, columns, paths, line) -> Row:
    values = {name: cells[place] for name, place in columns.places.items()}
    for name in COLUMNS:
        if not values[name]:
            raise ValueError(f"`{name}` is empty")
    if "\0" in values["path"]:
        raise ValueError("`path` holds a NUL character, as no file name can")
    if problem := name_problem(values["label"]):
        raise ValueError(f"`label` {problem}: {values['label']!r}")
    split = split_of(values["split"])
    if split is None:
        raise ValueError(
            "`split` must be train, validation or test, "
            f'not "{values["split"]}"'
        )
    path = paths.find(values["path"])
    return Row(path, values["label"], split, line=line)
