"""Reads labels and boxes out of the records of TensorFlow Datasets.

Of each record the place of its encoded image, its label and its box are looked
up; the pixels themselves are not read.
"""

import dataclasses
import mmap
import os

import numpy as np

from keras_fgvc.data.builders import serialized
from keras_fgvc.data.sources.records import IMAGE, Records, scan
from keras_fgvc.data.sources.source import digests_of_alike, file_keys
from keras_fgvc.decoding.exif import (
    FIRST_TRANSPOSED,
    MIRRORED_COLUMNS,
    MIRRORED_ROWS,
)
from keras_fgvc.decoding.headers import orientation

LONG = 50_000  # More records than this take a while.


@dataclasses.dataclass(frozen=True)
class Features:
    """Names the features of a record: the image, its label and its box.

    Args:
        label: Name of the feature with the number of the class; or a tuple
            of names of features that are 0 or 1, for several labels an image.
        box: Name of the feature with its box, or with several: the largest
            one is taken. None for no boxes.
        filename: Name of the feature with the image's file name, whose
            folder names the class; None if the builder names the classes.
    """

    label: str | tuple[str, ...] = "label"
    box: str | None = None
    filename: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the features with labels, of one or of several."""
        return (self.label,) if isinstance(self.label, str) else self.label


@dataclasses.dataclass(frozen=True)
class Indexed:
    """One split: where its images lie, labels, boxes, folders of classes.

    Args:
        records: `Records`.
        labels: int64 array `(n,)`, or `(n, labels)` for several an image.
        boxes: float32 array `(n, 4)` of the upright image, as they are
            stored, all zeros where there is none; or None.
        folders: Dictionary from labels to the name of their folder.
        places: int64 array `(n, 2)`, the first byte of each encoded image in
            its file and the number of its bytes; None out of an index.
        digests: Dictionary from the number of an image to the digest of its
            content, for the images that are copies of others in any split.
    """

    records: Records
    labels: np.ndarray
    boxes: np.ndarray | None
    folders: dict[int, str]
    places: np.ndarray | None = None
    digests: dict[int, str] = dataclasses.field(default_factory=dict)


def look_up(files, features: Features) -> Indexed:
    """Looks up the records of one split, one after another.

    Args:
        files: TFRecord files.
        features: `Features`.

    Raises:
        ValueError: A file is cut short, or a record lacks a feature.
    """
    records = scan(files)
    count = len(records)
    if count > LONG:
        print(f"Looking up {count} records of {os.path.dirname(files[0])}")
    several = isinstance(features.label, tuple)
    shape = (count, len(features.label)) if several else count
    labels = np.zeros(shape, np.int64)
    boxes = np.zeros((count, 4), np.float32) if features.box else None
    folders, places = {}, np.zeros((count, 2), np.int64)
    for i, buffer in _with_buffers(records):
        row = _Row(buffer, records, i, features)
        places[i] = row.image
        labels[i] = row.labels if several else row.labels[0]
        if boxes is not None:
            boxes[i] = row.box()
        if features.filename and row.labels[0] not in folders:
            folders[row.labels[0]] = row.folder()
    return Indexed(records, labels, boxes, folders, places)


def with_digests(found: dict[str, Indexed]) -> dict[str, Indexed]:
    """Returns what `look_up` found in all splits, with the copies known."""
    places = [
        (each.records.files[file], *map(int, place))
        for each in found.values()
        for file, place in zip(
            each.records.file_index, each.places, strict=True
        )
    ]
    digests = iter(digests_of_alike(len(places), *file_keys(places)))
    return {
        split: dataclasses.replace(
            each,
            digests={
                number: digest
                for number in range(len(each.labels))
                if (digest := next(digests)) is not None
            },
        )
        for split, each in found.items()
    }


def largest_box(boxes) -> np.ndarray:
    """The largest of boxes `(n, 4)`, the first of equals; zeros if none."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    if not len(boxes):
        return np.zeros(4, np.float32)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return boxes[sides.prod(axis=1).argmax()]


def turn_box(box, code: int) -> np.ndarray:
    """A box of the pixels as stored -> of the upright image.

    Annotators and their tools looked at the pixels as stored; the pipeline
    obeys the EXIF orientation `code`, 1 to 8, of a photograph.
    """
    y_min, x_min, y_max, x_max = box
    if code >= FIRST_TRANSPOSED:
        y_min, x_min, y_max, x_max = x_min, y_min, x_max, y_max
    if code in MIRRORED_ROWS:
        y_min, y_max = 1 - y_max, 1 - y_min
    if code in MIRRORED_COLUMNS:
        x_min, x_max = 1 - x_max, 1 - x_min
    return np.array([y_min, x_min, y_max, x_max], np.float32)


def _with_buffers(records):
    """Yields each record's number and its file in memory, one at a time.

    A thousand files at once would be more than a process may open.
    """
    ends = np.searchsorted(
        records.file_index, range(len(records.files)), "right"
    )
    start = 0
    for path, end in zip(records.files, ends, strict=True):
        if start == end:  # An empty file cannot be mapped.
            continue
        with (
            open(path, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer,
        ):
            for number in range(start, end):
                yield number, buffer
        start = end


class _Row:
    """One record of a file in memory, its image and label found."""

    def __init__(self, buffer, records, index, features):
        self._buffer = buffer
        self._features = features
        start = int(records.offsets[index])
        stop = start + int(records.lengths[index])
        path = records.files[records.file_index[index]]
        names = (IMAGE, *features.labels, features.box, features.filename)
        wanted = {name.encode() for name in names if name}
        try:
            self._found = serialized.find_features(buffer, start, stop, wanted)
            self.image = serialized.bytes_span(buffer, self._get(IMAGE))
            self.labels = [self._integer(name) for name in features.labels]
        except ValueError as error:
            raise ValueError(
                f"{path}, byte {start}: {error}. Expected the features "
                f'"{IMAGE}" and "{features.labels[0]}". Delete the folder and '
                "prepare the data set again."
            ) from error

    def box(self) -> np.ndarray:
        name = self._features.box.encode()
        if name not in self._found:
            return np.zeros(4, np.float32)
        box = largest_box(serialized.floats(self._buffer, self._found[name]))
        from PIL.ContainerIO import ContainerIO

        # A view: of the image only its header is read.
        return turn_box(
            box, orientation(ContainerIO(self._buffer, *self.image))
        )

    def folder(self) -> str:
        name = self._get(self._features.filename)
        first, length = serialized.bytes_span(self._buffer, name)
        path = bytes(self._buffer[first : first + length]).decode()
        return os.path.basename(os.path.dirname(path))

    def _integer(self, name) -> int:
        (value,) = serialized.integers(self._buffer, self._get(name))
        return value

    def _get(self, name):
        if name.encode() not in self._found:
            raise ValueError(f'it has no feature "{name}"')
        return self._found[name.encode()]
