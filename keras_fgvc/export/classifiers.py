"""Any Keras classifier as a model of named outputs, as exports need it."""

import keras
import numpy as np

from keras_fgvc.export.parity import sample_images
from keras_fgvc.models.declaration import declare_outputs, meanings_of

# Sums of half-precision probabilities are this close to 1.
SUM_TOLERANCE = 1e-2
NAMES = ("probabilities", "logits")


def as_classifier(model, load_size: int):
    """Returns a model whose outputs are a dict with `"probabilities"`.

    Args:
        model: A method, which is returned as it is, or a Keras classifier.
        load_size: Side of the images in pixels.

    Returns:
        A `keras.Model` on the same weights, with `num_classes`.

    Raises:
        TypeError: If `model` is no `keras.Model`.
        ValueError: If it does not take images of this size, or it cannot be
            told which output are the classes.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a keras.Model. Received: "
            f"{model!r} (of type {type(model).__name__})."
        )
    if hasattr(model, "num_classes") and hasattr(model, "output_meanings"):
        return model
    image = keras.Input(_image_shape(model, load_size), name="image")
    given = model(image, training=False)
    outputs = dict(given) if isinstance(given, dict) else {}
    scores = _scores(given)
    _check_scores(scores)
    if "probabilities" not in outputs:
        if "logits" in outputs or _are_logits(model, load_size):
            outputs["logits"] = scores
            scores = keras.layers.Softmax(dtype="float32")(scores)
        outputs["probabilities"] = scores
    classifier = keras.Model(image, outputs, name=model.name)
    classifier.num_classes = scores.shape[-1]
    return declare_outputs(classifier, meanings_of(model))


def _image_shape(model, load_size):
    inputs = getattr(model, "inputs", None)
    shapes = [tuple(x.shape[1:]) for x in inputs or ()]
    if inputs and (len(shapes) != 1 or len(shapes[0]) != 3):
        problem = f"inputs of shapes {[(None, *shape) for shape in shapes]}"
    elif not inputs:
        return (None, None, 3)
    elif shapes[0][-1] not in (3, None):
        problem = f"images of {shapes[0][-1]} channels"
    elif any(side not in (None, load_size) for side in shapes[0][:2]):
        problem = f"images of {shapes[0][0]} x {shapes[0][1]} pixels"
    else:
        return (*shapes[0][:2], 3)
    raise ValueError(
        "`model` must take one batch of RGB images of `load_size` x "
        f"`load_size` pixels. Received: load_size={load_size} and model "
        f"{model.name!r} of {problem}. Give the size that the model was "
        "trained with, or convert the images in a layer of the model."
    )


def _scores(outputs):
    """The output of the classes; of a dict that of the usual name."""
    if isinstance(outputs, dict):
        named = [outputs[name] for name in NAMES if name in outputs]
        outputs = named[0] if named else list(outputs.values())
    if isinstance(outputs, (list, tuple)) and len(outputs) == 1:
        return outputs[0]
    return outputs


def _check_scores(scores):
    is_tensor = hasattr(scores, "shape")
    if not is_tensor or len(scores.shape) != 2 or (scores.shape[-1] or 0) < 2:
        shape = tuple(scores.shape) if is_tensor else f"{len(scores)} outputs"
        raise ValueError(
            "`model` must have one output (batch, classes) of at least two "
            'classes, or a dict of outputs with "probabilities" or "logits". '
            f"Received: {shape}. Name the output of the classes in a dict: "
            'keras.Model(image, {"probabilities": ...}).'
        )


def _are_logits(model, load_size) -> bool:
    """Tells logits from probabilities by the last layer or by the values."""
    last = model.layers[-1] if model.layers else None
    if getattr(last, "activation", None) is keras.activations.linear:
        return True
    images = sample_images(load_size).astype("float32")
    values = keras.ops.convert_to_numpy(_scores(model(images, training=False)))
    values = values.astype("float64")
    inside = np.all((values >= 0) & (values <= 1))
    if inside and np.all(np.abs(values.sum(-1) - 1) <= SUM_TOLERANCE):
        return False
    if not inside:
        return True
    raise ValueError(
        "`model` must give probabilities that sum to 1 for each image, or "
        "logits. Received: values from 0 to 1 with sums of "
        f"{values.sum(-1).round(3).tolist()}, as of a sigmoid. End the model "
        "in a softmax, or name the logits in a dict of outputs: "
        'keras.Model(image, {"logits": ...}).'
    )
