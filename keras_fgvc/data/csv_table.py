"""Reading a CSV of images: path, label, split and, if any, boxes."""

import csv
import io
import math
import os

from keras_fgvc.data.rows import SPLIT_ALIASES, Row

REQUIRED = ("path", "label", "split")
BOX = ("x_min", "y_min", "x_max", "y_max")


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
    missing = [name for name in REQUIRED if name not in columns]
    found_box = [name for name in BOX if name in columns]
    if found_box and len(found_box) < len(BOX):
        missing += [name for name in BOX if name not in columns]
    if missing:
        raise ValueError(
            f"{csv_path} lacks the column(s) {', '.join(missing)}. Its first "
            f"line must name {', '.join(REQUIRED)} and, with boxes, "
            f"{', '.join(BOX)}. Received: {', '.join(columns) or 'nothing'}."
        )
    return bool(found_box)


def _to_row(record, line, image_folder, has_boxes) -> Row:
    for name in REQUIRED:
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
    for name in BOX:
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
