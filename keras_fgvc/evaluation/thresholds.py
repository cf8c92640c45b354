"""The threshold that a heat map is cut at."""

from keras_fgvc._renamed import takes_old_names
from keras_fgvc.evaluation.predicting import resized_for
from keras_fgvc.metrics import MaxBoxAccuracy
from keras_fgvc.models.declaration import meanings_of, object_map


@takes_old_names(image_size="load_size")
def best_threshold(
    model,
    data,
    split: str = "validation",
    *,
    load_size,
    batch_size: int = 32,
    heatmap: str | None = None,
) -> float:
    """The heat-map threshold whose boxes overlap the true ones most often.

    Args:
        model: A `keras_fgvc.models` model.
        data: `keras_fgvc.data.LabeledImages` with boxes.
        split: Name of the split to choose on; not the one to report on.
        load_size: Side, in pixels, that images are loaded at.
        batch_size: Images a step.
        heatmap: Name of the output that is thresholded. Defaults to the first
            that the model declares as a map of the image, `MapOf("image")` of
            `keras_fgvc.models.outputs`.

    Returns:
        The lowest threshold, a multiple of 0.05, with the most boxes of
        IoU 0.5 or more.

    Raises:
        ValueError: If the split is missing or its images have no boxes, or
            the model has no such output.
    """
    if data.subset(split).boxes is None:
        raise ValueError(
            f"{data.name} has no boxes to choose a threshold by. Give a data "
            "set with boxes, or set the threshold by hand."
        )
    data = resized_for(model, data)
    heatmap = heatmap or object_map(meanings_of(model))
    if heatmap is None:
        raise ValueError(
            "The model declares no map of the image. Give `heatmap`, the name "
            "of the output to threshold, or declare it in `output_meanings`."
        )
    metric = MaxBoxAccuracy(
        num_thresholds=20, iou_thresholds=(0.5,), output=heatmap
    )
    batches = data.batches(
        split, load_size=load_size, batch_size=batch_size, with_boxes=True
    )
    for images, targets in batches.as_numpy_iterator():
        metric.update_state(targets, model.predict_on_batch(images))
    return metric.best_threshold()
