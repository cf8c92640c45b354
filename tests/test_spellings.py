"""Names of columns and splits, as people write them."""

import pytest

from keras_fgvc._spellings import find_columns, other_words, split_of

PLAIN = ["path", "label", "split"]


@pytest.mark.parametrize(
    ("names", "split"),
    [
        ("train Training TRAIN_SET TrainImages train-data trn", "train"),
        ("train2017 01_train images_train trainval", "train"),
        ("val valid Validation validation_set dev eval", "validation"),
        ("test Testing test_set TestSet test.images", "test"),
        ("bus steam_train contest data images 1 2017 train_test", None),
    ],
)
def test_names_of_splits(names, split):
    assert {split_of(name) for name in names.split()} == {split}


def test_words_that_all_names_share():
    assert other_words("seg_train") == {"seg"}
    assert split_of("seg_train") is None
    assert split_of("seg_train", {"seg"}) == "train"


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["Label", " PATH ", "Split"], [1, 0, 2]),
        (["filename", "class", "set"], [0, 1, 2]),
        (["", "Image Path", "species", "data set"], [1, 2, 3]),
        (["class", "label", "path", "split", "image"], [2, 1, 3]),
    ],
)
def test_path_label_and_split(names, places):
    columns = find_columns("a.csv", names)
    assert list(columns.places.values()) == places
    assert not columns.box_places


def test_two_columns_that_could_be_meant():
    with pytest.raises(
        ValueError, match=r"one column path.*file, image, which"
    ):
        find_columns("a.csv", ["file", "image", "label", "split"])


@pytest.mark.parametrize(
    ("names", "cells", "box"),
    [
        ("x_min y_min x_max y_max", "1 2 3 4", (1, 2, 3, 4)),
        ("ymin xmin ymax xmax", "2 1 4 3", (1, 2, 3, 4)),
        ("XMin XMax YMin YMax", "1 3 2 4", (1, 2, 3, 4)),
        ("x1 y1 x2 y2", "1 2 3 4", (1, 2, 3, 4)),
        ("bbox_x1 bbox_y1 bbox_x2 bbox_y2", "1 2 3 4", (1, 2, 3, 4)),
        (
            "Width Height Roi.X1 Roi.Y1 Roi.X2 Roi.Y2",
            "9 9 1 2 3 4",
            (1, 2, 3, 4),
        ),
        ("width height xmin ymin xmax ymax", "9 9 1 2 3 4", (1, 2, 3, 4)),
        ("left top right bottom", "1 2 3 4", (1, 2, 3, 4)),
        ("left top width height", "1 2 3 4", (1, 2, 4, 6)),
        ("xmin ymin w h", "1 2 3 4", (1, 2, 4, 6)),
        ("x_center y_center width height", "5 6 2 4", (4, 4, 6, 8)),
        ("cx cy w h", "5 6 2 4", (4, 4, 6, 8)),
        ("x1 y1 x2 y2 x3 y3 x4 y4", "1 2 3 4 5 6 7 8", None),  # a polygon
        ("width height", "9 9", None),
        ("x1 y1", "1 2", None),
        (
            "x1 y1 x2 y2 x_min y_min x_max y_max",
            "9 9 9 9 1 2 3 4",
            (1, 2, 3, 4),
        ),
    ],
)
def test_columns_of_boxes(names, cells, box):
    columns = find_columns("a.csv", PLAIN + names.split())
    found = None
    if columns.box_places:
        found = columns.box(["p", "l", "s", *cells.split()], False)
    assert found == box


@pytest.mark.parametrize(
    ("names", "received"),
    [
        ("x y width height", "x, y, width, height"),
        ("bbox_x bbox_y bbox_w bbox_h", "bbox_x, bbox_y, bbox_w, bbox_h"),
        ("x0 y0 x1 y1 x2 y2", "x1, y1, x2, y2 or x0, y0, x1, y1"),
        ("xmin ymin xmax ymax x1 y1 x2 y2", "xmin, .* or x1, y1, x2, y2"),
    ],
)
def test_boxes_that_could_mean_two_things(names, received):
    message = f"must say what a box is.*Received: {received}. Rename"
    with pytest.raises(ValueError, match=message):
        find_columns("a.csv", PLAIN + names.split())


def test_a_side_alone_is_missing_the_others():
    with pytest.raises(ValueError, match=r"lacks the column.s. x_max, y_max\."):
        find_columns("a.csv", [*PLAIN, "xmin", "ymin"])


@pytest.mark.parametrize(
    ("cells", "box"),
    [
        (["1,5", "2", "3", "4"], (1.5, 2, 3, 4)),
        (["", "", "", ""], None),
        (["nan", "NaN", "-", ""], None),
    ],
)
def test_decimal_commas_and_empty_cells(cells, box):
    columns = find_columns("a.csv", [*PLAIN, "x1", "y1", "x2", "y2"])
    assert columns.box(["p", "l", "s", *cells], True) == box


@pytest.mark.parametrize("cell", ["1,5", "x", "inf", ""])
def test_what_is_no_number(cell):
    columns = find_columns("a.csv", [*PLAIN, "x1", "y1", "x2", "y2"])
    with pytest.raises(ValueError, match="`y1` of the box must be a number"):
        columns.box(["p", "l", "s", "1", cell, "3", "4"], False)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,5", "2", "3", "4"], True),
        (["0,028", "2", "3", "1,234"], True),
        (["1,234", "2", "3", "4"], False),  # 1234 to some
        (["1", "2", "3", "4"], False),
        (["1,5"], True),
    ],
)
def test_when_a_comma_is_a_decimal_point(cells, expected):
    columns = find_columns("a.csv", ["x1", "y1", "x2", "y2", *PLAIN])
    assert columns.has_decimal_commas([cells]) == expected
