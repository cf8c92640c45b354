"""Folders as they are unpacked: what is read, refused, and told."""

import os

import numpy as np
import pytest

from keras_fgvc.data import open_dataset
from tests.data.image_files import (
    encode,
    jpeg,
    smooth_pixels,
    write,
    write_class_folders,
)


def layout_of(data):
    (note,) = [n for n in data.report.notes if n.startswith("layout: ")]
    return note


def pairs(train, test, classes=("jay", "owl")):
    """Counts of a training and a test folder, for `write_class_folders`."""
    return {f"{s}/{c}": 4 for s in (train, test) for c in classes}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Test"),
        ("train_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train/images", "test/images"),
        ("a/b/train", "a/b/test"),
        ("data/Training Images", "data/Test Images"),
    ],
)
def test_splits_in_other_spellings_and_further_down(tmp_path, train, test):
    write_class_folders(tmp_path, pairs(train, test))
    data = open_dataset(tmp_path)
    assert data.class_names == ("jay", "owl")
    assert data.split_sizes == {"train": 6, "validation": 2, "test": 8}
    name = train.split("/")[0] if "seg" in train else train.split("/")[-1]
    name = "train" if train == "train/images" else name
    assert f"train (folder {name})" in layout_of(data)


@pytest.mark.parametrize("name", ["validation", "dev", "eval"])
def test_names_of_validation_and_two_folders_for_it(tmp_path, name):
    write_class_folders(tmp_path, pairs("train", name))
    data = open_dataset(tmp_path)
    assert data.split_sizes == {"train": 8, "validation": 8}
    write_class_folders(tmp_path, {"valid/owl": 1})
    message = r"both taken for validation\. Rename one"
    with pytest.raises(ValueError, match=message):
        open_dataset(tmp_path)


