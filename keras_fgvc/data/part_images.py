"""Labelled images together with the boxes of each image's parts."""

import dataclasses
import hashlib

import numpy as np

from keras_fgvc._checks import check_choice
from keras_fgvc._renamed import takes_old_names
from keras_fgvc.data.dataset import LabeledImages
from keras_fgvc.data.pipeline.batches import make_batches
from keras_fgvc.data.pipeline.shares import Share
from keras_fgvc.data.sources.source import add_array, add_json, fingerprint
from keras_fgvc.decoding.resizing import SQUASH

BOXES_OF = ("stored", "resized")


class PartImages:
    """A data set whose inputs are an image and the boxes of its parts.

    For models that look at given parts, such as those that a localiser found
    in an earlier stage. Image and boxes go through the same augmentation.

    Has what a stage of training asks of a data set: `name`, `class_names`,
    `split_sizes` and `batches`.

    Args:
        images: `LabeledImages`. Boxes of its own are not used.
        boxes: Dictionary from the name of a split to a float32 array
            `(n, parts, 4)`, `[y_min, x_min, y_max, x_max]` normalised to
            0..1 of the image, in the order of the images. Splits that are
            not in it are left out. All zeros mark a part that is not there.
        boxes_of: `"stored"` (default) for boxes of the images as they are
            stored, such as those that people drew; `"resized"` for boxes of
            what `images.batches` yields, such as those that a model found.
            They differ where `images.resize` is `"crop"` or `"pad"`.

    Attributes:
        split_sizes: Dictionary from the name of a split to its size.
        fingerprint: Text that changes with the images and the boxes.

    Raises:
        ValueError: `boxes` names a split that `images` has not, or is not of
            the shape above with the same number of parts everywhere;
            `boxes_of` is neither of the two.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.data import Examples, LabeledImages, PartImages

    examples = Examples(
        labels=np.array([0, 1, 1], "int32"),
        images=np.zeros((3, 32, 32, 3), "uint8"),
    )
    images = LabeledImages("three", ("cat", "dog"), {"train": examples})
    heads_and_tails = np.tile(
        np.float32([[0.0, 0.1, 0.4, 0.5], [0.5, 0.7, 0.9, 1.0]]), (3, 1, 1)
    )
    data = PartImages(images, {"train": heads_and_tails})
    inputs, labels = next(
        iter(data.batches("train", load_size=32, batch_size=2))
    )
    assert inputs["image"].shape == (2, 32, 32, 3)
    assert inputs["boxes"].shape == (2, 2, 4)
    ```
    """

    def __init__(
        self, images: LabeledImages, boxes: dict, *, boxes_of: str = "stored"
    ):
        check_choice("boxes_of", boxes_of, BOXES_OF)
        self.images = images
        self.boxes_of = boxes_of
        self.boxes = {
            split: np.asarray(values, np.float32)
            for split, values in boxes.items()
        }
        self._check_boxes()
        self.name = images.name
        self.class_names = images.class_names
        self.split_sizes = {s: len(values) for s, values in self.boxes.items()}

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(fingerprint(self.images).encode())
        for split, values in self.boxes.items():
            digest.update(split.encode())
            add_array(digest, values)
        if self.boxes_of != BOXES_OF[0]:
            add_json(digest, self.boxes_of)
        return digest.hexdigest()

    def labels(self, split: str) -> np.ndarray:
        """The labels of one split, int32 `(n,)`."""
        check_choice("split", split, tuple(self.boxes))
        return np.asarray(self.images.subset(split).labels, np.int32)

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
        epochs=None,
        drop_remainder: bool | None = None,
        share: Share | None = None,
    ):
        """Batches as of `LabeledImages.batches`, which tells the arguments.

        Returns:
            `tf.data.Dataset` of known length with elements (inputs, labels):
            the dictionary of `"image"`, uint8 `(batch, height, width, 3)`,
            and `"boxes"`, float32 `(batch, parts, 4)`; and int32 `(batch,)`.
            A box that the augmentation cuts away becomes all zeros.

        Raises:
            ValueError: As `LabeledImages.batches`.
        """
        check_choice("split", split, tuple(self.boxes))
        examples = dataclasses.replace(
            self.images.subset(split), boxes=self.boxes[split]
        )
        batches = make_batches(
            examples,
            load_size=load_size,
            batch_size=batch_size,
            training=training,
            seed=seed,
            augmentation=augmentation,
            with_boxes=True,
            resize=self.images.resize or SQUASH,
            boxes_are_resized=self.boxes_of == "resized",
            epochs=epochs,
            drop_remainder=drop_remainder,
            share=share,
        )
        return batches.map(
            lambda image, target: (
                {"image": image, "boxes": target["box"]},
                target["label"],
            )
        )

    def _check_boxes(self) -> None:
        num_parts = set()
        for split, values in self.boxes.items():
            check_choice("boxes", split, tuple(self.images.splits))
            count = self.images.split_sizes[split]
            if values.ndim != 3 or values.shape[::2] != (count, 4):
                raise ValueError(
                    f"`boxes` of {split!r} must have the shape ({count}, "
                    f"parts, 4). Received: shape {values.shape}."
                )
            num_parts.add(values.shape[1])
        if len(num_parts) != 1 or 0 in num_parts:
            raise ValueError(
                "`boxes` must have the same number of parts in every split, "
                f"one at least. Received: {sorted(num_parts)} parts. Fill up "
                "with boxes of zeros."
            )
