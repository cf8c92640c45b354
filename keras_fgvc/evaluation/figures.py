"""The figures of one model on one split."""

import dataclasses
import math

import numpy as np

from keras_fgvc._files import without_nan
from keras_fgvc._renamed import takes_old_names
from keras_fgvc.evaluation.calibration import (
    calibration_error,
    negative_log_likelihood,
)
from keras_fgvc.evaluation.predicting import predict
from keras_fgvc.evaluation.predictions import Predictions

IOU_THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one split; shares from 0 to 1.

    Args:
        images: Number of images.
        top1, top5: Share of images whose label is the first, or among the
            first five, by probability. Ties count against the model.
        per_class: Share of right images of each class, by class name; `nan`
            for a class without images.
        localization: Share of images with a box that overlaps the true one by
            an IoU of 0.5 or more, by the name of the output that the box
            comes from; `predict` says which outputs count. Images without a
            true box do not count. Empty without true boxes.
        constant_localization: The same of boxes that are the same for all
            images, by the names of `constant_boxes`: what a box that never
            looks finds. Empty where `localization` is.
        mean_per_class: Mean of `per_class` over the classes with images.
        negative_log_likelihood: See the function of that name.
        calibration_error: See the function of that name; 15 bins of equal
            width, of the most probable class.
        equal_mass_calibration_error: The same with bins of equal mass.
        with_boxes: Number of images with a true box.
        macro_f1: Mean of the F1 scores of the classes, see `macro_f1`.
    """

    images: int
    top1: float
    top5: float
    per_class: dict
    localization: dict
    # Older files of figures have none of these.
    mean_per_class: float = math.nan
    negative_log_likelihood: float = math.nan
    calibration_error: float = math.nan
    equal_mass_calibration_error: float = math.nan
    with_boxes: int | None = None
    macro_f1: float = math.nan
    constant_localization: dict = dataclasses.field(default_factory=dict)

    def __str__(self):
        parts = [
            f"{self.images} images",
            f"top-1 {100 * self.top1:.2f} %",
            f"top-5 {100 * self.top5:.2f} %",
            f"mean per class {100 * self.mean_per_class:.2f} %",
            f"macro F1 {100 * self.macro_f1:.2f} %",
            f"negative log likelihood {self.negative_log_likelihood:.3f}",
            f"calibration error {100 * self.calibration_error:.1f} %",
        ]
        parts += [
            f"IoU >= 0.5 by {name} {100 * share:.1f} %"
            for name, share in self.all_localization.items()
        ]
        return ", ".join(part for part in parts if " nan" not in part)

    @property
    def all_localization(self) -> dict:
        """Returns `localization`, and then `constant_localization`."""
        return self.localization | self.constant_localization

    def as_dict(self) -> dict:
        """The figures for a JSON file, which has no `nan`: None instead."""
        return without_nan(dataclasses.asdict(self))


@takes_old_names(image_size="load_size")
def evaluate(
    model,
    data,
    split: str = "test",
    *,
    load_size,
    batch_size: int = 32,
    threshold: float | None = None,
    verbose=0,
) -> Evaluation:
    """Runs a model over a split and counts.

    To keep the answers themselves call `predict`, and `evaluate_predictions`
    on what it returns: this is both.

    Args:
        model: A `keras_fgvc.models` model.
        data: `keras_fgvc.data.LabeledImages`.
        split: Name of the split.
        load_size: Side, in pixels, that images are loaded at.
        batch_size: Images a step; the figures do not depend on it.
        threshold: For boxes from heat maps, see `ops.heatmap_to_box`.
            Defaults to the model's own `threshold`, or else 0.3.
        verbose: 0 (default) is silent; 1 or `"auto"` shows a progress bar.

    Returns:
        `Evaluation`.

    Raises:
        ValueError: If the data has no such split or no image in it, or the
            model's answers are no probabilities.
    """
    return evaluate_predictions(
        predict(
            model,
            data,
            split,
            load_size=load_size,
            batch_size=batch_size,
            threshold=threshold,
            verbose=verbose,
        )
    )


def evaluate_predictions(predictions: Predictions) -> Evaluation:
    """The figures of a model whose answers are at hand.

    Args:
        predictions: What `predict` returned or `Predictions.load` read.

    Returns:
        `Evaluation`.
    """
    ranks, labels = predictions.ranks, predictions.labels
    right = ranks < 1
    per_class = _per_class(labels, right, predictions.class_names)
    confidences = np.minimum(predictions.probabilities.max(axis=1), 1)
    return Evaluation(
        images=len(labels),
        top1=float(np.mean(right)),
        top5=float(np.mean(ranks < 5)),
        per_class=per_class,
        localization=_localization(predictions),
        constant_localization=_constant_localization(predictions),
        with_boxes=_with_boxes(predictions),
        mean_per_class=_mean_of_known(per_class.values()),
        macro_f1=macro_f1(labels, _named(predictions)),
        negative_log_likelihood=negative_log_likelihood(
            predictions.probabilities, labels
        ),
        calibration_error=calibration_error(confidences, right),
        equal_mass_calibration_error=calibration_error(
            confidences, right, bins="equal_mass"
        ),
    )


def macro_f1(labels, predicted) -> float:
    """Computes the mean of the F1 scores of the classes, for rare classes.

    Each class c counts alike, however many images it has:

        F1_c = 2 TP_c / (2 TP_c + FP_c + FN_c)

    with its right images TP_c, those wrongly called so FP_c and those called
    otherwise FN_c. A class without images that is never predicted does not
    count, as in scikit-learn's `f1_score(average="macro")`.

    Args:
        labels: `(n,)` integers from 0, the true classes.
        predicted: `(n,)` integers from 0, the predicted ones.

    Returns:
        Number from 0 to 1.

    Raises:
        ValueError: If the vectors do not fit each other or are empty.

    Example:

    ```python
    from keras_fgvc.evaluation import macro_f1

    # Of class 0: 2 right, 1 missed. Of class 1: 1 right, 1 too many.
    assert round(macro_f1([0, 0, 0, 1], [0, 0, 1, 1]), 4) == 0.7333
    ```
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if labels.ndim != 1 or labels.shape != predicted.shape or not labels.size:
        raise ValueError(
            "`labels` and `predicted` must be vectors of one length, not "
            f"empty. Received: shapes {labels.shape} and {predicted.shape}."
        )
    num_classes = int(max(labels.max(), predicted.max())) + 1
    right = np.bincount(labels[labels == predicted], minlength=num_classes)
    # 2 TP + FP + FN: the images of a class and those called so.
    counts = np.bincount(labels, minlength=num_classes)
    counts = counts + np.bincount(predicted, minlength=num_classes)
    there = counts > 0
    return float(np.mean(2 * right[there] / counts[there]))


