"""One pass of a model over a split."""

import keras
import numpy as np

from keras_fgvc._renamed import takes_old_names
from keras_fgvc.decoding.resizing import SQUASH, from_frame
from keras_fgvc.evaluation.constant_boxes import constant_boxes
from keras_fgvc.evaluation.predictions import Predictions
from keras_fgvc.models.declaration import (
    check_meanings,
    declared,
    meanings_of,
    object_box,
)
from keras_fgvc.models.outputs import MapOf, ObjectBox
from keras_fgvc.ops import heatmap_to_box, minmax_normalize

WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)
THRESHOLD = 0.3  # of a model that has none of its own
SECONDS = 1.0  # between two states of the bar


@takes_old_names(image_size="load_size")
def predict(
    model,
    data,
    split: str = "test",
    *,
    load_size,
    batch_size: int = 32,
    threshold: float | None = None,
    on_batch=None,
    verbose=0,
) -> Predictions:
    """Runs a model over a split, once, and keeps what is needed to judge it.

    Args:
        model: A `keras_fgvc.models` model, or any that gives a dict with
            `"probabilities"` or the probabilities alone.
        data: `keras_fgvc.data.LabeledImages`. They are resized as
            `model.resize` says where `training.fit` has set it.
        split: Name of the split.
        load_size: Side, in pixels, that images are loaded at.
        batch_size: Images a step; the answers do not depend on it.
        threshold: For boxes from heat maps, see `ops.heatmap_to_box`.
            Defaults to the model's own `threshold`, or else 0.3.
        on_batch: Function of the images and the model's outputs of each
            batch, to keep what else is wanted without a second pass.
        verbose: 0 (default) is silent; 1 or `"auto"` shows a progress bar.

    Returns:
        `Predictions`. Its boxes are those of the outputs that the model
        declares as `ObjectBox`, and the tight boxes of those that it declares
        as `MapOf`, see `keras_fgvc.models.outputs`. A map of what the model
        cut out is omitted if the model cut a crop of any image, because the
        map then does not show the whole image. Boxes are those of the stored
        images, however `data` resizes them. What a crop cuts off a true box
        counts as not found. If the split has true boxes, the boxes of
        `constant_boxes` come beside them.

    Raises:
        ValueError: If the data has no such split or no image in it, or is
            resized in another way than in the model's training; if the
            model's answers are no probabilities, or its declaration does not
            fit its outputs.
    """
    data = resized_for(model, data)
    examples = data.subset(split)
    if not len(examples):
        raise ValueError(f"{data.name} has no image in its split {split!r}.")
    if threshold is None:
        threshold = getattr(model, "threshold", THRESHOLD)
    batches = _batches(data, split, load_size, batch_size)
    bar = keras.utils.Progbar(
        len(batches),
        verbose=int(verbose == "auto" or verbose),
        interval=SECONDS,
    )
    meanings, targets, found = meanings_of(model), [], {}
    for number, (images, truth) in enumerate(batches.as_numpy_iterator(), 1):
        outputs = model.predict_on_batch(images)
        if on_batch is not None:
            on_batch(images, outputs)
        targets.append(truth)
        for name, values in _kept(outputs, meanings, threshold).items():
            found.setdefault(name, []).append(values)
        bar.update(number)
    found = {name: np.concatenate(values) for name, values in found.items()}
    labels, frames = _labels_and_frames(targets)
    return Predictions(
        labels=labels,
        probabilities=found.pop("probabilities"),
        class_names=data.class_names,
        boxes=_of_stored(_without_maps_of_crops(found, meanings), frames),
        true_boxes=examples.boxes,
        constant_boxes={} if examples.boxes is None else constant_boxes(data),
        image_digest=examples.source.identity(),
    )


def resized_for(model, data):
    """The data set, resized as in the model's training where that is known."""
    way = getattr(model, "resize", None)
    if way is None or not hasattr(data, "resized"):
        return data
    return data.resized(way)


def _batches(data, split, load_size, batch_size):
    """Images with labels, and with frames unless they are squashed."""
    resize = getattr(data, "resize", None) or SQUASH
    frames = {} if resize == SQUASH else {"with_frames": True}
    sizes = {"load_size": load_size, "batch_size": batch_size}
    return data.batches(split, **sizes, **frames)


def _labels_and_frames(targets):
    """Joins the targets of all batches; the frames may be None."""
    if not isinstance(targets[0], dict):
        return np.concatenate(targets), None
    return (
        np.concatenate([target[name] for target in targets])
        for name in ("label", "frame")
    )


def _of_stored(boxes, frames):
    """Takes boxes of resized images to the images as they are stored."""
    if frames is None:
        return boxes
    return {
        name: from_frame(own, frames).numpy() for name, own in boxes.items()
    }


def _kept(outputs, meanings, threshold):
    """The probabilities, and the box `(batch, 4)` by each output."""
    if not isinstance(outputs, dict):
        return {"probabilities": outputs}
    check_meanings(meanings, outputs)
    kept = {"probabilities": outputs["probabilities"]}
    for name, meaning in meanings.items():
        if isinstance(meaning, ObjectBox):
            kept[name] = outputs[name][:, 0]
        elif isinstance(meaning, MapOf):
            normalized = minmax_normalize(outputs[name])
            boxes = heatmap_to_box(normalized, threshold)
            kept[name] = keras.ops.convert_to_numpy(boxes)
    return kept


def _without_maps_of_crops(boxes, meanings):
    """Behind a crop a feature map does not show the whole image."""
    maps = declared(meanings, MapOf).items()
    of_crops = {name for name, meaning in maps if meaning.of_crop}
    if not of_crops or np.allclose(boxes[object_box(meanings)], WHOLE_IMAGE):
        return boxes
    return {name: own for name, own in boxes.items() if name not in of_crops}
