"""Boxes that are the same for all images: the control of a localisation."""

import keras
import numpy as np

from keras_fgvc._checks import check_in_range, check_shape
from keras_fgvc.ops import box_iou

# Heights and widths of the centred boxes that are tried, as shares of the
# image's sides.
SHARES = np.round(np.arange(0.3, 1.01, 0.05), 2)


def best_centered_box(true_boxes, *, iou_threshold: float = 0.5):
    """Finds the centred box that overlaps most of the given boxes.

    Objects lie in the middle of most photographs, so that a box which never
    looks at an image finds many of them: what a model finds beyond it is the
    model's own. Heights and widths from 0.3 to 1 of the image's sides are
    tried, in steps of 0.05.

    Args:
        true_boxes: `(n, 4)`, `[y_min, x_min, y_max, x_max]` in 0..1,
            not of the images to report on. A row of NaN is an image without
            a box and does not count.
        iou_threshold: Overlap from which on an object counts as found, 0 to
            1. Defaults to 0.5.

    Returns:
        Box `(4,)`, float32; of several that find as many, the one of the
        largest mean overlap.

    Raises:
        ValueError: If an argument is not as described, or no image has a
            box.

    Example:

    ```python
    from keras_fgvc.evaluation import best_centered_box

    best_centered_box([[0.1, 0.2, 0.9, 0.8], [0.0, 0.2, 0.8, 0.8]])
    # [0.1, 0.2, 0.9, 0.8]
    ```
    """
    check_in_range("iou_threshold", iou_threshold, 0.0, 1.0)
    known = _known(true_boxes)
    heights, widths = np.meshgrid(SHARES, SHARES, indexing="ij")
    half = np.stack([heights, widths], axis=-1).reshape(-1, 2) / 2
    tried = np.concatenate([0.5 - half, 0.5 + half], axis=-1)
    tried = tried.astype(np.float32)

    def quality(box):
        overlaps = _overlaps(known, box)
        return np.mean(overlaps >= iou_threshold), np.mean(overlaps)

    return max(tried, key=quality)


def constant_boxes(images) -> dict:
    """Makes the boxes that a data set's own boxes suggest for every image.

    Args:
        images: `keras_fgvc.data.LabeledImages`.

    Returns:
        Dict from a name to a box `(4,)` of the stored images: the best
        centred box of the validation images (without their boxes: of the
        training images) and the mean box of the training images. The names
        say which images were used. Empty where neither has boxes.
    """
    known = {
        name: examples.boxes
        for name, examples in images.splits.items()
        if name in ("validation", "train") and _has_boxes(examples.boxes)
    }
    found = {}
    if known:
        split = "validation" if "validation" in known else "train"
        box = best_centered_box(known[split])
        found[f"fixed centred box ({split})"] = box
    if "train" in known:
        mean = _known(known["train"]).mean(axis=0, dtype=np.float64)
        found["fixed mean box (train)"] = mean.astype(np.float32)
    return found


def _has_boxes(boxes):
    """Tells whether there is one box per image, and an image has one."""
    return np.ndim(boxes) == 2 and np.isfinite(boxes).all(axis=1).any()


def _known(boxes):
    boxes = np.asarray(boxes, np.float32)
    check_shape("true_boxes", boxes.shape, (None, 4), "(images, 4)")
    known = boxes[np.isfinite(boxes).all(axis=1)]
    if not len(known):
        raise ValueError(
            "`true_boxes` must hold a box of at least one image. Received: "
            f"{len(boxes)} rows, none of them finite."
        )
    return known


def _overlaps(boxes, box):
    overlaps = box_iou(boxes[None], box[None, None])
    return keras.ops.convert_to_numpy(overlaps)[0, :, 0]
