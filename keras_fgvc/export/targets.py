"""Checks the model, the names and the path before a file is written."""

import json
import pathlib

import keras

from keras_fgvc._checks import check_class_names, check_positive_int
from keras_fgvc.decoding.resizing import PAD, PADDING, SQUASH, check_resize
from keras_fgvc.export.classifiers import as_classifier


def check_target(model, path, class_names, load_size) -> tuple:
    """The classifier and the path, once it can be written under these names.

    Raises:
        ValueError: If the backend is not TensorFlow, the path exists, the
            model is no classifier of images of this size, the number of names
            is not the number of classes, or names are empty, repeated or hold
            control characters.
        TypeError: If the names are no list of texts, `model` is no
            `keras.Model` or `load_size` no integer.
    """
    path = pathlib.Path(path)
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel can be written from the TensorFlow backend only. "
            "ONNX and LiteRT files are made from one. Received: "
            f"{keras.backend.backend()}. Save the model as .keras, and load "
            "and export it with KERAS_BACKEND=tensorflow."
        )
    if path.exists():
        raise ValueError(
            f"{path} exists already. Give the next version's number, as "
            "TF Serving expects, or remove it."
        )
    check_class_names(class_names)
    check_positive_int("load_size", load_size)
    model = as_classifier(model, load_size)
    if len(class_names) != model.num_classes:
        raise ValueError(
            f"`class_names` must name the model's {model.num_classes} "
            f"classes. Received: {len(class_names)} names."
        )
    return model, path


def resize_of(model, resize: str | None) -> str:
    """Returns how images are resized: as given, or as in training."""
    resize = resize or getattr(model, "resize", None) or SQUASH
    check_resize(resize)
    return resize


def describe_input(load_size: int, resize: str) -> str:
    """Returns as JSON how photographs become the pixels of a model's input."""
    facts = {"load_size": load_size, "resize": resize}
    if resize == PAD:
        facts["padding"] = PADDING
    return json.dumps(facts, indent=1) + "\n"


def partial_path(path) -> pathlib.Path:
    """Returns the path that is written to before it takes its place.

    A server must never see half a model. The name is no version number, so
    TF Serving does not load it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"partial-{path.name}")


def for_inference(model, load_size: int):
    """A model of one fixed image size that never trains.

    Keras's own exporters call a model without saying `training=False`. A
    preprocessing layer, whose default is True, then decides for all layers
    behind it: batch normalisation would use the batch's statistics.
    """
    image = keras.Input((load_size, load_size, 3), name="image")
    return keras.Model(image, model(image, training=False))
