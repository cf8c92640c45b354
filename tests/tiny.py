"""Tiny stand-ins, so that a whole method trains in a second."""

import keras
import numpy as np

from keras_fgvc import data

NUM_CLASSES = 3
SIZE = 32


def backbone():
    """Raw pixels to stride 8 in three layers, with batch normalisation."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    for filters in (5, 7, 11):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same")(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
    return keras.Model(image, x)


def images_and_labels(count=6, size=SIZE, seed=0):
    """Classes that differ by colour: a model can learn them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % NUM_CLASSES
    images = rng.integers(0, 100, (count, size, size, 3))
    images[np.arange(count), ..., labels] += 100
    return images.astype("uint8"), labels.astype("int32")


def labeled_images(train=12, held_out=6):
    """A data set of such images, each object in the whole image's middle."""
    splits = {}
    sizes = {"train": train, "validation": held_out, "test": held_out}
    for seed, (split, count) in enumerate(sizes.items()):
        images, labels = images_and_labels(count, seed=seed)
        boxes = np.tile(np.float32([0.25, 0.25, 0.75, 0.75]), (count, 1))
        splits[split] = data.Examples(labels=labels, images=images, boxes=boxes)
    return data.LabeledImages("tiny", ("red", "green", "blue"), splits)
