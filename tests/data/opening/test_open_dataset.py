"""Opening good folders and CSVs."""

import numpy as np
import pytest
from PIL import Image

from keras_fgvc.data import (
    Examples,
    LabeledImages,
    available,
    info,
    load,
    open_dataset,
)
from tests.data.image_files import (
    HEIGHT,
    WIDTH,
    encode,
    jpeg,
    smooth_pixels,
    write,
    write_class_folders,
    write_csv,
)

BOX_HEADER = "label,path,extra,split,x_min,y_min,x_max,y_max,width,height"


@pytest.fixture
def split_folders(tmp_path):
    counts = {"train/owl": 20, "train/jay": 10, "train/wren": 2}
    counts |= {"test/owl": 3, "test/jay": 2}
    write_class_folders(tmp_path, counts)
    return tmp_path


def test_folders_with_splits(split_folders):
    data = open_dataset(split_folders)
    assert data.class_names == ("jay", "owl", "wren")
    # 2 of 20, 1 of 10, 1 of 2.
    assert data.split_sizes == {"train": 28, "validation": 4, "test": 5}
    counts = np.bincount(data.subset("validation").labels, minlength=3)
    assert counts.tolist() == [1, 2, 1]
    train = set(data.subset("train").paths)
    assert not train & set(data.subset("validation").paths)
    assert all("/test/" in path for path in data.subset("test").paths)
    assert "validation was cut from train" in data.summary()
    for path, label in zip(
        data.subset("train").paths, data.subset("train").labels, strict=True
    ):
        assert f"/{data.class_names[label]}/" in path


def test_the_cut_follows_seed_and_fraction(split_folders):
    def validation(**options):
        return open_dataset(split_folders, **options).splits.get("validation")

    assert validation(seed=1).paths == validation(seed=1).paths
    assert validation(seed=1).paths != validation(seed=2).paths
    assert len(validation(validation_fraction=0.5)) == 16
    assert validation(validation_fraction=0) is None


@pytest.mark.parametrize("name", ["validation", "val", "valid"])
def test_a_validation_folder_is_used(split_folders, name):
    write_class_folders(split_folders, {f"{name}/owl": 3})
    data = open_dataset(split_folders)
    assert data.split_sizes == {"train": 32, "validation": 3, "test": 5}
    assert not any("was cut" in note for note in data.report.notes)


def test_folders_without_splits(tmp_path):
    write_class_folders(tmp_path, {"owl": 20, "jay/old": 10, ".hidden": 1})
    data = open_dataset(tmp_path)
    assert data.class_names == ("jay", "owl")
    # Test takes 4 of 20 and 2 of 10, validation 2 of 16 and 1 of 8.
    assert data.split_sizes == {"train": 21, "validation": 3, "test": 6}
    assert np.bincount(data.subset("test").labels).tolist() == [2, 4]
    everything = sum((data.subset(s).paths for s in data.splits), ())
    assert len(set(everything)) == 30
    assert "test was cut from train (20% of each class" in data.summary()


def test_splits_in_capitals(tmp_path):
    write_class_folders(
        tmp_path, {"Train/owl": 8, "Train/jay": 8, "TEST/owl": 2}
    )
    data = open_dataset(tmp_path)
    assert data.class_names == ("jay", "owl")
    assert data.split_sizes["test"] == 2


def test_train_may_be_a_class(tmp_path):
    write_class_folders(tmp_path, {"train": 10, "bus": 10})
    assert open_dataset(tmp_path).class_names == ("bus", "train")


def test_hidden_files_and_folders_are_passed_over(split_folders):
    """What macOS and notebooks leave behind: no images, and copies of some."""
    owls = split_folders / "train/owl"
    before = open_dataset(split_folders)
    (owls / "._0.jpg").write_bytes(b"not an image")
    write(owls / ".ipynb_checkpoints/copy.jpg", jpeg(0))
    data = open_dataset(split_folders)
    assert data.split_sizes == before.split_sizes
    assert data.report.left_out == ()
    assert data.report.notes[1:] == before.report.notes[1:]
    told = "1 hidden folders (train/owl/.ipynb_checkpoints)"
    assert told in data.report.notes[0]


def test_the_home_folder_is_meant_by_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_class_folders(tmp_path / "birds", {"owl": 10, "jay": 10})
    data = open_dataset("~/birds", data_dir="~/tfds")
    assert data.opened_by["name_or_path"] == str(tmp_path / "birds")
    assert data.opened_by["data_dir"] == str(tmp_path / "tfds")


def test_other_files_are_noted(split_folders):
    (split_folders / "train/owl/notes.txt").write_text("hello")
    (split_folders / "train/owl/.hidden").write_text("hello")
    (split_folders / "other").mkdir()
    layout, *_ = open_dataset(split_folders).report.notes
    assert "1 files of other endings (train/owl/notes.txt)" in layout
    assert "1 other folders and files (other)" in layout


