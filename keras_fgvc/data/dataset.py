"""Images of one split with their labels, and a data set of several splits."""

import dataclasses
import functools
import hashlib

import numpy as np

from keras_fgvc._checks import check_choice, check_class_names, check_labels
from keras_fgvc._renamed import takes_old_names
from keras_fgvc.data.pipeline.batches import make_batches
from keras_fgvc.data.pipeline.shares import Share
from keras_fgvc.data.sources.arrays import ArraySource, read_into_memory
from keras_fgvc.data.sources.files import FileSource
from keras_fgvc.data.sources.records import Records, RecordSource
from keras_fgvc.data.sources.report import Report
from keras_fgvc.data.sources.source import ImageSource, add_array, add_json

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
            the image, or None. A row of NaN is an image without a box.
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
        """Raises if a label lies outside 0..num_classes-1, or 0..1 of many."""
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


@dataclasses.dataclass(frozen=True)
class LabeledImages:
    """One data set: its classes and its splits.

    What `open_dataset` and `cluttered_digits` return. Build one yourself
    to bring images from elsewhere.

    Args:
        name: Name of the data set.
        class_names: Tuple of names; label i belongs to name i.
        splits: Dictionary from "train", "validation", "test" to `Examples`.
        source: Where the images come from.
        licence: What one may do with them.
        report: `Report` of what was left out or noticed while opening.
        opened_by: Arguments of `open_dataset` that open it again; empty for
            what was not opened so.

    Attributes:
        num_classes: Number of classes.
        is_multi_label: Whether an image may be of several classes at once;
            labels are then `(n, classes)` of 0 and 1. The methods of this
            package train on images of one class.
        split_sizes: Dictionary from the name of a split to its size.

    Raises:
        ValueError: A label lies outside 0..classes-1, or a name is empty,
            repeated or holds control characters.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.data import Examples, LabeledImages

    examples = Examples(
        labels=np.array([0, 1, 1], "int32"),
        images=np.zeros((3, 32, 32, 3), "uint8"),
    )
    data = LabeledImages("three", ("cat", "dog"), {"train": examples})
    print(data.summary())
    batches = data.batches("train", load_size=32, batch_size=2)
    ```
    """

    name: str
    class_names: tuple[str, ...]
    splits: dict[str, Examples]
    source: str = ""
    licence: str = ""
    report: Report = dataclasses.field(default_factory=Report)
    opened_by: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        check_class_names(self.class_names)
        for examples in self.splits.values():
            examples.check_labels(len(self.class_names))

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def is_multi_label(self) -> bool:
        return any(np.ndim(s.labels) == 2 for s in self.splits.values())

    @property
    def split_sizes(self) -> dict[str, int]:
        return {name: len(split) for name, split in self.splits.items()}

    @property
    def fingerprint(self) -> str:
        """A text that changes with classes, labels and images."""
        digest = hashlib.sha256()
        add_json(digest, self.class_names)
        for split, examples in self.splits.items():
            add_json(digest, split)
            add_array(digest, np.asarray(examples.labels, "<i8"))
            examples.source.add_facts(digest)
        return digest.hexdigest()

    def check_one_class_each(self) -> None:
        """Raises if images may be of several classes at once."""
        if self.is_multi_label:
            raise ValueError(
                "The methods train on images of one class each; those of "
                f"{self.name} have {self.num_classes} labels. Choose one of "
                'them, as in "celeb_a/Smiling", or give `batches` to a model '
                "of your own."
            )

    def subset(self, split: str) -> Examples:
        """The paths (or images or records), labels and boxes of one split.

        Raises:
            ValueError: There is no such split; the message lists them.
        """
        check_choice("split", split, tuple(self.splits))
        return self.splits[split]

    @takes_old_names(image_size="load_size")
    def batches(
        self,
        split: str,
        *,
        load_size,
        batch_size: int,
        training: bool = False,
        seed: int = 0,
        augmentation=None,
        with_boxes: bool = False,
        epochs=None,
        drop_remainder: bool | None = None,
        share: Share | None = None,
    ):
        """Reads, resizes and batches one split with tf.data.

        With `training=False` each iteration yields the images in their
        order, unchanged but for the size. With `training=True` they are
        shuffled and augmented. Order and augmentation of an epoch e depend
        only on `seed`, e and the image, so `epochs=range(3, 10)` yields what
        the last seven epochs of `epochs=range(10)` yield: training goes on
        after an interruption as if there had been none.

        Args:
            split: Name of the split.
            load_size: Side length or pair (height, width), in pixels.
            batch_size: Number of images in a batch.
            training: Whether to shuffle and augment. Default False.
            seed: Integer from 0, of the order and the augmentation.
            augmentation: `Augmentation` or None; used in training only.
            with_boxes: Whether targets are `{"label", "box"}`, with the box
                `[y_min, x_min, y_max, x_max]` in 0..1. Default False.
            epochs: Training only. A range of epochs, run through one after
                another; or None for one epoch an iteration, each iteration
                a new one (which one also depends on Keras's global seed).
            drop_remainder: Whether to leave out the last, smaller batch of
                each epoch. Default: as `training`.
            share: `Share` of one worker in a training on many devices: the
                elements are the parts of batches that it feeds to its
                replicas. Default: all of each batch.

        Returns:
            `tf.data.Dataset` of known length with elements (images, labels):
            uint8 `(batch, height, width, 3)`, raw pixels 0..255, and int32
            `(batch,)`, or `(batch, classes)` where an image has several. With
            boxes the dictionary with also float32 `(batch, 4)`.

        Raises:
            ValueError: An unknown split; boxes asked for where there are
                none; fewer images than one batch; `epochs` outside training; a
                batch that cannot be shared out.
        """
        return make_batches(
            self.subset(split),
            load_size=load_size,
            batch_size=batch_size,
            training=training,
            seed=seed,
            augmentation=augmentation,
            with_boxes=with_boxes,
            epochs=epochs,
            drop_remainder=drop_remainder,
            share=share,
        )

    @takes_old_names(image_size="load_size")
    def in_memory(self, load_size) -> "LabeledImages":
        """The same data set, decoded and resized once and kept in memory.

        Augmentation then starts from these pixels: keep them larger than the
        crops are to be.

        Args:
            load_size: Side length or pair (height, width), in pixels.

        Raises:
            MemoryError: They take more than what is free.

        Example:

        ```python
        from keras_fgvc.data import open_dataset

        digits = open_dataset("cluttered_digits").in_memory(32)
        print(digits.subset("test").images.shape)  # (2000, 32, 32, 3)
        ```
        """
        return read_into_memory(self, load_size)

    def summary(self) -> str:
        """A small table: splits, classes, source, what was left out."""
        lines = [f"{self.name}: {len(self.class_names)} classes"]
        for name, examples in self.splits.items():
            boxes = _count_boxes(examples.boxes)
            lines.append(f"  {name:<10} {len(examples):>7} images{boxes}")
        if self.source:
            lines.append(f"  source     {self.source}")
        if self.licence:
            lines.append(f"  licence    {self.licence}")
        return "\n".join(lines + self.report.lines())


def _count_boxes(boxes) -> str:
    if boxes is None:
        return ""
    missing = np.isnan(boxes).any(axis=tuple(range(1, boxes.ndim))).sum()
    return ", with boxes" + (f" but {missing}" if missing else "")
