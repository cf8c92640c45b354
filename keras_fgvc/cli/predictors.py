"""The predictor that a command line names: a run, a file or a SavedModel."""

import pathlib

from keras_fgvc import training
from keras_fgvc._checks import check_class_names
from keras_fgvc.cli.messages import UsageError
from keras_fgvc.decoding.resizing import SQUASH
from keras_fgvc.training.checksums import load_model
from keras_fgvc.training.predictors import (
    Predictor,
    of_bytes,
    of_pixels,
    read_names,
)

_read_names = read_names  # the name in scripts written for 0.8


def open_predictor(options) -> Predictor:
    """The predictor of a command line.

    Raises:
        UsageError: If an option is missing, or is one that the model knows
            better.
        ValueError: If there is no model.
    """
    if options.workdir:
        _refuse(options, "classes", "load_size", "resize")
        run = training.open_run(options.workdir)
        return run.predictor(unfinished=options.unfinished)
    path = pathlib.Path(options.model)
    if options.classes is not None:
        check_class_names(read_names(options.classes))
    if (path / "saved_model.pb").exists():
        _refuse(options, "load_size", "resize")
        return of_bytes(path, options.classes)
    if not path.is_file():
        raise ValueError(
            f"{path} must be a .keras file, or a folder with saved_model.pb. "
            "For the folder of a training use --workdir."
        )
    for name in ("classes", "load_size"):
        if getattr(options, name) is None:
            raise UsageError(
                f"A .keras file needs {_flag(name)}: it does not hold that."
            )
    names = read_names(options.classes)
    model = load_model(path, compile=False)
    resize = options.resize or SQUASH
    return of_pixels(model, names, options.load_size, resize)


def _refuse(options, *names):
    for name in names:
        if getattr(options, name) is not None:
            raise UsageError(f"{_flag(name)} is known from the model itself.")


def _flag(name):
    return "--" + name.replace("_", "-")
