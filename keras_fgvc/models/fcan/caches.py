"""Caches on disk what FCAN computes once per image of a data set."""

import hashlib
import pathlib

import numpy as np

from keras_fgvc.data import Precomputed
from keras_fgvc.models.fcan import crop_judges, graph, tasks

# Half the disk of float32, and far finer than maps differ from one training
# to the next.
MAP_DTYPE = "float16"
CROPS_AT_ONCE = 64  # through the network


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


def judged_maps(model, images, folder, load_size):
    """The same maps with the features of the crops at all places."""
    reader = crop_judges.crop_reader(model)
    boxes = crop_judges.place_boxes(model)
    crops = _Rows(
        images,
        pathlib.Path(folder) / "crops",
        compute=reader.predict_on_batch,
        fingerprint=fingerprint(reader, model.crop_size, boxes.tolist()),
        batch_size=max(1, CROPS_AT_ONCE // boxes[..., 0].size),
        load_size=load_size,
        dtype=MAP_DTYPE,
    )
    maps = feature_maps(model, images, folder, load_size)
    return JudgedMaps(maps, crops, model.folds)


class _Rows(Precomputed):
    """Arrays with their numbers in the split in place of labels."""

    def labels(self, split):
        return np.arange(self.split_sizes[split], dtype=np.int32)


class JudgedMaps:
    """Maps, features of crops, and whose verdict counts: see `CropTask`.

    Training images are dealt to the judges in turn, so that each class is in
    every fold; of a validation image all judges' mean counts.
    """

    def __init__(self, maps, crops, folds):
        self.maps, self.crops, self.folds = maps, crops, folds
        self.name, self.split_sizes = maps.name, maps.split_sizes

    def batches(self, split, **options):
        """Batches as of `Precomputed.batches`, inputs in a dict."""
        import tensorflow as tf

        def join(maps_and_labels, crops_and_rows):
            maps, labels = maps_and_labels
            crops, rows = crops_and_rows
            own = tf.one_hot(rows % self.folds, self.folds)
            if split != "train":
                own = tf.ones_like(own) / self.folds
            return {"maps": maps, "crops": crops, "own": own}, labels

        return tf.data.Dataset.zip(
            (
                self.maps.batches(split, **options),
                self.crops.batches(split, **options),
            )
        ).map(join)


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
