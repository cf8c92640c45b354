"""Keeps the answers of a model on a split, to be judged later."""

import dataclasses
import pathlib

import keras
import numpy as np

from keras_fgvc._checks import (
    check_finite_answers,
    check_labels,
    check_shape,
)
from keras_fgvc._files import damaged, move_into_place, reading
from keras_fgvc.data.sources.source import are_others
from keras_fgvc.ops import box_iou

# Rows of probabilities may sum to 1 within this: the rounding of half
# precision, even over thousands of classes. Logits are far outside.
SUM_TOLERANCE = 1e-2
REQUIRED = ("labels", "probabilities", "class_names", "image_digest")
REMEDY = "Delete it and predict again."
# In front of names in the file: of an output, of a constant box.
BOXES, CONSTANT_BOXES = "boxes/", "constant_boxes/"


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """A model's answers on one split, beside the truth.

    What `predict` returns; `evaluate_predictions`, `compare` and confusion
    matrices need nothing else.

    Args:
        labels: `(n,)` integers from 0.
        probabilities: `(n, classes)`, each row from 0 to 1 and of sum 1.
        class_names: Tuple of names; label i belongs to name i.
        boxes: Dict from the name of an output to `(n, 4)`, the box of each
            image that it gives, `[y_min, x_min, y_max, x_max]` in 0..1.
        true_boxes: `(n, 4)` or None. A row of NaN is an image without a box.
        image_digest: Text that tells these images from others: their kind, a
            space, and a digest. Only those of one kind are compared, as the
            same photographs may be files here and pixels there. "" if
            unknown.
        constant_boxes: Dict from a name to `(4,)`, a box that is the same for
            all images, see the function `constant_boxes`.

    Attributes:
        ranks: `(n,)` integers, how many other classes are at least as
            probable as the true one. 0 is a right answer. Ties count
            against the model: one that finds all classes equally probable
            knows nothing, and has no image right.

    Raises:
        ValueError: The arrays do not fit each other, a label lies outside
            0..classes-1, or a row is not made of probabilities.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.evaluation import Predictions, evaluate_predictions

    found = Predictions(
        labels=np.array([0, 1, 1]),
        probabilities=np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]),
        class_names=("cat", "dog"),
    )
    found.save("predictions.npz")
    result = evaluate_predictions(Predictions.load("predictions.npz"))
    assert round(result.top1, 3) == 0.667
    ```
    """

    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    boxes: dict = dataclasses.field(default_factory=dict)
    true_boxes: np.ndarray | None = None
    image_digest: str = ""
    constant_boxes: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self._set("labels", np.asarray(self.labels, np.int32))
        self._set("probabilities", np.asarray(self.probabilities, np.float32))
        self._set("class_names", tuple(self.class_names))
        self._set("boxes", {n: _as_boxes(b) for n, b in self.boxes.items()})
        constant = {n: _as_boxes(b) for n, b in self.constant_boxes.items()}
        self._set("constant_boxes", constant)
        if self.true_boxes is not None:
            self._set("true_boxes", _as_boxes(self.true_boxes))
        self._check()

    def _set(self, name, value):
        object.__setattr__(self, name, value)

    def _check(self):
        if self.labels.ndim != 1 or not len(self.labels):
            raise ValueError(
                "`labels` must be a vector of at least one label. Received: "
                f"shape {self.labels.shape}."
            )
        count, classes = len(self.labels), len(self.class_names)
        if len(set(self.class_names)) < classes:
            raise ValueError(
                "`class_names` must differ from one another. Received: "
                f"class_names={self.class_names!r}."
            )
        layout = "(images, classes)"
        shape = self.probabilities.shape
        check_shape("probabilities", shape, (count, classes), layout)
        check_labels(self.labels, classes)
        _check_probabilities(self.probabilities)
        named = {f"boxes[{n!r}]": boxes for n, boxes in self.boxes.items()}
        if self.true_boxes is not None:
            named["true_boxes"] = self.true_boxes
        for name, boxes in named.items():
            check_shape(name, boxes.shape, (count, 4), "(images, 4)")
        for name, box in self.constant_boxes.items():
            check_shape(f"constant_boxes[{name!r}]", box.shape, (4,), "(4,)")
        for name, boxes in (self.boxes | self.constant_boxes).items():
            check_finite_answers(name, boxes)

    @property
    def ranks(self):
        own = np.take_along_axis(
            self.probabilities, self.labels[:, None], axis=1
        )
        return np.sum(self.probabilities >= own, axis=1) - 1

    def overlaps(self, output: str) -> np.ndarray:
        """IoU of an output's boxes with the true ones, `(n,)`.

        NaN for an image without a true box.

        Raises:
            ValueError: No such boxes, or no true ones.
        """
        if output not in self.boxes or self.true_boxes is None:
            raise ValueError(
                f"No overlaps of {output!r}: there are boxes by "
                f"{', '.join(self.boxes) or 'no output'}, and "
                f"{'no' if self.true_boxes is None else 'some'} true boxes."
            )
        pairs = (self.boxes[output][:, None], self.true_boxes[:, None])
        iou = box_iou(*map(keras.ops.convert_to_tensor, pairs))
        return keras.ops.convert_to_numpy(iou)[:, 0, 0]

    def difference_in_images(self, other: "Predictions") -> str:
        """Says why two predictions cannot be compared image by image.

        Returns:
            "" where both are of the same images of the same classes, else
            what differs, as the end of a sentence.
        """
        if self.class_names != other.class_names:
            return (
                f"other classes ({_some(self.class_names)} and "
                f"{_some(other.class_names)})"
            )
        if len(self.labels) != len(other.labels):
            return f"{len(self.labels)} and {len(other.labels)} images"
        differing = int(np.sum(self.labels != other.labels))
        if differing:
            return f"other labels at {differing} of {len(self.labels)} places"
        if are_others(self.image_digest, other.image_digest):
            return "other images with the same labels"
        return ""

    def save(self, path) -> None:
        """Writes an `.npz` file; it is there as a whole or not at all."""
        path = pathlib.Path(path)
        arrays = {
            "labels": self.labels,
            "probabilities": self.probabilities,
            "class_names": np.array(self.class_names, np.str_),
            "image_digest": np.array(self.image_digest),
        }
        for name, boxes in self.boxes.items():
            arrays[BOXES + name] = boxes
        for name, box in self.constant_boxes.items():
            arrays[CONSTANT_BOXES + name] = box
        if self.true_boxes is not None:
            arrays["true_boxes"] = self.true_boxes
        move_into_place(path, lambda p: _write(p, arrays))

    @classmethod
    def load(cls, path) -> "Predictions":
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds no predictions, or is damaged.
        """
        arrays = _read(path)
        with reading(path, REMEDY):
            return cls(
                labels=arrays["labels"],
                probabilities=arrays["probabilities"],
                class_names=tuple(map(str, arrays["class_names"])),
                boxes=_named(arrays, BOXES),
                constant_boxes=_named(arrays, CONSTANT_BOXES),
                true_boxes=arrays.get("true_boxes"),
                image_digest=str(arrays["image_digest"]),
            )


def _named(arrays, prefix):
    """Returns the arrays of a kind by their names without the prefix."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _as_boxes(boxes):
    return np.asarray(boxes, np.float32)


