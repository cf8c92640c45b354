"""Images kept in memory give the batches that files give."""

import numpy as np
import pytest

from keras_fgvc.data import Augmentation, open_dataset
from keras_fgvc.data.sources import arrays
from tests.data.image_files import write_class_folders


@pytest.fixture
def folder(tmp_path):
    write_class_folders(
        tmp_path, {"train/owl": 5, "train/jay": 4, "test/owl": 3}
    )
    return tmp_path


def test_the_same_pixels_labels_and_boxes(folder):
    data = open_dataset(folder)
    kept = data.in_memory((16, 24))
    assert (kept.name, kept.class_names) == (data.name, data.class_names)
    for split in data.splits:
        assert kept.subset(split).paths is None
        options = {"load_size": (16, 24), "batch_size": 2}
        pairs = zip(
            data.batches(split, **options),
            kept.batches(split, **options),
            strict=True,
        )
        for (images, labels), (ours, our_labels) in pairs:
            np.testing.assert_array_equal(ours, images)
            np.testing.assert_array_equal(our_labels, labels)


def test_training_goes_on_in_the_same_order(folder):
    data = open_dataset(folder)
    options = {
        "load_size": 16,
        "batch_size": 3,
        "training": True,
        "epochs": range(2),
        "augmentation": Augmentation(random_crop=(0.8, 0.9)),
    }
    streamed = list(data.batches("train", **options).as_numpy_iterator())
    kept = data.in_memory(32).batches("train", **options)
    for (images, labels), (ours, our_labels) in zip(
        streamed, kept.as_numpy_iterator(), strict=True
    ):
        np.testing.assert_array_equal(our_labels, labels)
        assert ours.shape == images.shape


def test_what_is_in_memory_at_that_size_is_not_copied():
    digits = open_dataset("cluttered_digits")
    size = digits.subset("test").images.shape[1]
    assert digits.in_memory(size).subset("test") is digits.subset("test")


def test_too_large_is_said_before_it_is_tried(folder, monkeypatch, tmp_path):
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr(arrays, "MEMINFO", meminfo)
    meminfo.write_text("MemFree: 1 kB\nMemAvailable:  12 kB\nCached: 9 kB\n")
    with pytest.raises(MemoryError, match=r"takes .* GB .*Give a smaller"):
        open_dataset(folder).in_memory(64)
    # What files have filled is given back when it is asked for.
    meminfo.write_text("MemFree: 1 kB\nMemAvailable:  999 kB\n")
    open_dataset(folder).in_memory(64)
    meminfo.unlink()  # not Linux
    open_dataset(folder).in_memory(64)
