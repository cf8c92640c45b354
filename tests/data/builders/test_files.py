"""Reading of text tables, whatever wrote them."""

import pytest

from keras_fgvc.data.builders._files import distinct_names, read_table


@pytest.fixture
def file(tmp_path):
    return tmp_path / "table.txt"


def test_the_last_column_is_the_rest_of_the_line(file):
    file.write_bytes(b"1  Boeing 707 \n\n20\tF/A-18\n")
    assert read_table(file, 2) == [["1", "Boeing 707"], ["20", "F/A-18"]]
    assert read_table(file, 1) == [["1  Boeing 707"], ["20\tF/A-18"]]


def test_empty_columns_between_tabs_are_kept(file):
    file.write_bytes(b"a\t\tNone\t\n")
    assert read_table(file, 4, "\t") == [["a", "", "None", ""]]


@pytest.mark.parametrize(
    "content",
    [
        "1 crème\n2 thé\x85vert\n".encode(),
        "\ufeff1 crème\r\n2 thé\x85vert".encode(),
        "1 crème\r2 thé\x85vert\r".encode("latin-1"),
    ],
)
def test_encodings_and_ends_of_lines(file, content):
    file.write_bytes(content)
    assert read_table(file, 2) == [["1", "crème"], ["2", "thé\x85vert"]]


def test_the_number_of_a_short_line_is_told(file):
    file.write_bytes(b"1 a\r\n\r\n3\r\n")
    with pytest.raises(ValueError, match=r"table\.txt, line 3: expected 2"):
        read_table(file, 2)


def test_distinct_names():
    names = ["soup", "rice", "soup"]
    assert distinct_names(names, [4, 5, 9]) == ["soup (4)", "rice", "soup (9)"]
