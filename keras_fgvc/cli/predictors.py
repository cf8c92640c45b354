"""What answers for `predict`: a run, a .keras file, or a SavedModel."""

import functools
import pathlib

import keras
import numpy as np

from keras_fgvc import training
from keras_fgvc.cli.images import read_bytes, read_pixels
from keras_fgvc.cli.messages import UsageError

# Where `export.export_saved_model` puts the names.
SAVED_NAMES = pathlib.Path("assets.extra") / "class_names.txt"


class Predictor:
    """Reads an image in the way a model wants it, and runs the model.

    Args:
        class_names: Names of the classes in the order of the labels.
        read: Function from a path to the content of one image.
        run: Function from a list of contents to the outputs by name.

    Raises:
        ValueError: From the call, if the outputs lack `"probabilities"` or
            have another number of classes.
    """

    def __init__(self, class_names, read, run):
        self.class_names = tuple(class_names)
        self.read = read
        self._run = run

    def __call__(self, contents) -> dict:
        outputs = self._run(contents)
        if not isinstance(outputs, dict) or "probabilities" not in outputs:
            raise ValueError(
                'The model must return a dict with "probabilities", as those '
                "of keras_fgvc.models do."
            )
        count = outputs["probabilities"].shape[1]
        if count != len(self.class_names):
            raise ValueError(
                f"The model has {count} classes. Received: "
                f"{len(self.class_names)} names of classes."
            )
        return outputs


def open_predictor(options) -> Predictor:
    """The predictor of a command line.

    Raises:
        UsageError: If an option is missing, or is one that the model knows
            better.
        ValueError: If there is no model.
    """
    if options.workdir:
        _refuse(options, "classes", "image_size")
        run = training.open_run(options.workdir)
        size = run.recipe.load_size
        return _of_pixels(run.load_model(), run.class_names, size)
    path = pathlib.Path(options.model)
    if (path / "saved_model.pb").exists():
        _refuse(options, "image_size")
        return _of_bytes(path, options.classes)
    if not path.is_file():
        raise ValueError(
            f"{path} must be a .keras file, or a folder with saved_model.pb. "
            "For the folder of a training use --workdir."
        )
    for name in ("classes", "image_size"):
        if getattr(options, name) is None:
            raise UsageError(
                f"A .keras file needs {_flag(name)}: it does not hold that."
            )
    names = _read_names(options.classes)
    model = keras.saving.load_model(path, compile=False)
    return _of_pixels(model, names, options.image_size)


def _of_pixels(model, class_names, size):
    return Predictor(
        class_names,
        functools.partial(read_pixels, size=size),
        lambda pixels: model.predict_on_batch(np.stack(pixels)),
    )


def _of_bytes(path, names_path):
    import tensorflow as tf

    saved = tf.saved_model.load(str(path))
    if "serving_bytes" not in saved.signatures:
        raise ValueError(
            f"{path} has no signature serving_bytes. Write it by "
            "`keras-fgvc export`."
        )

    def run(contents):  # holds `saved`, and so its variables
        serve = saved.signatures["serving_bytes"]
        found = serve(image_bytes=tf.constant(contents))
        return {name: value.numpy() for name, value in found.items()}

    names = _read_names(names_path or path / SAVED_NAMES)
    return Predictor(names, read_bytes, run)


def _read_names(path):
    """One name a line; editors may put a mark in front of the first."""
    text = pathlib.Path(path).read_text(encoding="utf-8-sig")
    # Not splitlines: a name may hold a character that it takes for an end.
    return text.removesuffix("\n").split("\n")


def _refuse(options, *names):
    for name in names:
        if getattr(options, name) is not None:
            raise UsageError(f"{_flag(name)} is known from the model itself.")


def _flag(name):
    return "--" + name.replace("_", "-")
