"""Tables as spreadsheets and other tools write them."""

import os

import numpy as np
import pytest

from keras_fgvc.data import open_dataset
from tests.data.image_files import HEIGHT, WIDTH, jpeg, write

PLAIN = "path,label,split"
CORNERS = f"{PLAIN},x_min,y_min,x_max,y_max"


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        write(tmp_path / f"img/i{number}.jpg", jpeg(seed=number))
    return tmp_path


def lines_of(*ends, path="img/i{}.jpg"):
    """Six rows, four of them of train; `ends` are their last cells by turns."""
    ends = ends or ("",)
    return [
        f"{path.format(n)},{'ab'[n % 2]},{'train' if n < 4 else 'test'}"
        + ends[n % len(ends)]
        for n in range(6)
    ]


def open_csv(folder, header, lines, encoding="utf-8", **options):
    text = "\n".join([header, *lines]) + "\n"
    (folder / "split.csv").write_bytes(text.encode(encoding))
    return open_dataset(folder, validation_fraction=0, **options)


def layout_of(data):
    (note,) = [n for n in data.report.notes if n.startswith("layout: ")]
    return note


@pytest.mark.parametrize(
    ("separator", "words"),
    [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_separators_and_encodings(folder, separator, words, encoding):
    lines = [line.replace(",", separator) for line in lines_of()]
    header = PLAIN.replace(",", separator)
    data = open_csv(folder, header, lines, encoding)
    assert data.split_sizes == {"train": 4, "test": 2}
    assert f"separated by {words}" in layout_of(data)
    assert ("UTF-16" in layout_of(data)) == (encoding == "utf-16")


@pytest.mark.parametrize("name", ["Split.CSV", "split.tsv", "mine.tsv"])
def test_names_of_the_file(folder, name):
    text = "\n".join([PLAIN, *lines_of()]).replace(",", "\t")
    (folder / name).write_text(text)
    path = folder / name if name.startswith("mine") else folder
    assert sum(open_dataset(path).split_sizes.values()) == 6


def test_spellings_of_columns_and_splits(folder):
    lines = [
        line.replace("train", "Training").replace("test", "TEST_SET")
        for line in lines_of(",x")
    ]
    data = open_csv(folder, "File Name,Class, Set ,Note", lines)
    assert data.split_sizes == {"train": 4, "test": 2}
    assert layout_of(data) == (
        "layout: columns File Name (path), Class (label), Set (split); no "
        "boxes; columns not used: Note"
    )


def test_paths_of_windows(folder):
    data = open_csv(folder, PLAIN, lines_of(path="img\\i{}.jpg"))
    assert data.split_sizes == {"train": 4, "test": 2}
    assert "6 path(s) with backslashes" in layout_of(data)
    assert str(folder / "img/i0.jpg") in data.subset("train").paths


def test_a_name_may_hold_a_backslash(folder):
    write(folder / "a\\b.jpg", jpeg(seed=9))
    data = open_csv(folder, PLAIN, [*lines_of(), "a\\b.jpg,a,train"])
    assert str(folder / "a\\b.jpg") in data.subset("train").paths


def test_absolute_paths_of_windows_are_refused(folder):
    lines = lines_of(path="C:\\data\\i{}.jpg")
    message = r"has backslashes, as Windows writes them.*split\.csv, line 2"
    with pytest.raises(ValueError, match=message):
        open_csv(folder, PLAIN, lines)


@pytest.mark.parametrize("path", ["img/i{}", "img\\i{}"])
def test_paths_without_an_ending(folder, path):
    data = open_csv(folder, PLAIN, lines_of(path=path))
    assert data.split_sizes == {"train": 4, "test": 2}
    assert "6 path(s) without the ending (extension)" in layout_of(data)
    assert str(folder / "img/i0.jpg") in data.subset("train").paths


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "img/i0",
            r"Received: img/i0, and in .*img there is i0.jpg and i0.png",
        ),
        ("img/no", "there is no image of this name"),
        ("nowhere/i0", "there is no image of this name"),
    ],
)
def test_paths_without_an_ending_that_name_no_one_file(folder, path, message):
    write(folder / "img/i0.png", jpeg(seed=9))
    with pytest.raises(ValueError, match=message):
        open_csv(folder, PLAIN, [*lines_of()[1:], f"{path},a,train"])


