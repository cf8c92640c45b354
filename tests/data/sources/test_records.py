"""Records of TFRecord files: found, read in any order, and compared."""

import os

import keras
import numpy as np
import pytest

from keras_fgvc.data import (
    Examples,
    LabeledImages,
    Records,
    fingerprint,
)
from keras_fgvc.data.builders import serialized
from keras_fgvc.data.sources.records import RecordReader, scan
from keras_fgvc.decoding.images import decode
from tests.data.image_files import encode, jpeg, smooth_pixels, write

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.data"
)


def example(features) -> bytes:
    """A serialized tf.train.Example of bytes, floats and integers."""
    import tensorflow as tf

    message = tf.train.Example()
    for name, values in features.items():
        feature = message.features.feature[name]
        kinds = {bytes: feature.bytes_list, float: feature.float_list}
        kinds.get(type(values[0]), feature.int64_list).value.extend(values)
    return message.SerializeToString()


def write_records(path, contents) -> str:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            writer.write(content)
    return str(path)


@pytest.fixture
def images():
    grey = encode(smooth_pixels(7, 5)[..., 0], "PNG")
    see_through = np.dstack([smooth_pixels(7, 5), np.full((7, 5), 99, "uint8")])
    return [
        *(jpeg(seed, 11 + seed, 13) for seed in range(5)),
        grey,
        encode(see_through, "PNG"),
    ]


@pytest.fixture
def files(tmp_path, images):
    """Seven records in three files, one of them empty."""
    contents = [
        example({"label": [i], "image": [image], "mask": [bytes(997)]})
        for i, image in enumerate(images)
    ]
    parts = {"a": contents[:3], "b": [], "c": contents[3:]}
    return [write_records(tmp_path / n, part) for n, part in parts.items()]


def test_scan_finds_what_tensorflow_reads(files):
    import tensorflow as tf

    records = scan(files)
    assert records.files == tuple(files)
    assert records.file_index.tolist() == [0, 0, 0, 2, 2, 2, 2]
    assert (records.file_index.dtype, records.offsets.dtype) == (
        np.int32,
        np.int64,
    )
    assert records.offsets[[0, 3]].tolist() == [12, 12]
    expected = list(tf.data.TFRecordDataset(files).as_numpy_iterator())
    for i, content in enumerate(expected):
        with open(files[records.file_index[i]], "rb") as file:
            file.seek(records.offsets[i])
            assert file.read(records.lengths[i]) == content
    assert len(records) == len(expected)


def test_each_is_read_in_any_order(files, images):
    import tensorflow as tf

    read = RecordReader(scan(files).take(np.array([6, 0, 3, 3, 5])))
    order = tf.data.Dataset.from_tensor_slices([4, 2, 0, 1, 3])
    found = list(order.map(read, num_parallel_calls=2).as_numpy_iterator())
    assert found == [images[i] for i in (5, 3, 6, 0, 3)]
    assert read(1).numpy() == images[0]


def test_pixels_are_those_of_the_files(tmp_path, files, images):
    """Grey and transparent ones, too."""
    labels = np.arange(7, dtype=np.int32)
    paths = [write(tmp_path / f"{i}.jpg", c) for i, c in enumerate(images)]
    as_files = Examples(labels, paths=tuple(paths))
    as_records = Examples(labels, records=scan(files))
    options = {
        "load_size": (9, 8),
        "batch_size": 2,
        "training": True,
        "seed": 3,
        "epochs": range(1, 3),
    }
    names = tuple("abcdefg")
    first, second = (
        list(
            LabeledImages("x", names, {"train": e}).batches("train", **options)
        )
        for e in (as_files, as_records)
    )
    assert len(first) == len(second) == 6
    for (pixels, numbers), (others, other_numbers) in zip(
        first, second, strict=True
    ):
        np.testing.assert_array_equal(pixels, others)
        np.testing.assert_array_equal(numbers, other_numbers)
    whole = RecordReader(scan(files))
    assert decode(whole(5)).shape == (7, 5, 3)


@pytest.mark.parametrize("cut", [1, 4, 5, 300])
def test_a_file_that_is_cut_short(files, cut):
    os.truncate(files[2], os.path.getsize(files[2]) - cut)
    with pytest.raises(ValueError, match=r"c is cut short or no TFRecord"):
        scan(files)


