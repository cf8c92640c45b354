"""A data set of several splits."""

import dataclasses
import hashlib

import numpy as np

from keras_fgvc._checks import check_choice, check_class_names
from keras_fgvc._renamed import takes_old_names
from keras_fgvc.data.examples import Examples
from keras_fgvc.data.pipeline.batches import make_batches
from keras_fgvc.data.pipeline.shares import Share
from keras_fgvc.data.sources.arrays import pixel_digests, read_into_memory
from keras_fgvc.data.sources.report import Report, with_same_bytes
from keras_fgvc.data.sources.source import add_array, add_json
from keras_fgvc.decoding.resizing import SQUASH, check_resize


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
        resize: How `batches` brings images to one size: `"squash"`,
            `"crop"` or `"pad"`, see `resized`. Defaults to None, which
            squashes and leaves the choice to a recipe.

    Attributes:
        num_classes: Number of classes.
        is_multi_label: Whether an image may be of several classes at once;
            labels are then `(n, classes)` of 0 and 1. The methods of this
            package train on images of one class.
        split_sizes: Dictionary from the name of a split to its size.

    Raises:
        ValueError: A label lies outside 0..classes-1, a name is empty,
            repeated or holds control characters, or `resize` is none of the
            three.

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
    resize: str | None = None

    def __post_init__(self):
        check_class_names(self.class_names)
        check_resize(self.resize or SQUASH)
        for examples in self.splits.values():
            examples.check_labels(len(self.class_names))
        if not self.report.same_bytes:  # those of files may be known
            found = pixel_digests(self.splits)
            report = with_same_bytes(
                self.report, self.class_names, self.splits, found
            )
            object.__setattr__(self, "report", report)

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
        """A text that changes with classes, labels, images and `resize`."""
        digest = hashlib.sha256()
        add_json(digest, self.class_names)
        for split, examples in self.splits.items():
            add_json(digest, split)
            add_array(digest, np.asarray(examples.labels, "<i8"))
            examples.source.add_facts(digest)
        if self.resize not in (None, SQUASH):
            add_json(digest, {"resize": self.resize})
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

    def resized(self, resize: str) -> "LabeledImages":
        """The same data set with its images brought to one size in one way.

        Args:
            resize: `"squash"` changes the aspect ratio of an image, `"crop"`
                takes its largest central part of the aspect ratio that is
                asked for, and `"pad"` keeps all of it, centred on mid-grey.
                Boxes are moved in the same way; of a box that a crop cuts
                off the visible part remains, or zeros.

        Raises:
            ValueError: `resize` is none of the three, or the data set is
                resized in another way already.
        """
        check_resize(resize)
        if self.resize not in (None, resize):
            raise ValueError(
                f"{self.name} is resized by {self.resize!r} already. "
                f"Received: resize={resize!r}. Open the data set again, and "
                "resize it in one way everywhere."
            )
        return dataclasses.replace(self, resize=resize)

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
        with_frames: bool = False,
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
            with_frames: Whether targets also have `"frame"`, float32
                `(batch, 4)`: the box of the whole stored image in 0..1 of
                the resized one. Not for training. Default False.
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
            with_frames=with_frames,
            resize=self.resize or SQUASH,
            epochs=epochs,
            drop_remainder=drop_remainder,
            share=share,
        )

    @takes_old_names(image_size="load_size")
    def in_memory(self, load_size) -> "LabeledImages":
        """The same data set, decoded and resized once and kept in memory.

        Augmentation then starts from these pixels: keep them larger than the
        crops are to be. How they were resized is kept too: call `resized`
        before, not afterwards.

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