@pytest.mark.parametrize(
    ("header", "box"),
    [
        ("x_min,y_min,x_max,y_max", "6,11,30,33"),
        ("xmin,ymin,xmax,ymax", "6,11,30,33"),
        ("bbox_x1,bbox_y1,bbox_x2,bbox_y2", "6,11,30,33"),
        ("left,top,width,height", "6,11,24,22"),
        ("x_center,y_center,width,height", "18,22,24,22"),
        ("x1,y1,x2,y2", "0.1,0.25,0.5,0.75"),
        ("cx,cy,w,h", "0.3,0.5,0.4,0.5"),
    ],
)
@pytest.mark.parametrize("verify", ["full", "never"])
def test_boxes_in_other_columns(folder, header, box, verify):
    data = open_csv(
        folder, f"{PLAIN},{header}", lines_of(f",{box}"), verify=verify
    )
    expected = [11 / HEIGHT, 6 / WIDTH, 33 / HEIGHT, 30 / WIDTH]
    boxes = data.subset("train").boxes
    np.testing.assert_allclose(boxes, [expected] * 4, rtol=1e-6)
    names = header.replace(",", ", ")
    assert f"boxes from the columns {names}" in layout_of(data)
    is_told = any("within 0 to 1" in note for note in data.report.notes)
    assert is_told == ("0." in box)


def test_boxes_of_two_scales_are_refused(folder):
    lines = lines_of(",0.1,0.2,0.5,0.9", ",6,11,30,33")
    with pytest.raises(
        ValueError, match=r"3 x bad box(.|\n)*smaller than a pix"
    ):
        open_csv(folder, CORNERS, lines)


def test_pixel_boxes_may_be_small(folder):
    lines = lines_of(",0,0,1,1", ",6,11,30,33")
    boxes = open_csv(folder, CORNERS, lines).subset("train").boxes
    np.testing.assert_allclose(boxes[0], [0, 0, 1 / HEIGHT, 1 / WIDTH])


@pytest.mark.parametrize("empty", [",,,,", ",nan,nan,nan,nan", ""])
def test_rows_without_a_box(folder, empty):
    data = open_csv(folder, CORNERS, lines_of(",6,11,30,33", empty))
    assert data.split_sizes == {"train": 4, "test": 2}
    assert "empty in 3 of 6 rows" in layout_of(data)
    train = data.subset("train")
    assert np.isnan(train.boxes).any(axis=1).tolist() == [0, 1, 0, 1]
    assert "4 images, with boxes but 2" in data.summary()
    batches = data.batches("train", load_size=8, batch_size=4, with_boxes=True)
    _, targets = next(iter(batches))
    np.testing.assert_array_equal(targets["box"], train.boxes)


def test_a_split_without_boxes_has_none(folder):
    lines = [*lines_of(",6,11,30,33")[:4], *lines_of(",,,,")[4:]]
    data = open_csv(folder, CORNERS, lines)
    assert data.subset("train").boxes.shape == (4, 4)
    assert data.subset("test").boxes is None


@pytest.mark.parametrize(
    ("label", "problem"),
    [('"a\nb"', "line break"), ("a\x1b[31m", "control character")],
)
def test_labels_that_cannot_name_a_class(folder, label, problem):
    lines = [*lines_of(), f"img/i0.png,{label},train"]
    with pytest.raises(ValueError, match=f"`label` holds a .*{problem}"):
        open_csv(folder, PLAIN, lines)


def test_a_pipe_in_a_table(folder):
    os.mkfifo(folder / "pipe.jpg")
    with pytest.raises(ValueError, match=r"pipe\.jpg: .* it is a pipe"):
        open_csv(folder, PLAIN, [*lines_of(), "pipe.jpg,a,train"])


def test_decimal_commas_beside_semicolons(folder):
    lines = [line.replace(",", ";") for line in lines_of(",6.5,11,30.125,33")]
    lines = [line.replace(".5", ",5").replace(".125", ",125") for line in lines]
    data = open_csv(folder, CORNERS.replace(",", ";"), lines)
    expected = [11 / HEIGHT, 6.5 / WIDTH, 33 / HEIGHT, 30.125 / WIDTH]
    np.testing.assert_allclose(
        data.subset("train").boxes, [expected] * 4, rtol=1e-6
    )
    lines = [line.replace("6,5", "6") for line in lines]
    with pytest.raises(ValueError, match=r'number of pixels, not "30,125"'):
        open_csv(folder, CORNERS.replace(",", ";"), lines)


def test_boxes_of_another_size_are_refused(folder):
    wide = f",0,0,{9 * WIDTH},{9 * HEIGHT}"
    with pytest.raises(ValueError, match=r"6 of 6 boxes reach beyond their"):
        open_csv(folder, CORNERS, lines_of(wide))
    few = open_csv(folder, CORNERS, lines_of(wide, ",1,1,5,5"))
    assert any("3 box(es) reached beyond" in n for n in few.report.notes)