def test_something_else(tmp_path):
    path = write(tmp_path / "photo.jpg", jpeg())
    message = r"photo\.jpg is cut short or no TFRecord file: record 0 starts at"
    with pytest.raises(ValueError, match=message):
        scan([path])
    with pytest.raises(FileNotFoundError):
        scan([tmp_path / "gone"])


def test_files_that_change_behind_its_back(files):
    import tensorflow as tf

    records = scan(files)
    read = RecordReader(records)
    with open(files[0], "r+b") as file:
        file.seek(records.offsets[1] + 50)
        byte = file.read(1)[0]
        file.seek(records.offsets[1] + 50)
        file.write(bytes([255 - byte]))
    with pytest.raises(tf.errors.DataLossError):
        read(1)
    read(0)
    os.truncate(files[2], os.path.getsize(files[2]) - 1)
    with pytest.raises(ValueError, match=r"c must have at least \d+ bytes"):
        RecordReader(records)
    os.remove(files[2])
    with pytest.raises(FileNotFoundError):
        RecordReader(records)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([0, 0], [12], [3]), "one entry a record. Received: 2, 1 and 1"),
        (([0, 1], [12, 12], [3, 3]), "between 0 and 0.*Received: 1, 12 and 3"),
        (([0, 0], [12, 11], [3, 3]), "Received: 0, 11 and 3 for record 1"),
        (([0], [12], [-1]), "Received: 0, 12 and -1 for record 0"),
    ],
)
def test_records_check_themselves(arrays, message):
    with pytest.raises(ValueError, match=message):
        Records(("a",), *(np.array(array) for array in arrays))


def test_examples_with_records(files):
    records = scan(files)
    examples = Examples(np.arange(7), records=records)
    taken = examples.take(np.array([6, 2]))
    assert taken.labels.tolist() == [6, 2]
    assert taken.records.file_index.tolist() == [2, 0]
    assert taken.records.offsets.tolist() == records.offsets[[6, 2]].tolist()
    with pytest.raises(ValueError, match="7 records and 3 labels"):
        Examples(np.arange(3), records=records)
    with pytest.raises(ValueError, match="Received: paths and records"):
        Examples(np.arange(7), paths=("a",) * 7, records=records)


def test_the_fingerprint_covers_records(files):
    def found(indices=range(7), labels=range(7)):
        examples = Examples(
            np.array(labels, np.int32),
            records=scan(files).take(np.array(indices)),
        )
        return fingerprint(
            LabeledImages("x", tuple("abcdefg"), {"train": examples})
        )

    first = found()
    assert found() == first
    assert found([1, 0, *range(2, 7)]) != first
    assert found(labels=[1, 0, *range(2, 7)]) != first
    os.utime(files[2], ns=(10**18, 10**18))
    assert found() != first


def test_features_are_found_as_tensorflow_wrote_them():
    rng = np.random.default_rng(0)
    features = {
        "image": [rng.bytes(100_000)],
        "label": [-1],
        "labels": [0, 127, 128, 2**40, -(2**63), 2**63 - 1],
        "a/box": rng.random(12).astype(np.float32).tolist(),
        "empty": [b""],
        "texts": [b"a", b"b"],
    }
    content = b"before" + example(features) + b"behind"
    wanted = {name.encode() for name in features if name != "image"}
    found = serialized.find_features(content, 6, len(content) - 6, wanted)
    assert set(found) == wanted
    assert serialized.integers(content, found[b"label"]) == [-1]
    assert serialized.integers(content, found[b"labels"]) == features["labels"]
    np.testing.assert_array_equal(
        serialized.floats(content, found[b"a/box"]),
        np.float32(features["a/box"]),
    )
    assert serialized.bytes_span(content, found[b"empty"])[1] == 0
    with pytest.raises(ValueError, match="expected integers"):
        serialized.integers(content, found[b"a/box"])
    with pytest.raises(ValueError, match="expected floats"):
        serialized.floats(content, found[b"label"])
    with pytest.raises(ValueError, match="expected a text"):
        serialized.bytes_span(content, found[b"labels"])
    with pytest.raises(ValueError, match="expected one text, found 2 values"):
        serialized.bytes_span(content, found[b"texts"])


@pytest.mark.parametrize(
    "content", [jpeg(), b"\x0a\xff", b"\xff" * 30, b"\x0a\x02\x0a\x7f"]
)
def test_other_bytes_are_no_example(content):
    with pytest.raises(ValueError, match=r"no serialized tf\.train\.Example"):
        serialized.find_features(content, 0, len(content), {b"image"})