def _named(predictions):
    """The class that each image is said to be; of a tie, a wrong one."""
    rows = np.array(predictions.probabilities, np.float64)
    labels = predictions.labels
    wrong = predictions.ranks >= 1
    rows[wrong, np.asarray(labels)[wrong]] = -1
    return rows.argmax(axis=1)


def _per_class(labels, right, class_names):
    shares = {}
    for index, name in enumerate(class_names):
        own = right[labels == index]
        shares[name] = float(np.mean(own)) if own.size else math.nan
    return shares


def _with_boxes(predictions):
    if predictions.true_boxes is None:
        return 0
    return int(np.isfinite(predictions.true_boxes).all(axis=1).sum())


def _localization(predictions):
    if predictions.true_boxes is None:
        return {}
    shares = {}
    for name in predictions.boxes:
        overlaps = predictions.overlaps(name)
        known = overlaps[np.isfinite(overlaps)]
        hits = known >= IOU_THRESHOLD
        shares[name] = float(np.mean(hits)) if hits.size else math.nan
    return shares


def _constant_localization(predictions):
    if not predictions.boxes:
        return {}
    constant, count = predictions.constant_boxes, len(predictions.labels)
    boxes = {n: np.tile(box, (count, 1)) for n, box in constant.items()}
    return _localization(dataclasses.replace(predictions, boxes=boxes))


def _mean_of_known(values):
    # Never empty: there is an image, so there is a class with images.
    return float(np.mean([v for v in values if not math.isnan(v)]))