@pytest.fixture
def csv_folder(tmp_path):
    for number in range(4):
        write(tmp_path / f"images/{number}.jpg", jpeg(number))
    lines = [
        "b,images/0.jpg,?,train,6,11,30,33,999,999",
        "a,images/1.jpg,?,train,0,0,60,44,1,1",
        "b,images/2.jpg,?,TRAIN,-5,0,65.5,40,,",
        "a,images/3.jpg,?,test,1,1,2,2,,",
    ]
    write_csv(tmp_path, lines, BOX_HEADER)
    return tmp_path


@pytest.mark.parametrize("verify", ["full", "headers"])
def test_csv_with_boxes_by_hand(csv_folder, verify):
    data = open_dataset(csv_folder, validation_fraction=0, verify=verify)
    train = data.subset("train")
    assert (HEIGHT, WIDTH) == (44, 60)
    expected = [
        [11 / 44, 6 / 60, 33 / 44, 30 / 60],
        [0, 0, 1, 1],
        [0, 0, 40 / 44, 1],
    ]
    np.testing.assert_allclose(train.boxes, expected, rtol=1e-6)
    assert train.labels.tolist() == [1, 0, 1]
    assert [path[-5] for path in train.paths] == ["0", "1", "2"]
    layout, note = data.report.notes
    assert "1 box(es) reached beyond" in note
    assert "2.jpg" in note
    assert "columns path, label, split; boxes from the columns x_min," in layout
    assert layout.endswith("columns not used: extra, width, height")


def test_csv_by_its_own_path_and_with_data_dir(csv_folder, tmp_path_factory):
    data = open_dataset(csv_folder / "split.csv")
    assert data.split_sizes == {"train": 2, "validation": 1, "test": 1}
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "mine.csv"
    elsewhere.write_bytes(
        b"\xef\xbb\xbf" + (csv_folder / "split.csv").read_bytes()
    )
    data = open_dataset(elsewhere, data_dir=csv_folder)
    assert len(data.subset("test")) == 1


def test_a_csv_without_boxes_has_none(tmp_path):
    write(tmp_path / "0.jpg", jpeg())
    data = open_dataset(write_csv(tmp_path, ["0.jpg,a,train"]))
    assert data.subset("train").boxes is None
    assert data.split_sizes == {"train": 1}


def test_numbers_as_labels_are_sorted_as_numbers(tmp_path):
    names = ["10", "9", "2"]
    for name in names:
        write(tmp_path / f"{name}.jpg", jpeg())
    lines = [f"{name}.jpg,{name},train" for name in names]
    data = open_dataset(write_csv(tmp_path, lines))
    assert data.class_names == ("2", "9", "10")
    assert data.subset("train").labels.tolist() == [2, 1, 0]


def test_boxes_follow_the_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    write(tmp_path / "0.jpg", encode(smooth_pixels(), "JPEG", exif=exif))
    header = "path,label,split,x_min,y_min,x_max,y_max"
    write_csv(tmp_path, ["0.jpg,a,train,0,0,44,30"], header)
    for verify in ("full", "headers"):
        boxes = open_dataset(tmp_path, verify=verify).subset("train").boxes
        np.testing.assert_allclose(boxes, [[0, 0, 0.5, 1]])


def test_load_equals_open_and_batches(split_folders):
    options = {"load_size": 9, "batch_size": 5}
    batches = load(split_folders, "test", seed=3, **options)
    expected = open_dataset(split_folders).batches("test", **options)
    for (images, labels), (others, other_labels) in zip(
        batches, expected, strict=True
    ):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(labels, other_labels)


def test_names():
    assert available()[:3] == ("cluttered_digits", "cluttered_mnist", "cub200")
    data = info("cluttered_digits")
    assert data.split_sizes["train"] == 10_000
    assert "10 classes" in data.summary()
    assert data.licence
    (images, targets), *_ = load(
        "cluttered_digits",
        "test",
        load_size=40,
        batch_size=3,
        with_boxes=True,
    ).take(1)
    assert images.shape == (3, 40, 40, 3)
    assert targets["box"].shape == (3, 4)


def test_long_checks_show_progress(split_folders, monkeypatch, capsys):
    monkeypatch.setattr("keras_fgvc.data.sources.files.PROGRESS_AFTER", 0.0)
    open_dataset(split_folders)
    assert "Checking 37 images" in capsys.readouterr().out


def test_several_labels_an_image():
    labels = np.array([[1, 0, 1], [0, 0, 0]], np.int32)
    images = np.zeros((2, 5, 7, 3), np.uint8)
    names = ("round", "red", "ripe")
    examples = Examples(labels, images=images)
    data = LabeledImages("fruit", names, {"train": examples})
    assert (data.is_multi_label, data.num_classes) == (True, 3)
    np.testing.assert_array_equal(examples.take([1, 0]).labels, labels[::-1])
    for wrong, received in (
        (labels[:, :2], "2 columns for 3 classes"),
        (labels * 2, "values 0 to 2"),
    ):
        examples = Examples(wrong, images=images)
        with pytest.raises(ValueError, match=received):
            LabeledImages("fruit", names, {"train": examples})
