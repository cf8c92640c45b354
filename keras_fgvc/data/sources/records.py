"""Images in TFRecord files, read in any order.

A data set of TensorFlow Datasets is a few TFRecord files of thousands of
images each, which TensorFlow reads from the first to the last. To read them
in an order that depends on a seed alone it is enough to know where in which
file each image lies: nothing is copied and no buffer is shuffled.

A TFRecord file is a sequence of records: 8 bytes of length (little endian),
4 bytes of check sum, that many bytes of content, 4 bytes of check sum.

TensorFlow is imported where it is used.
"""

import dataclasses
import hashlib
import os
import struct

import numpy as np

from keras_fgvc.data.sources.source import (
    add_array,
    add_files,
    add_json,
    decoded,
)

IMAGE = "image"  # The feature that holds the encoded image.
HEADER, FOOTER = 12, 4  # bytes before and behind the content of a record


@dataclasses.dataclass(frozen=True)
class Records:
    """Places of records with images: image i in `files[file_index[i]]`.

    Each is a serialized `tf.train.Example` with the encoded image as its
    feature "image".

    Args:
        files: Tuple of names of TFRecord files, not compressed.
        file_index: Integer array `(n,)`, the file of each record.
        offsets: Integer array `(n,)`, the first byte of its content there.
        lengths: Integer array `(n,)`, the number of bytes of its content.

    Raises:
        ValueError: The arrays differ in length, name a file that is not
            there, or a place that cannot be.

    Example:

    ```python
    import tensorflow as tf
    from keras_fgvc.data import Examples, LabeledImages
    from keras_fgvc.data.sources.records import scan

    encoded = tf.io.encode_jpeg(tf.zeros((60, 80, 3), "uint8")).numpy()
    content = tf.train.Example()
    content.features.feature["image"].bytes_list.value.append(encoded)
    with tf.io.TFRecordWriter("two.tfrecord") as file:
        for _ in range(2):
            file.write(content.SerializeToString())
    examples = Examples(tf.range(2).numpy(), records=scan(["two.tfrecord"]))
    data = LabeledImages("two", ("cat", "dog"), {"train": examples})
    batches = data.batches("train", load_size=32, batch_size=2)
    ```
    """

    files: tuple[str, ...]
    file_index: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray

    def __post_init__(self):
        for name in ("file_index", "offsets", "lengths"):
            array = np.asarray(getattr(self, name))
            dtype = np.int32 if name == "file_index" else np.int64
            object.__setattr__(self, name, array.astype(dtype))
        sizes = {len(self.file_index), len(self.offsets), len(self.lengths)}
        if len(sizes) > 1:
            raise ValueError(
                "`file_index`, `offsets` and `lengths` must have one entry a "
                f"record. Received: {len(self.file_index)}, "
                f"{len(self.offsets)} and {len(self.lengths)}."
            )
        wrong = (self.file_index < 0) | (self.file_index >= len(self.files))
        wrong |= (self.offsets < HEADER) | (self.lengths < 0)
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"`file_index` must be between 0 and {len(self.files) - 1}, "
                f"`offsets` from {HEADER} and `lengths` from 0. Received: "
                f"{self.file_index[at]}, {self.offsets[at]} and "
                f"{self.lengths[at]} for record {at}."
            )

    def __len__(self) -> int:
        return len(self.offsets)

    def take(self, indices) -> "Records":
        """The records at `indices` (an integer array), in this order."""
        return Records(
            self.files,
            self.file_index[indices],
            self.offsets[indices],
            self.lengths[indices],
        )


@dataclasses.dataclass(frozen=True)
class RecordSource:
    """Images in `Records`; an `ImageSource`."""

    records: Records

    def __len__(self) -> int:
        return len(self.records)

    def take(self, indices) -> "RecordSource":
        return RecordSource(self.records.take(indices))

    def reader(self):
        return decoded(RecordReader(self.records))

    def identity(self) -> str:
        digest = hashlib.sha256()
        add_json(digest, [os.path.basename(p) for p in self.records.files])
        add_array(digest, self._places())
        return f"records {digest.hexdigest()}"

    def add_facts(self, digest) -> None:
        add_files(digest, self.records.files)
        add_array(digest, self._places())

    def _places(self) -> np.ndarray:
        records = self.records
        places = (records.file_index, records.offsets, records.lengths)
        return np.stack([np.asarray(place, "<i8") for place in places])


