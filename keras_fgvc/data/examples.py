"""Images of one split with their labels and boxes."""

import dataclasses
import functools

import numpy as np

from keras_fgvc._checks import check_labels
from keras_fgvc.data.sources.arrays import ArraySource
from keras_fgvc.data.sources.files import FileSource
from keras_fgvc.data.sources.records import Records, RecordSource
from keras_fgvc.data.sources.source import ImageSource

SOURCES = {"paths": FileSource, "images": ArraySource, "records": RecordSource}


@dataclasses.dataclass(frozen=True)
class Examples:
    """Images of one split: files, pixels or records, one of the three.

    Args:
        labels: int32 array `(n,)`, from 0; or `(n, classes)` of 0 and 1, for
            images that may be of several classes at once.
        paths: Tuple of n file names, or None.
        images: uint8 array `(n, height, width, 3)`, or None.
        boxes: float32 array `(n, 4)`, or `(n, parts, 4)` for several boxes
            an image, `[y_min, x_min, y_max, x_max]` normalised to 0..1 of
            the image, or None.
        records: `Records` of n encoded images within larger files, or None.

    Raises:
        ValueError: Not exactly one of `paths`, `images` and `records` is
            given, or the lengths differ.
    """

    labels: np.ndarray
    paths: tuple[str, ...] | None = None
    images: np.ndarray | None = None
    boxes: np.ndarray | None = None
    records: Records | None = None

    def __post_init__(self):
        given = [s for s in SOURCES if getattr(self, s) is not None]
        if len(given) != 1:
            raise ValueError(
                "Give one of `paths`, `images` and `records`. Received: "
                f"{' and '.join(given) or 'neither'}."
            )
        for name in (*given, "boxes"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.labels):
                raise ValueError(
                    f"`{name}` must have one entry a label. Received: "
                    f"{len(values)} {name} and {len(self.labels)} labels."
                )
        _ = self.source  # it is checked when it is made

    @functools.cached_property
    def source(self) -> ImageSource:
        """The images, read in the same way wherever they are kept."""
        (name,) = (s for s in SOURCES if getattr(self, s) is not None)
        return SOURCES[name](getattr(self, name))

    def __len__(self) -> int:
        return len(self.labels)

    def check_labels(self, num_classes: int) -> None:
        """Raises if a label lies outside 0..num_classes-1.

        Of several labels an image, each must be 0 or 1, one for each class.
        """
        if np.ndim(self.labels) == 1:
            check_labels(self.labels, num_classes)
            return
        _, given = np.shape(self.labels)
        if given != num_classes or not np.isin(self.labels, (0, 1)).all():
            raise ValueError(
                "`labels` must be (n,) class numbers, or (n, classes) of 0 "
                f"and 1. Received: {given} columns for {num_classes} classes, "
                f"values {np.min(self.labels)} to {np.max(self.labels)}."
            )

    def take(self, indices) -> "Examples":
        """The examples at `indices` (an integer array), in this order."""
        return Examples(
            labels=self.labels[indices],
            boxes=None if self.boxes is None else self.boxes[indices],
            **vars(self.source.take(indices)),
        )
