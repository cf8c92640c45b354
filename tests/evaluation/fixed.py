"""A model whose answers are given, and a data set for it."""

import keras
import numpy as np

from keras_fgvc import data


class Fixed(keras.Model):
    """Gives each image, known by its first pixel, the outputs of a table."""

    def __init__(self, table, meanings):
        super().__init__()
        self.table = table
        self.output_meanings = meanings

    def predict_on_batch(self, images):
        rows = images[:, 0, 0, 0]
        return {name: values[rows] for name, values in self.table.items()}


def fixed(meanings=None, **table):
    """The model, and one image for each row of the table."""
    count = len(next(iter(table.values())))
    images = np.zeros((count, 8, 8, 3), "uint8")
    images[:] = np.arange(count)[:, None, None, None]
    return Fixed(table, meanings or {}), images


def labeled(images, labels, boxes, classes):
    """A data set of one split, "test"."""
    examples = data.Examples(
        labels=np.array(labels, "int32"), images=images, boxes=boxes
    )
    names = tuple(f"class {c}" for c in range(classes))
    return data.LabeledImages("fixed", names, {"test": examples})
