"""Every kind of bad input: the error names the file; skipping reports it."""

import re

import pytest

from keras_fgvc.data import open_dataset
from tests.data.image_files import (
    encode,
    jpeg,
    smooth_pixels,
    write,
    write_class_folders,
    write_csv,
)

BOX_HEADER = "path,label,split,x_min,y_min,x_max,y_max"
GOOD_BOX = "1,1,9,9"
BROKEN_FILES = {
    "empty": (b"", "empty file", "is empty (0 bytes)"),
    "text": (b"no image", "broken image", "is not an image"),
    "half": (jpeg()[:900], "broken image", "is cut short or corrupt"),
    "last_bytes": (jpeg()[:-9], "broken image", "is cut short or corrupt"),
    "half_png": (
        encode(smooth_pixels(), "PNG")[:-99],
        "broken image",
        "is cut short or corrupt",
    ),
    "scrambled": (
        jpeg()[:700] + b"\xff\xd8\xff\x00" * 9 + jpeg()[:9],
        "broken image",
        "is cut short or corrupt",
    ),
}


def three_good(folder):
    for number in range(3):
        write(folder / f"good{number}.jpg", jpeg(number))
    return [f"good{number}.jpg,a,train" for number in range(3)]


def assert_raises_and_skips(path, bad_name, kind, reason):
    """Raises with the file's name; skipped, all the others are left."""
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        open_dataset(path)
    assert bad_name in str(caught.value)
    assert 'on_error="skip"' in str(caught.value)
    data = open_dataset(path, on_error="skip")
    assert data.report.counts == {kind: 1}
    (problem,) = data.report.left_out
    assert bad_name in problem.path
    assert reason in problem.reason
    assert f"left out: 1 x {kind}" in data.summary()
    assert sum(data.split_sizes.values()) == 3


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_broken_files(tmp_path, name):
    content, kind, reason = BROKEN_FILES[name]
    lines = [*three_good(tmp_path), "broken.jpg,a,train"]
    write(tmp_path / "broken.jpg", content)
    assert_raises_and_skips(
        write_csv(tmp_path, lines), "broken.jpg", kind, reason
    )


@pytest.mark.parametrize("name", ["empty", "text"])
def test_headers_find_what_is_no_image(tmp_path, name):
    write_class_folders(tmp_path, {"a": 3})
    write(tmp_path / "a/broken.jpg", BROKEN_FILES[name][0])
    with pytest.raises(ValueError, match=r"broken\.jpg"):
        open_dataset(tmp_path, verify="headers")


def test_a_missing_file(tmp_path):
    lines = [*three_good(tmp_path), "gone.jpg,a,train"]
    assert_raises_and_skips(
        write_csv(tmp_path, lines), "gone.jpg", "missing file", "not exist"
    )


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    write(tmp_path / "folder.jpg/x", b"x")
    lines = [*three_good(tmp_path), "folder.jpg,a,train"]
    assert_raises_and_skips(
        write_csv(tmp_path, lines),
        "folder.jpg",
        "unreadable file",
        "cannot be read",
    )


@pytest.mark.parametrize(
    ("box", "kind", "reason"),
    [
        ("9,1,1,9", "bad box", "the box is turned round or empty: x 9 to 1"),
        ("1,9,9,1", "bad box", "the box is turned round or empty"),
        ("60,1,70,9", "bad box", "outside the image of 60 x 44 pixels"),
        ("1,x,9,9", "bad row", "`y_min` of the box must be a number of pix"),
        ("1,,9,9", "bad row", "`y_min` of the box must be a number"),
        ("1,nan,9,9", "bad row", "`y_min` of the box must be a number"),
        ("1,1,9", "bad row", "`y_max` of the box must be a number"),
    ],
)
def test_bad_boxes(tmp_path, box, kind, reason):
    lines = [f"{line},{GOOD_BOX}" for line in three_good(tmp_path)]
    write(tmp_path / "bad.jpg", jpeg(7))
    path = write_csv(tmp_path, [*lines, f"bad.jpg,a,train,{box}"], BOX_HEADER)
    assert_raises_and_skips(path, "bad.jpg", kind, reason)


@pytest.mark.parametrize(
    ("line", "name", "reason"),
    [
        ("bad.jpg,a,tarin", "bad.jpg", 'validation or test, not "tarin"'),
        ("bad.jpg,,train", "bad.jpg", "`label` is empty"),
        (",a,train", "(no path)", "`path` is empty"),
        ("bad.jpg,a", "bad.jpg", "`split` is empty"),
        ("bad\0.jpg,a,train", "bad", "`path` holds a NUL character"),
    ],
)
def test_bad_rows(tmp_path, line, name, reason):
    path = write_csv(tmp_path, [*three_good(tmp_path), line])
    assert_raises_and_skips(path, name, "bad row", reason)
    with pytest.raises(ValueError, match=r"split.csv, line 5"):
        open_dataset(path)


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("path,label", "split"),
        ("thing,label,split", "path"),
        ("path,label,split,x_min,y_min,x_max", "y_max"),
    ],
)
def test_missing_columns(tmp_path, header, missing):
    path = write_csv(tmp_path, ["a.jpg,a,train"], header)
    with pytest.raises(ValueError, match=rf"lacks the column.s. {missing}\."):
        open_dataset(path, on_error="skip")


