"""Reading separated text in whatever encoding and with any usual separator."""

import codecs
import csv
import io
from typing import NamedTuple

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
ENCODINGS = (  # the longer marks first: UTF-32's begins as UTF-16's does
    *((codecs.BOM_UTF8, "UTF-8-sig"), (codecs.BOM_UTF32_LE, "UTF-32")),
    *((codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16")),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
SEPARATOR_LINE = "sep="  # how spreadsheets write it before the columns


class Table(NamedTuple):
    """Content of a file of separated text.

    Args:
        names: Cells of its first line.
        records: Pairs of the last line of a row, and the cells of the row.
        separator: Character between cells.
        encoding: Name of the encoding.
    """

    names: list[str]
    records: list[tuple[int, list[str]]]
    separator: str
    encoding: str

    def facts(self) -> list[str]:
        """Returns clauses about what is not comma-separated UTF-8."""
        facts = []
        if self.separator != ",":
            facts.append(f"separated by {SEPARATORS[self.separator]}")
        if not self.encoding.startswith("UTF-8"):
            facts.append(f"encoded as {self.encoding}")
        return facts


def read_table(path) -> Table:
    """Reads a file of separated text whose first line names the columns.

    Raises:
        ValueError: The file is in another encoding, or a quotation mark is not
            closed.
    """
    text, encoding = _read_text(path)
    names, records, separator = _parse(path, text)
    return Table(names, records, separator, encoding)


def _read_text(path) -> tuple[str, str]:
    with open(path, "rb") as file:
        content = file.read()
    marks = [name for mark, name in ENCODINGS if content.startswith(mark)]
    if not marks:  # Half of the bytes of UTF-16 are 0 where text is English.
        ways = {"UTF-16-LE": content[1:8:2], "UTF-16-BE": content[:8:2]}
        marks = [name for name, high in ways.items() if high == bytes(4)]
    try:
        encoding = (marks or ["UTF-8"])[0]
        return content.decode(encoding), encoding
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not {encoding.removesuffix('-sig')} text (byte "
            f'{error.start}). Save it again as "CSV UTF-8".'
        ) from error


def _parse(path, text):
    """Names of the columns, pairs of a last line and cells, the separator."""
    stream, skipped = io.StringIO(text, newline=""), 0
    if text.lower().lstrip('"').startswith(SEPARATOR_LINE):
        stream.readline()
        skipped = 1
    header = text.splitlines()[skipped : skipped + 1]
    separator = _separator(header[0] if header else "")
    # Strict: an open quotation mark would swallow the lines behind it.
    reader = csv.reader(stream, delimiter=separator, strict=True)
    lines, line = [], skipped
    try:
        for cells in reader:
            line = reader.line_num + skipped
            if cells:  # not an empty line
                lines.append((line, cells))
    except csv.Error as error:
        raise ValueError(
            f"{path} is not {SEPARATORS[separator][:-1]}-separated from "
            f"line {line + 1} on ({error}). Is a quotation mark not closed "
            "there?"
        ) from error
    names = lines[0][1] if lines else []
    return names, lines[1:], separator


def _separator(header) -> str:
    """Returns what cuts a line of names into most columns; commas first."""

    def count(separator):
        return len(next(csv.reader([header], delimiter=separator), []))

    return max(SEPARATORS, key=count)