def test_splits_without_train(tmp_path):
    write_class_folders(tmp_path, pairs("Test", "val"))
    with pytest.raises(ValueError, match="of the training images train"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("below", ["cars", "cars/cars", "Images"])
def test_class_folders_one_or_several_folders_down(tmp_path, below):
    write_class_folders(tmp_path / below, {"owl": 10, "jay": 10})
    for other in ("parts/locations.txt", "attributes.txt"):
        write(tmp_path / other, b"1 2 3")
    data = open_dataset(tmp_path)
    assert data.class_names == ("jay", "owl")
    assert f"below {below}" in layout_of(data)
    assert "attributes.txt, parts" in layout_of(data)


def test_only_one_class(tmp_path):
    write_class_folders(tmp_path, {"owl": 10})
    notes = open_dataset(tmp_path).report.notes
    assert "there is one class only, owl" in notes


@pytest.mark.parametrize("name", ["images", "JPEGImages"])
def test_a_folder_of_all_images_is_no_class(tmp_path, name):
    write_class_folders(tmp_path, {name: 3, "annotations/trimaps": 3})
    message = f"{name} would become a class.*one folder a class"
    with pytest.raises(ValueError, match=message):
        open_dataset(tmp_path)


def test_a_table_beside_images_is_named(tmp_path):
    write(tmp_path / "0.jpg", jpeg())
    write(tmp_path / "labels.csv", b"id,breed\n0,pug\n")
    message = r"holds no class folders.*If labels\.csv lists them, open it"
    with pytest.raises(ValueError, match=message):
        open_dataset(tmp_path)


def test_what_is_not_read_is_told(tmp_path):
    write_class_folders(tmp_path, {"owl": 9, "jay": 9, "__background__": 9})
    for number in range(7):
        write(tmp_path / f"loose{number}.jpg", jpeg())
    write(tmp_path / "readme.txt", b"hello")
    write(tmp_path / "owl" / "1.tif", b"II*")
    assert layout_of(open_dataset(tmp_path)) == (
        "layout: 2 class folder(s), with 18 .jpg files; no boxes. Not read: "
        "1 files of other endings (owl/1.tif); 7 images in no class folder "
        "(loose0.jpg, loose1.jpg, loose2.jpg, loose3.jpg, loose4.jpg and 2 "
        "more); 1 hidden folders (__background__); 1 other folders and files "
        "(readme.txt)"
    )


def test_endings_that_stand_for_images(tmp_path):
    write_class_folders(tmp_path, {"owl": 3})
    for name in ("a.jfif", "b.JPE", "c", "d.dib"):
        kind = "BMP" if name.endswith("dib") else "JPEG"
        write(tmp_path / "jay" / name, encode(smooth_pixels(), kind))
    write(tmp_path / "jay" / "notes", b"no image")
    data = open_dataset(tmp_path)
    assert sum(data.split_sizes.values()) == 7
    layout = layout_of(data)
    assert "3 .jpg, 1 .jfif, 1 .jpe, 1 no ending, 1 .dib" in layout
    assert "1 files of other endings (jay/notes)" in layout
    pixels, _ = next(iter(data.batches("train", load_size=5, batch_size=3)))
    assert pixels.shape == (3, 5, 5, 3)


def test_a_class_of_another_format_says_what_to_do(tmp_path):
    write_class_folders(tmp_path, {"owl": 3})
    for name in ("a.tif", "b.tif", "c.heic"):
        write(tmp_path / "jay" / name, b"II*")
    message = r"its files end in 2 \.tif, 1 \.heic\. Convert them"
    with pytest.raises(ValueError, match=message):
        open_dataset(tmp_path)


@pytest.mark.parametrize("verify", ["full", "headers", "never"])
def test_a_pipe_is_never_opened(tmp_path, verify):
    write_class_folders(tmp_path, {"owl": 5, "jay": 5})
    os.mkfifo(tmp_path / "owl" / "pipe.jpg")
    os.mkfifo(tmp_path / "owl" / "pipe")
    (tmp_path / "jay" / "null.png").symlink_to("/dev/null")
    data = open_dataset(tmp_path, verify=verify, on_error="skip")
    assert data.report.counts == {"unreadable file": 2}
    assert "cannot be read: it is a device" in data.summary()
    assert "cannot be read: it is a pipe (FIFO)" in data.summary()
    images, _ = next(iter(data.batches("train", load_size=5, batch_size=5)))
    assert len(images) == 5


@pytest.mark.parametrize(
    ("name", "problem"),
    [(b"a\nb", "line break or another control"), (b"\xe9", "not UTF-8 text")],
)
def test_folders_that_cannot_name_a_class(tmp_path, name, problem):
    write_class_folders(tmp_path, {"owl": 5})
    folder = os.path.join(os.fsencode(tmp_path), name)
    os.mkdir(folder)
    with open(os.path.join(folder, b"1.jpg"), "wb") as file:
        file.write(jpeg())
    with pytest.raises(ValueError, match=f"{problem}.*rename the folder"):
        open_dataset(tmp_path)


def test_files_whose_names_are_not_utf_8(tmp_path, capsys):
    write_class_folders(tmp_path, {"owl": 5, "jay": 5})
    for path in list(tmp_path.rglob("*.jpg")):
        path.rename(os.fsdecode(os.fsencode(path)[:-4] + b"\xe9\x1b.jpg"))
    write(tmp_path / os.fsdecode(b"jay/\xe9.png"), b"no image")
    data = open_dataset(tmp_path, on_error="skip")
    images, _ = next(iter(data.batches("train", load_size=5, batch_size=6)))
    assert images.shape == (6, 5, 5, 3)
    summary = data.summary()
    assert "jay/\\udce9.png: is not an image" in summary
    assert "\x1b" not in summary
    summary.encode()  # a terminal can show it


def test_same_bytes_across_splits_and_labels(tmp_path):
    for number, folder in enumerate(
        ("train/owl", "train/jay", "test/owl", "test/jay")
    ):
        for image in range(4):
            content = jpeg(seed=10 * number + image)
            write(tmp_path / folder / f"{image}.jpg", content)
    for folder, name in (
        ("test/owl", "leak.jpg"),
        ("train/jay", "conflict.jpg"),
        ("train/owl", "again.jpg"),
    ):
        seed = {"leak.jpg": 0, "conflict.jpg": 1, "again.jpg": 2}[name]
        write(tmp_path / folder / name, jpeg(seed=seed))
    data = open_dataset(tmp_path, validation_fraction=0)
    assert data.split_sizes == {"train": 10, "test": 9}  # nothing is dropped
    found = {
        each.kind: (each.first, each.second) for each in data.report.same_bytes
    }
    train, test = tmp_path / "train", tmp_path / "test"
    assert found == {
        "leak": (
            f"{test}/owl/leak.jpg (owl, test)",
            f"{train}/owl/0.jpg (owl, train)",
        ),
        "conflict": (
            f"{train}/jay/conflict.jpg (jay, train)",
            f"{train}/owl/1.jpg (owl, train)",
        ),
        "repetition": (
            f"{train}/owl/2.jpg (owl, train)",
            f"{train}/owl/again.jpg (owl, train)",
        ),
    }
    for kind, (first, second) in found.items():
        (note,) = [n for n in data.report.notes if n.startswith(f"{kind}: 1")]
        assert f"{first} and {second}" in note
        assert f"    {first} and {second}\n" in data.summary() + "\n"
    again = open_dataset(tmp_path, validation_fraction=0)  # from the cache
    assert again.report == data.report
    headers = open_dataset(tmp_path, validation_fraction=0, verify="headers")
    assert headers.report == data.report


def test_a_cut_that_parts_two_copies_is_a_leak(tmp_path):
    for number in range(20):  # each image twice, under one label
        write(tmp_path / "owl" / f"{number}.jpg", jpeg(seed=number // 2))
        write(tmp_path / "jay" / f"{number}.jpg", jpeg(seed=100 + number))
    data = open_dataset(tmp_path)
    kinds = [each.kind for each in data.report.same_bytes]
    assert len(kinds) == 10
    owls = {
        split: {
            os.path.basename(path)
            for path in data.subset(split).paths
            if "/owl/" in path
        }
        for split in data.splits
    }
    parted = sum(
        not any(
            {f"{n}.jpg", f"{n + 1}.jpg"} <= names for names in owls.values()
        )
        for n in range(0, 20, 2)
    )
    assert kinds.count("leak") == parted > 0
    assert np.isin(kinds, ["leak", "repetition"]).all()
