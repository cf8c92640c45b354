"""The folders of CUB-200-2011 and NABirds, as they are unpacked."""

import numpy as np
import pytest

from keras_fgvc.data import open_dataset
from tests.data.image_files import HEIGHT, WIDTH, jpeg, write

LISTS = (
    *("images.txt", "image_class_labels.txt", "train_test_split.txt"),
    "bounding_boxes.txt",
)


@pytest.fixture
def birds(tmp_path):
    """Eight images of two classes, of which the even ones train."""
    rows = {name: [] for name in LISTS}
    for n in range(8):
        label, is_train = 1 + n // 4, (n + 1) % 2
        write(tmp_path / f"images/{label}.Jay/{n}.jpg", jpeg(seed=n))
        rows["images.txt"].append(f"{n} {label}.Jay/{n}.jpg")
        rows["image_class_labels.txt"].append(f"{n} {label}")
        rows["train_test_split.txt"].append(f"{n} {is_train}")
        rows["bounding_boxes.txt"].append(f"{n} 6.0 11.0 24.0 22.0")
    rows["classes.txt"] = ["1 001.Blue_Jay", "2 002.Green_Jay"]
    for name, lines in rows.items():
        write(tmp_path / name, "\n".join(lines).encode())
    write(tmp_path / "parts/parts.txt", b"1")
    return tmp_path


@pytest.mark.parametrize("is_below", [False, True])
def test_the_lists_give_splits_classes_and_boxes(birds, is_below, tmp_path):
    root = birds
    if is_below:  # as the archive unpacks
        root = tmp_path.with_name(tmp_path.name + "-unpacked")
        root.mkdir()
        birds.rename(root / "CUB_200_2011")
        write(root / "attributes.txt", b"1")
    data = open_dataset(root, validation_fraction=0)
    assert data.class_names == ("001.Blue_Jay", "002.Green_Jay")
    assert data.split_sizes == {"train": 4, "test": 4}
    train = data.subset("train")
    assert [path[-5] for path in train.paths] == ["0", "2", "4", "6"]
    assert train.labels.tolist() == [0, 0, 1, 1]
    box = [11 / HEIGHT, 6 / WIDTH, 33 / HEIGHT, 30 / WIDTH]
    np.testing.assert_allclose(train.boxes, [box] * 4, rtol=1e-6)
    layout = data.report.notes[0]
    assert layout.startswith("layout: 2 classes, splits, boxes, from the lists")
    assert layout.endswith("Not read: parts")


def test_without_boxes(birds):
    (birds / "bounding_boxes.txt").unlink()
    data = open_dataset(birds)
    assert data.subset("train").boxes is None
    assert ", no boxes, from the lists" in data.report.notes[0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train_test_split.txt", "1 1", "lacks 7 entries"),
        ("train_test_split.txt", None, "must hold 1 .train. or 0 .test."),
        ("bounding_boxes.txt", "1 2 3 4 x", "bounding_boxes.txt"),
    ],
)
def test_lists_that_do_not_fit(birds, name, text, message):
    text = text or "\n".join(f"{n} train" for n in range(8))
    (birds / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        open_dataset(birds)


def test_without_the_lists_the_folders_are_the_classes(birds):
    (birds / "classes.txt").unlink()
    data = open_dataset(birds)
    assert data.class_names == ("1.Jay", "2.Jay")
    assert "below images" in data.report.notes[0]