@pytest.mark.parametrize("number", [0, 2])
def test_a_stray_quotation_mark_swallows_no_lines(tmp_path, number):
    lines = three_good(tmp_path)
    lines[number] = '"' + lines[number]
    path = write_csv(tmp_path, lines)
    message = rf"split.csv is not comma-separated from line {number + 2} on"
    for on_error in ("raise", "skip"):
        with pytest.raises(ValueError, match=message):
            open_dataset(path, on_error=on_error)


def test_an_empty_csv(tmp_path):
    with pytest.raises(ValueError, match="lists no image"):
        open_dataset(write_csv(tmp_path, []))
    (tmp_path / "split.csv").write_text("")
    with pytest.raises(ValueError, match="Received: nothing"):
        open_dataset(tmp_path)


def test_a_csv_in_another_encoding(tmp_path):
    text = "path,label,split\n0.jpg,Grünspecht,train\n"
    (tmp_path / "split.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"split\.csv is not UTF-8 text"):
        open_dataset(tmp_path)


def test_one_image_in_two_splits_always_raises(tmp_path):
    lines = [*three_good(tmp_path), "./good1.jpg,a,test"]
    path = write_csv(tmp_path, lines)
    for on_error in ("raise", "skip"):
        with pytest.raises(ValueError, match=r"good1\.jpg: train and test"):
            open_dataset(path, on_error=on_error)


def test_one_image_twice_in_a_split(tmp_path):
    lines = [*three_good(tmp_path), "good1.jpg,b,train"]
    assert_raises_and_skips(
        write_csv(tmp_path, lines),
        "good1.jpg",
        "repeated image",
        "line 5 repeats line 3",
    )


def test_a_class_without_training_images_always_raises(tmp_path):
    lines = three_good(tmp_path)
    lines += [f"t{number}.jpg,dodo,test" for number in range(2)]
    for number in range(2):
        write(tmp_path / f"t{number}.jpg", jpeg())
    path = write_csv(tmp_path, lines)
    for on_error in ("raise", "skip"):
        with pytest.raises(ValueError, match=r'"dodo" .2 image.s. in test'):
            open_dataset(path, on_error=on_error)


def test_a_class_that_skipping_emptied_raises(tmp_path):
    write_class_folders(tmp_path, {"train/a": 2, "test/b": 1})
    write(tmp_path / "train/b/0.jpg", b"no image")
    with pytest.raises(ValueError, match='Missing there: "b"'):
        open_dataset(tmp_path, on_error="skip")


def test_nothing_usable_raises(tmp_path):
    write(tmp_path / "train/a/0.jpg", b"no image")
    with pytest.raises(ValueError, match="no usable image for the split"):
        open_dataset(tmp_path, on_error="skip")


def test_an_empty_class_folder(tmp_path):
    write_class_folders(tmp_path, {"train/a": 3, "train/void": 0})
    (tmp_path / "train/void").mkdir()
    assert_raises_and_skips(
        tmp_path, "void", "empty class folder", "holds no image"
    )


@pytest.mark.parametrize("folder", [".", "train"])
def test_an_empty_folder(tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=r"holds no class folders\. Put"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("name", ["birds", "/nowhere/birds", "gone.csv"])
def test_an_unknown_name_lists_the_known(name):
    message = f'"cluttered_mnist", .* or a folder or .csv .* Received: "{name}"'
    with pytest.raises(ValueError, match=message):
        open_dataset(name)


def test_many_problems_are_listed_shortly(tmp_path):
    lines = three_good(tmp_path)
    lines += [f"gone{number}.jpg,a,train" for number in range(14)]
    with pytest.raises(ValueError, match="14 x missing file") as caught:
        open_dataset(write_csv(tmp_path, lines))
    assert "... and 4 more" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_error": "ignore"}, "`on_error` must be one of 'raise', 'skip'"),
        (
            {"verify": "no"},
            "`verify` must be one of 'full', 'headers', 'never'",
        ),
        ({"validation_fraction": 1}, "must be between 0 and 0.9"),
        ({"seed": -1}, "`seed` must be at least 0"),
    ],
)
def test_wrong_arguments_raise(tmp_path, options, message):
    write_class_folders(tmp_path, {"a": 1})
    with pytest.raises(ValueError, match=message):
        open_dataset(tmp_path, **options)