def scan(files) -> Records:
    """Finds the records of TFRecord files by their headers alone.

    Args:
        files: File names, not compressed.

    Returns:
        `Records` of the content of each record, in their order.

    Raises:
        ValueError: A file is cut short or no TFRecord file.
        OSError: It cannot be read.
    """
    files = tuple(os.fspath(file) for file in files)
    spans = [_scan_file(file) for file in files]
    counts = [len(found) for found in spans]
    joined = np.concatenate([np.empty((0, 2), np.int64), *spans])
    return Records(
        files,
        np.repeat(np.arange(len(files)), counts),
        joined[:, 0],
        joined[:, 1],
    )


class RecordReader:
    """Reads an image of `Records` by its number, inside a graph.

    TensorFlow has no operation that reads a part of a file, but its reader of
    TFRecord files can start at a byte: one record is taken from there. (A
    dataset of records of fixed length would read all that lies before.)

    Args:
        records: `Records`. Becomes tensors once: a graph that held the arrays
            as constants would outgrow its limit of 2 GB.

    Call arguments:
        index: Scalar integer tensor.

    Output shape:
        Scalar string tensor, the encoded image.

    Raises:
        FileNotFoundError: A file is not there any more.
        ValueError: A file became too short.
        tf.errors.DataLossError: A record is damaged (when it is read).
    """

    def __init__(self, records: Records):
        import tensorflow as tf

        _check_sizes(records)
        self.files = tf.constant(records.files, tf.string)
        self.file_index = tf.constant(records.file_index)
        self.starts = tf.constant(records.offsets - HEADER)

    def __call__(self, index):
        import tensorflow as tf

        number = tf.gather(self.file_index, index)
        from_there = tf.raw_ops.TFRecordDatasetV2(
            filenames=tf.gather(self.files, number)[None],
            compression_type="",
            buffer_size=tf.constant(0, tf.int64),
            byte_offsets=tf.gather(self.starts, index)[None],
        )
        of_one = {"output_types": [tf.string], "output_shapes": [[]]}
        one = tf.raw_ops.TakeDataset(
            input_dataset=from_there, count=tf.constant(1, tf.int64), **of_one
        )
        (record,) = tf.raw_ops.DatasetToSingleElement(dataset=one, **of_one)
        image = tf.io.FixedLenFeature([], tf.string)
        return tf.io.parse_single_example(record, {IMAGE: image})[IMAGE]


def _check_sizes(records: Records) -> None:
    sizes = np.array([os.path.getsize(f) for f in records.files], np.int64)
    ends = records.offsets + records.lengths + FOOTER
    beyond = np.flatnonzero(ends > sizes[records.file_index])
    if len(beyond):
        at = beyond[0]
        raise ValueError(
            f"{records.files[records.file_index[at]]} must have at least "
            f"{ends[at]} bytes: it is cut short, or was written anew. Open "
            "the data set again, or prepare it again."
        )


def _scan_file(path: str) -> np.ndarray:
    """int64 array (records, 2) of the offset and length of each content."""
    size = os.path.getsize(path)
    spans, at = [], 0
    # Only headers are read: a buffer would read much of what lies between.
    with open(path, "rb", buffering=0) as file:
        while at < size:
            file.seek(at)
            header = file.read(HEADER)
            if len(header) == HEADER:
                (length,) = struct.unpack("<Q", header[:8])
            if len(header) < HEADER or at + HEADER + length + FOOTER > size:
                raise ValueError(
                    f"{path} is cut short or no TFRecord file: record "
                    f"{len(spans)} starts at byte {at} and ends beyond the "
                    f"file's {size} bytes. Delete it and prepare the data set "
                    "again."
                )
            spans.append((at + HEADER, length))
            at += HEADER + length + FOOTER
    return np.array(spans, np.int64).reshape(-1, 2)
