"""What a trained model is worth on a split: accuracy and localisation."""

import dataclasses

import keras
import numpy as np

from keras_fgvc import ops
from keras_fgvc.metrics import MaxBoxAccuracy

WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)
# Outputs that are maps of the whole image, high on the object.
HEATMAPS = ("mean_activation", "heatmap")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one split; shares from 0 to 1.

    Args:
        images: Number of images.
        top1, top5: Share of images whose label is the first, or among the
            first five, by probability.
        per_class: Share of right images of each class, by class name; `nan`
            for a class without images.
        localization: Share of images with a box that overlaps the true one by
            an IoU of 0.5 or more, by the output it comes from: the model's
            own `"boxes"`, or the tight box of `"heatmap"` or of
            `"mean_activation"`. Empty without true boxes.
    """

    images: int
    top1: float
    top5: float
    per_class: dict
    localization: dict

    def __str__(self):
        parts = [
            f"{self.images} images",
            f"top-1 {100 * self.top1:.2f} %",
            f"top-5 {100 * self.top5:.2f} %",
        ]
        parts += [
            f"IoU >= 0.5 by {name} {100 * share:.1f} %"
            for name, share in self.localization.items()
        ]
        return ", ".join(parts)


def evaluate(
    model,
    data,
    split: str = "test",
    *,
    image_size,
    batch_size: int = 32,
    threshold: float = 0.3,
) -> Evaluation:
    """Runs a model over a split and counts.

    Args:
        model: A `keras_fgvc.models` model.
        data: `keras_fgvc.data.LabeledImages`.
        split: Name of the split.
        image_size: Side, in pixels, that images are loaded at.
        batch_size: Images a step; the figures do not depend on it.
        threshold: For boxes from heat maps, see `ops.heatmap_to_box`.

    Returns:
        `Evaluation`.

    Raises:
        ValueError: If the data has no such split.
    """
    with_boxes = data.subset(split).boxes is not None
    batches = data.batches(
        split,
        image_size=image_size,
        batch_size=batch_size,
        with_boxes=with_boxes,
    )
    labels, ranks, overlaps = [], [], {}
    for images, targets in batches.as_numpy_iterator():
        outputs = model.predict_on_batch(images)
        truth = targets["label"] if with_boxes else targets
        labels.append(truth)
        ranks.append(_rank_of_label(outputs["probabilities"], truth))
        if with_boxes:
            for name, boxes in _object_boxes(outputs, threshold).items():
                overlap = _overlap(boxes, targets["box"])
                overlaps.setdefault(name, []).append(overlap)
    labels, ranks = np.concatenate(labels), np.concatenate(ranks)
    return Evaluation(
        images=len(labels),
        top1=float(np.mean(ranks < 1)),
        top5=float(np.mean(ranks < 5)),
        per_class=_per_class(labels, ranks < 1, data.class_names),
        localization={
            name: float(np.mean(np.concatenate(values) >= 0.5))
            for name, values in overlaps.items()
        },
    )


def best_threshold(
    model,
    data,
    split: str = "validation",
    *,
    image_size,
    batch_size: int = 32,
    heatmap: str = "heatmap",
) -> float:
    """The heat-map threshold whose boxes overlap the true ones most often.

    Args:
        model: A `keras_fgvc.models` model.
        data: `keras_fgvc.data.LabeledImages` with boxes.
        split: Name of the split to choose on; not the one to report on.
        image_size: Side, in pixels, that images are loaded at.
        batch_size: Images a step.
        heatmap: Name of the output that is thresholded.

    Returns:
        The lowest threshold, a multiple of 0.05, with the most boxes of
        IoU 0.5 or more.

    Raises:
        ValueError: If the split is missing or its images have no boxes.
    """
    if data.subset(split).boxes is None:
        raise ValueError(
            f"{data.name} has no boxes to choose a threshold by. Give a data "
            "set with boxes, or set the threshold by hand."
        )
    metric = MaxBoxAccuracy(num_thresholds=20, iou_thresholds=(0.5,))
    batches = data.batches(
        split, image_size=image_size, batch_size=batch_size, with_boxes=True
    )
    for images, targets in batches.as_numpy_iterator():
        outputs = model.predict_on_batch(images)
        metric.update_state(targets, {"heatmap": outputs[heatmap]})
    return metric.best_threshold()


def _rank_of_label(probabilities, labels):
    """How many classes are more probable than the true one, `(batch,)`."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    return np.sum(probabilities > own, axis=1)


def _object_boxes(outputs, threshold):
    """Boxes `(batch, 4)` by the output they come from."""
    found, cropped = {}, False
    if "boxes" in outputs:
        boxes = outputs["boxes"][:, 0]
        cropped = not np.allclose(boxes, WHOLE_IMAGE)
        found["boxes"] = boxes
    for name in HEATMAPS:
        # Behind a crop the last feature map no longer shows the whole image.
        if name in outputs and not (cropped and name == "mean_activation"):
            normalized = ops.minmax_normalize(outputs[name])
            found[name] = ops.heatmap_to_box(normalized, threshold)
    return found


def _overlap(boxes, true_boxes):
    iou = ops.box_iou(
        keras.ops.convert_to_tensor(boxes)[:, None],
        keras.ops.convert_to_tensor(true_boxes)[:, None],
    )
    return keras.ops.convert_to_numpy(iou)[:, 0, 0]


def _per_class(labels, right, class_names):
    shares = {}
    for index, name in enumerate(class_names):
        own = right[labels == index]
        shares[name] = float(np.mean(own)) if own.size else float("nan")
    return shares