def _check_probabilities(rows):
    sums = rows.sum(axis=1, dtype=np.float64)
    wrong = ~(np.isfinite(rows) & (rows >= 0)).all(axis=1)
    wrong |= ~(np.abs(sums - 1) <= SUM_TOLERANCE)
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            "Each row of `probabilities` must be finite, from 0 to 1, and sum "
            f"to 1. Received: {int(wrong.sum())} of {len(rows)} rows that are "
            f"not, the first of image {first}: sum {sums[first]:.4g}, from "
            f"{rows[first].min():.4g} to {rows[first].max():.4g}. NaN is a "
            "training that diverged; logits need a softmax."
        )


def _some(names):
    return ", ".join(names[:2]) + f", ... {len(names)} in all"


def _write(path, arrays):
    with path.open("wb") as file:  # savez would change another ending
        np.savez_compressed(file, **arrays)


def _read(path):
    with (
        reading(path, REMEDY),
        open(path, "rb") as file,
        np.load(file) as archive,
    ):
        arrays = dict(archive)
    missing = [name for name in REQUIRED if name not in arrays]
    if missing:
        raise damaged(
            path,
            f"it holds no predictions: it lacks {', '.join(missing)}",
            "Give a file that `Predictions.save` wrote.",
        )
    return arrays
