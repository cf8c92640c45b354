"""One pass of a model over a split."""

import keras
import numpy as np

from keras_fgvc.evaluation.predictions import Predictions
from keras_fgvc.ops import heatmap_to_box, minmax_normalize

WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)
# Outputs that are maps of the whole image, high on the object.
HEATMAPS = ("mean_activation", "heatmap")
THRESHOLD = 0.3  # of a model that has none of its own
SECONDS = 1.0  # between two states of the bar


def predict(
    model,
    data,
    split: str = "test",
    *,
    image_size,
    batch_size: int = 32,
    threshold: float | None = None,
    on_batch=None,
    verbose=0,
) -> Predictions:
    """Runs a model over a split, once, and keeps what is needed to judge it.

    Args:
        model: A `keras_fgvc.models` model, or any that gives a dict with
            `"probabilities"` or the probabilities alone.
        data: `keras_fgvc.data.LabeledImages`.
        split: Name of the split.
        image_size: Side, in pixels, that images are loaded at.
        batch_size: Images a step; the answers do not depend on it.
        threshold: For boxes from heat maps, see `ops.heatmap_to_box`.
            Defaults to the model's own `threshold`, or else 0.3.
        on_batch: Function of the images and the model's outputs of each
            batch, to keep what else is wanted without a second pass.
        verbose: 0 (default) is silent; 1 or `"auto"` shows a progress bar.

    Returns:
        `Predictions`. Its boxes are the model's own `"boxes"` and the tight
        boxes of `"heatmap"` and `"mean_activation"`, where the model has
        these outputs; the last is left out if the model cut a crop of any
        image, since the map then no longer shows the whole image.

    Raises:
        ValueError: If the data has no such split or no image in it, or the
            model's answers are no probabilities.
    """
    examples = data.subset(split)
    if not len(examples):
        raise ValueError(f"{data.name} has no image in its split {split!r}.")
    if threshold is None:
        threshold = getattr(model, "threshold", THRESHOLD)
    batches = data.batches(split, image_size=image_size, batch_size=batch_size)
    bar = keras.utils.Progbar(
        len(batches),
        verbose=int(verbose == "auto" or verbose),
        interval=SECONDS,
    )
    labels, found = [], {}
    for number, (images, truth) in enumerate(batches.as_numpy_iterator(), 1):
        outputs = model.predict_on_batch(images)
        if on_batch is not None:
            on_batch(images, outputs)
        labels.append(truth)
        for name, values in _kept(outputs, threshold).items():
            found.setdefault(name, []).append(values)
        bar.update(number)
    found = {name: np.concatenate(values) for name, values in found.items()}
    return Predictions(
        labels=np.concatenate(labels),
        probabilities=found.pop("probabilities"),
        class_names=data.class_names,
        boxes=_without_map_of_crops(found),
        true_boxes=examples.boxes,
        image_digest=examples.source.identity(),
    )


def _kept(outputs, threshold):
    """The probabilities, and the box `(batch, 4)` by each output."""
    if not isinstance(outputs, dict):
        return {"probabilities": outputs}
    kept = {"probabilities": outputs["probabilities"]}
    if "boxes" in outputs:
        kept["boxes"] = outputs["boxes"][:, 0]
    for name in HEATMAPS:
        if name in outputs:
            normalized = minmax_normalize(outputs[name])
            boxes = heatmap_to_box(normalized, threshold)
            kept[name] = keras.ops.convert_to_numpy(boxes)
    return kept


def _without_map_of_crops(boxes):
    """Behind a crop the last feature map no longer shows the whole image."""
    if "boxes" in boxes and not np.allclose(boxes["boxes"], WHOLE_IMAGE):
        boxes.pop("mean_activation", None)
    return boxes
