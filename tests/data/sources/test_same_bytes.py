"""The same image twice is told, whatever kind of source holds it."""

import os

import numpy as np

from keras_fgvc.data import Examples, LabeledImages, open_dataset
from keras_fgvc.data.sources import source
from keras_fgvc.data.sources.report import SameBytes
from tests.data.image_files import jpeg, write
from tests.data.tfds import archives
from tests.data.tfds.conftest import manual, tfds  # noqa: F401


def arrays(count=13, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 17, 11, 3)).astype("uint8")


def of_arrays(train, test, labels=None):
    labels = np.arange(13, dtype="int32") % 2 if labels is None else labels
    splits = {
        "train": Examples(labels, images=train),
        "test": Examples(labels[:5], images=test),
    }
    return LabeledImages("two", ("owl", "jay"), splits)


def test_arrays_with_the_same_pixels():
    train, test = arrays(), arrays(5, seed=1)
    test[3] = train[7]  # of one class
    train[2] = train[4]
    train[10] = train[5]
    train[1, 3, 8] = train[2, 3, 8]  # agrees in the pixels looked at first
    data = of_arrays(train, test)
    leak, again, conflict = (
        SameBytes("leak", "image 7 (jay, train)", "image 3 (jay, test)"),
        SameBytes("repetition", "image 2 (owl, train)", "image 4 (owl, train)"),
        SameBytes("conflict", "image 5 (jay, train)", "image 10 (owl, train)"),
    )
    assert set(data.report.same_bytes) == {leak, again, conflict}
    assert "leak: 1 image(s) have the same bytes as one" in data.summary()
    resized = data.resized("crop").in_memory(9)
    assert resized.report == data.report  # told once


def test_arrays_that_differ_in_one_pixel_are_no_copies():
    train = np.zeros((13, 17, 11, 3), "uint8")
    train[np.arange(13), 3, 8, 1] = np.arange(13)
    assert of_arrays(train, train[:5] + 20).report.same_bytes == ()
    # The same bytes in another shape are another image.
    turned = np.zeros((5, 11, 17, 3), "uint8")
    turned[:, 0, 0, 0] = np.arange(5)
    assert of_arrays(train, turned).report.same_bytes == ()


def test_arrays_of_several_labels():
    labels = np.array([[1, 0], [1, 1], [0, 0]])
    images = np.ones((3, 5, 5, 3), "uint8")
    images[2] = 0
    data = LabeledImages(
        "several", ("owl", "jay"), {"train": Examples(labels, images=images)}
    )
    (found,) = data.report.same_bytes
    assert found.kind == "conflict"
    assert found.second == "image 1 (owl and jay, train)"


def test_few_files_are_read_whole(tmp_path, monkeypatch):
    folders = ("train/owl", "train/jay", "test/owl", "test/jay")
    for number, folder in enumerate(folders):
        for image in range(4):
            content = jpeg(seed=10 * number + image)
            write(tmp_path / folder / f"{image}.jpg", content.ljust(9000, b"x"))
    copy = (tmp_path / "train/owl/0.jpg").read_bytes()
    write(tmp_path / "test/jay/copy.jpg", copy)
    sizes, read = [], source._read

    def counted(path, start, size):
        sizes.append(size)
        return read(path, start, size)

    monkeypatch.setattr(source, "_read", counted)
    data = open_dataset(tmp_path, validation_fraction=0, verify="headers")
    kinds = [each.kind for each in data.report.same_bytes]
    assert kinds == ["leak", "conflict"]
    assert max(sizes) == 9000
    assert open_dataset(tmp_path, verify="never").report.same_bytes == ()
    notes = open_dataset(tmp_path, verify="never").report.notes
    assert 'copies of images were not looked for (verify="never")' in notes


def test_middles_tell_files_apart(tmp_path):
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(os.urandom(3000))
    places = [(path, 0, 3000) for path in paths]
    size, middle, _ = source.file_keys(places)

    def content(number):
        raise AssertionError("a file was read whole")

    keys = (size, middle, content)
    assert source.digests_of_alike(3, *keys) == [None] * 3


def test_records_with_the_same_image(tmp_path, manual):  # noqa: F811
    names = list(archives.BIRDS)
    same = jpeg(50, archives.HEIGHT, archives.WIDTH)
    archives.cub(manual, **{names[1]: same, names[5]: same})
    for _ in range(2):  # the second time out of the index
        data = open_dataset(
            "cub200", data_dir=str(tmp_path), validation_fraction=0.3
        )
        found = data.report.same_bytes
        assert [each.kind for each in found] == ["leak", "conflict"]
        for each in (found[0].first, found[0].second):
            assert "albatross" in each.lower()
            number, split = int(each.split()[1]), each.split()[-1][:-1]
            label = data.subset(split).labels[number]
            assert data.class_names[label] in each
