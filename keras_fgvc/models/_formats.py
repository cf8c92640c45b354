"""Formats of files that a model is saved in."""

import os

import keras


def refuse_legacy_format(model) -> None:
    """Raises while Keras writes or reads a legacy HDF5 file.

    Keras tells nobody which format it writes, except by the configs of its own
    models: those of a legacy file do not say where a class is defined.
    """
    probe = keras.Sequential([keras.layers.Flatten()]).get_config()
    if any("module" not in layer for layer in probe["layers"]):
        raise legacy_error(model, "a legacy HDF5 file")


def legacy_error(model, target) -> ValueError:
    """Returns the error of a model that is saved as a legacy HDF5 file."""
    return ValueError(
        f"{type(model).__name__} can be saved as a .keras file only, because "
        "Keras could not load it from a legacy HDF5 file. Received: "
        f"{os.fspath(target)}. Give a path that ends in .keras, or save the "
        "weights alone with `save_weights` to a path that ends in .weights.h5."
    )
