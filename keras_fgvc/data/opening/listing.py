"""Listing the images of a folder of class folders, or of a CSV."""

import csv
import io
import math
import os
import pathlib

from keras_fgvc.data.opening.table import SPLIT_ALIASES, Row

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")
HIDDEN = (".", "__")  # what the names of folders of other programs begin with
COLUMNS = ("path", "label", "split")
BOX_COLUMNS = ("x_min", "y_min", "x_max", "y_max")


def read_class_folders(root: str, log) -> list[Row]:
    """Lists `root/<split>/<class>/...` or, without splits, `root/<class>/...`.

    Folders inside a class folder are searched too. Hidden files and folders
    are passed over; other files without the ending of an image are counted in
    a note.

    Args:
        root: Folder. With a folder `train` of class folders in it, the folders
            named train, validation (or val, valid) and test are its splits,
            in capitals or not.
        log: `ProblemLog`; it is told of empty class folders.

    Raises:
        ValueError: There is no class folder.
    """
    root = pathlib.Path(root)
    if not _has_splits(root):
        return _read_split(root, None, log)
    rows = []
    for folder in _folders(root):
        split = _split_of(folder)
        if split is None:
            log.notes.append(f"{folder} is not a split and was not read")
        else:
            rows.extend(_read_split(folder, split, log))
    return rows


def _has_splits(root) -> bool:
    """Tells whether `train` is a split: of vehicles it is a class."""
    splits = {_split_of(folder): folder for folder in _folders(root)}
    if "train" not in splits:
        return False
    return None not in splits or bool(_folders(splits["train"]))


def _split_of(folder):
    return SPLIT_ALIASES.get(folder.name.lower())


def _read_split(folder, split, log) -> list[Row]:
    class_folders = _folders(folder)
    if not class_folders:
        raise ValueError(
            f"{folder} holds no class folders. Put the images into one "
            f"folder a class, such as {folder / 'sparrow' / '1.jpg'}, or "
            "list them in a split.csv (columns path, label, split)."
        )
    rows = []
    for class_folder in class_folders:
        paths = _images(class_folder, log)
        if not paths:
            log.add(class_folder, "empty class folder", "holds no image")
        rows.extend(Row(path, class_folder.name, split) for path in paths)
    return rows


def _folders(folder) -> list[pathlib.Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith(HIDDEN)
    )


def visible_files(folder):
    """Paths of all files in a folder and those in it, none of them hidden."""
    for parent, folders, names in os.walk(folder):
        # In place: os.walk goes on into what is left.
        folders[:] = sorted(f for f in folders if not f.startswith(HIDDEN))
        for name in sorted(n for n in names if not n.startswith(".")):
            yield os.path.join(parent, name)


def _images(folder, log) -> list[str]:
    files = list(visible_files(folder))
    paths = [path for path in files if path.lower().endswith(SUFFIXES)]
    num_others = len(files) - len(paths)
    if num_others:
        log.notes.append(
            f"{folder}: {num_others} file(s) were passed over; images end "
            f"in {', '.join(SUFFIXES)}"
        )
    return paths


def read_csv(csv_path: str, image_folder: str, log) -> list[Row]:
    """Reads the rows of a CSV; what is wrong with a row goes to `log`.

    Args:
        csv_path: Comma-separated UTF-8 file whose first line names the
            columns; further columns are ignored.
        image_folder: Folder to which the paths are relative.
        log: `ProblemLog`.

    Raises:
        ValueError: The file is empty, not UTF-8, lacks a column, or has a
            quotation mark that is not closed.
    """
    columns, records = _read_records(csv_path)
    has_boxes = _check_columns(csv_path, columns)
    rows = []
    for line, record in records:
        try:
            rows.append(_to_row(record, line, image_folder, has_boxes))
        except ValueError as error:
            path = record["path"] or "(no path)"
            log.add(path, "bad row", f"{error} ({csv_path}, line {line})")
    if not rows and not log.problems:
        raise ValueError(f"{csv_path} lists no image. Add a line for each.")
    return rows


def _read_records(csv_path):
    """Names of the columns, and pairs of a record's last line and a dict."""
    text = io.StringIO(_read_text(csv_path))
    # Strict: an open quotation mark would swallow the lines behind it.
    reader = csv.DictReader(text, strict=True)
    records, line = [], 0
    try:
        columns = reader.fieldnames or ()
        line = reader.line_num
        for record in reader:
            line = reader.line_num
            records.append((line, record))
    except csv.Error as error:
        raise ValueError(
            f"{csv_path} is not comma-separated from line {line + 1} on "
            f"({error}). Is a quotation mark not closed there?"
        ) from error
    return columns, records


def _read_text(csv_path) -> str:
    try:
        # "utf-8-sig" drops the mark that spreadsheets write at the start.
        with open(csv_path, newline="", encoding="utf-8-sig") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{csv_path} is not UTF-8 text (byte {error.start}). Save it "
            'again as "CSV UTF-8".'
        ) from error


def _check_columns(csv_path, columns) -> bool:
    """Returns whether there are boxes."""
    missing = [name for name in COLUMNS if name not in columns]
    found_box = [name for name in BOX_COLUMNS if name in columns]
    if found_box and len(found_box) < len(BOX_COLUMNS):
        missing += [name for name in BOX_COLUMNS if name not in columns]
    if missing:
        raise ValueError(
            f"{csv_path} lacks the column(s) {', '.join(missing)}. Its first "
            f"line must name {', '.join(COLUMNS)} and, with boxes, "
            f"{', '.join(BOX_COLUMNS)}. "
            f"Received: {', '.join(columns) or 'nothing'}."
        )
    return bool(found_box)


def _to_row(record, line, image_folder, has_boxes) -> Row:
    for name in COLUMNS:
        if not (record[name] or "").strip():
            raise ValueError(f"`{name}` is empty")
    if "\0" in record["path"]:
        raise ValueError("`path` holds a NUL character, as no file name can")
    split = record["split"].strip().lower()
    if split not in SPLIT_ALIASES:
        raise ValueError(
            "`split` must be train, validation or test, "
            f'not "{record["split"]}"'
        )
    return Row(
        path=os.path.join(image_folder, record["path"].strip()),
        label=record["label"].strip(),
        split=SPLIT_ALIASES[split],
        box=_to_box(record) if has_boxes else None,
        line=line,
    )


def _to_box(record) -> tuple[float, ...]:
    sides = []
    for name in BOX_COLUMNS:
        try:
            sides.append(float(record[name]))
        except (TypeError, ValueError):
            sides.append(math.nan)
        if not math.isfinite(sides[-1]):
            raise ValueError(
                f"`{name}` of the box must be a number of pixels, "
                f'not "{record[name] or ""}"'
            )
    return tuple(sides)
