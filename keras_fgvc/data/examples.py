"""The images of one split, with their labels and boxes."""

import dataclasses

import numpy as np

from keras_fgvc._checks import check_labels
from keras_fgvc.data.records import Records

SOURCES = ("paths", "images", "records")


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
        for name in (*SOURCES, "boxes"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.labels):
                raise ValueError(
                    f"`{name}` must have one entry a label. Received: "
                    f"{len(values)} {name} and {len(self.labels)} labels."
                )
        if self.images is not None:
            _check_images(self.images)

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
        paths = self.paths and tuple(self.paths[i] for i in indices)
        return Examples(
            labels=self.labels[indices],
            paths=paths,
            images=None if self.images is None else self.images[indices],
            boxes=None if self.boxes is None else self.boxes[indices],
            records=self.records and self.records.take(indices),
        )


def _check_images(images) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            "`images` must be a uint8 array (n, height, width, 3). "
            f"Received: {images.dtype} of shape {images.shape}."
        )
