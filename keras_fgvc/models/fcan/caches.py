"""Caches on disk what FCAN computes once per image of a data set."""

import hashlib
import pathlib

import numpy as np

from keras_fgvc.data import Precomputed
from keras_fgvc.models.fcan import graph, tasks

# Half the disk of float32, and far finer than maps differ from one training
# to the next.
MAP_DTYPE = "float16"


def feature_maps(model, images, folder, load_size):
    """The maps that the glimpses are trained on.

    Args:
        model: An `FCAN`.
        images: `keras_fgvc.data.LabeledImages`.
        folder: Where; the files lie in its folder `maps`.
        load_size: Side in pixels at which images are loaded.

    Returns:
        `keras_fgvc.data.Precomputed`, which yields (map, label) where
        `images` yields (image, label).
    """
    extractor = tasks.map_extractor(model)
    return Precomputed(
        images,
        pathlib.Path(folder) / "maps",
        compute=extractor.predict_on_batch,
        fingerprint=fingerprint(extractor, model.image_size),
        load_size=load_size,
        dtype=MAP_DTYPE,
    )


def part_boxes(model, images, folder, load_size):
    """The regions the policy chooses, by split, `(n, parts, 4)`.

    They are found on the cached maps: no image is read again.
    """
    if model.regions == "center":
        boxes = graph.middle_boxes(model.part_sizes, model.map_size)
        return {
            split: np.tile(boxes, (count, 1, 1))
            for split, count in images.split_sizes.items()
        }
    finder = tasks.region_finder(model)
    found = Precomputed(
        feature_maps(model, images, folder, load_size),
        pathlib.Path(folder) / "regions",
        compute=finder.predict_on_batch,
        fingerprint=fingerprint(
            finder, tuple(model.part_sizes), model.condition
        ),
        dtype="float32",
    )
    return {split: found.arrays(split) for split in found.split_sizes}


def fingerprint(network, *settings):
    """Hash of a network's weights and of what else its outputs depend on."""
    digest = hashlib.sha256(repr(settings).encode())
    for weight in network.get_weights():
        digest.update(f"{weight.dtype}{weight.shape}".encode())
        digest.update(weight.tobytes())
    return digest.hexdigest()
