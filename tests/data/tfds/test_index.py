"""The index of records that is kept beside them."""

import dataclasses
import os
import types

import numpy as np
import pytest

from keras_fgvc.data import (
    open_dataset,
)
from keras_fgvc.data.builders import catalogue, prepared


def index_of(birds) -> str:
    folder = os.path.join(birds, "caltech_birds2011", "0.2.0")
    (name,) = [n for n in os.listdir(folder) if n.startswith("keras_fgvc")]
    return os.path.join(folder, name)


def boxes_by_place(data) -> np.ndarray:
    return np.concatenate([data.subset(s).boxes for s in data.splits])


def test_records_are_looked_up_once(birds, monkeypatch):
    first = open_dataset("cub200", data_dir=birds)
    assert index_of(birds).endswith("keras_fgvc_index_label.npz")
    looked_up = []
    name = "keras_fgvc.data.builders.index.look_up"
    real = __import__("keras_fgvc.data.builders.index", fromlist=["x"]).look_up

    def look_up(*arguments):
        looked_up.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(name, look_up)
    again = open_dataset("cub200", data_dir=birds)
    assert not looked_up
    assert again.class_names == first.class_names
    np.testing.assert_array_equal(boxes_by_place(again), boxes_by_place(first))
    # Half an index, an index of other files, and none at all.
    for damage in (
        lambda path: os.truncate(path, os.path.getsize(path) // 2),
        lambda path: np.savez(path, key="other"),
        os.remove,
    ):
        damage(index_of(birds))
        looked_up.clear()
        third = open_dataset("cub200", data_dir=birds)
        assert len(looked_up) == 2
        np.testing.assert_array_equal(
            boxes_by_place(third), boxes_by_place(first)
        )


def test_an_index_that_cannot_be_written_is_done_without(birds, monkeypatch):
    def replace(*paths):
        raise OSError("read only")

    monkeypatch.setattr("keras_fgvc.data.builders.index.os.replace", replace)
    # TFDS renames what it prepared by other means.
    data = open_dataset("cub200", data_dir=birds)
    assert data.split_sizes["test"] == 2
    folder = os.path.join(birds, "caltech_birds2011", "0.2.0")
    assert not [n for n in os.listdir(folder) if n.startswith("keras_fgvc")]


def test_records_that_changed_are_looked_up_anew(birds, tmp_path):
    import tensorflow as tf

    data = open_dataset("cub200", data_dir=birds)
    (path,) = data.subset("test").records.files
    contents = list(tf.data.TFRecordDataset(path).as_numpy_iterator())
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(contents[1])
    assert open_dataset("cub200", data_dir=birds).split_sizes["test"] == 1
    os.truncate(path, 100)
    with pytest.raises(ValueError, match="cut short or no TFRecord"):
        open_dataset("cub200", data_dir=birds)


def test_records_without_a_label(birds):
    entry = catalogue.find_entry("cub200")
    open_dataset("cub200", data_dir=birds)
    other = dataclasses.replace(
        entry, features=dataclasses.replace(entry.features, label="species")
    )
    message = r'it has no feature "species"\. Expected the features "image"'
    with pytest.raises(ValueError, match=message):
        prepared.open_tfds(other, birds)


def test_another_format_is_named(tmp_path):
    file_format = types.SimpleNamespace(value="array_record")
    builder = types.SimpleNamespace(
        data_dir=tmp_path, info=types.SimpleNamespace(file_format=file_format)
    )
    message = r'must hold TFRecord files\. Received: the format "array_record"'
    with pytest.raises(ValueError, match=message):
        prepared._prepare(builder, catalogue.find_entry("cub200"))


# Without a network.
