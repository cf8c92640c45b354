"""Files that are written whole, and read with one kind of message."""

import json
import math

import pytest

from keras_fgvc._files import (
    DamagedFileError,
    move_into_place,
    read_json,
    reading,
    size_text,
    to_json,
    without_nan,
    write_json,
)

KINDS = {"epochs": int, "best": dict, "name": (str, None)}
REMEDY = "Throw it away."


def test_half_written_file_never_takes_the_place(tmp_path):
    path = tmp_path / "backup-0001.weights.h5"
    path.write_text("whole")

    def fail(partial):
        partial.write_text("ha")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        move_into_place(path, fail)
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    """The second begins and ends while the first one writes."""
    path = tmp_path / "a.txt"

    def write(partial):
        partial.write_text("first")
        move_into_place(path, lambda other: other.write_text("second"))
        assert partial.read_text() == "first"

    move_into_place(path, write)
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b'{"epochs": 3, "best"', "not JSON"),
        (b'\xff\xfe{"epochs": 3}', r"not UTF-8 text \(byte 0\)"),
        (b"[1, 2]", "it is of type list, not dict"),
        (b"null", "it is of type NoneType, not dict"),
        (b'{"epochs": 3}', "it has no 'best'"),
        (b'{"epochs": "3", "best": {}}', "'epochs' is of type str, not int"),
        (b'{"epochs": true, "best": {}}', "'epochs' is of type bool, not int"),
        (b'{"epochs": 3, "best": {}, "name": 1}', "'name' is of type int"),
        (b"[" * 100_000, "RecursionError"),
    ],
)
def test_damaged_json(content, reason, tmp_path):
    path = tmp_path / "done.json"
    path.write_bytes(content)
    with pytest.raises(
        DamagedFileError,
        match=f"done.json is damaged: .*{reason}.*Throw it away",
    ):
        read_json(path, KINDS, REMEDY)


def test_sound_json(tmp_path):
    path = tmp_path / "done.json"
    for found in (
        {"epochs": 3, "best": {}},
        {"epochs": 3, "best": {}, "name": None, "newer": [1]},
    ):
        write_json(path, found)
        assert read_json(path, KINDS, REMEDY) == found
    write_json(path, 0.5)
    assert read_json(path, (int, float), REMEDY) == 0.5


def test_missing_files_are_no_damaged_ones(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "gone.json", dict, REMEDY)
    with pytest.raises(DamagedFileError, match="it is a folder"):
        read_json(tmp_path, dict, REMEDY)


@pytest.mark.parametrize(
    "error", [KeyError("a"), IndexError("b"), MemoryError(), OSError("c")]
)
def test_whatever_is_raised_names_the_file(error):
    with (
        pytest.raises(DamagedFileError, match=r"a\.h5 is damaged: .*Throw"),
        reading("a.h5", REMEDY),
    ):
        raise error


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_has_no_nan(value, tmp_path):
    with pytest.raises(ValueError, match="JSON holds finite numbers alone"):
        write_json(tmp_path / "a.json", {"a": [value]})
    assert not any(tmp_path.iterdir())
    text = to_json({"a": [value, 1.5]}, nan_as_null=True)
    assert json.loads(text) == {"a": [None, 1.5]}


def test_without_nan_goes_down_to_the_leaves():
    values = {"a": [math.nan, (1.0, math.inf)], "b": {"c": math.nan, "d": 2}}
    assert without_nan(values) == {
        "a": [None, [1.0, None]],
        "b": {"c": None, "d": 2},
    }


def test_sizes_are_readable():
    sizes = (0, 999, 1500, 99_960, 1e6, 25.06e9)
    assert [size_text(size) for size in sizes] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "100 kB",
        "1 MB",
        "25.1 GB",
    ]
