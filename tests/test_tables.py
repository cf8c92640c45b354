"""Separated text of every usual kind reads as the same table."""

import pytest

from keras_fgvc._tables import read_table

ROWS = [["path", "label"], ["a.jpg", "Grünspecht"], ["b, c.jpg", "owl"]]


def write(path, rows, separator=",", encoding="utf-8", before="", end="\n"):
    lines = [
        separator.join(f'"{c}"' if separator in c else c for c in row)
        for row in rows
    ]
    path.write_bytes((before + end.join(lines) + end).encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_and_encodings(tmp_path, separator, encoding, end):
    table = read_table(
        write(tmp_path / "a.csv", ROWS, separator, encoding, end=end)
    )
    assert table.names == ROWS[0]
    assert table.records == [(2, ROWS[1]), (3, ROWS[2])]
    assert table.separator == separator
    assert any("UTF-16" in f for f in table.facts()) == ("16" in encoding)
    assert any("separated" in f for f in table.facts()) == (separator != ",")


def test_a_line_that_names_the_separator(tmp_path):
    path = write(tmp_path / "a.csv", ROWS, ";", before="sep=;\n")
    table = read_table(path)
    assert table.names == ROWS[0]
    assert table.records[0] == (3, ROWS[1])


def test_utf_32(tmp_path):
    path = write(tmp_path / "a.csv", ROWS, encoding="utf-32")
    assert read_table(path).records[1] == (3, ROWS[2])


def test_an_empty_file_has_no_columns(tmp_path):
    assert read_table(write(tmp_path / "a.csv", [])).names == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'path;label\n"a;b\n', "not semicolon-separated from line 2"),
        ("path,label\nGrünspecht".encode("latin-1"), "is not UTF-8 text"),
        (b"\xff\xfep\0a\0\x00\xd8", "is not UTF-16 text"),
    ],
)
def test_what_cannot_be_read(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(path)
