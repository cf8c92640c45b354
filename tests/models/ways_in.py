"""Labels in everything that Keras trains on."""

import keras
import numpy as np
import pytest

from keras_fgvc.models import Baseline
from tests import tiny

IMAGES, LABELS = tiny.images_and_labels(8)
BOXES = np.tile(np.float32([0, 0, 1, 1]), (8, 1))


def make_model(method=Baseline, rate=0.0, **options):
    options = options or {"tap": 8}
    model = method(tiny.backbone(), tiny.NUM_CLASSES, **options)
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"])
    return model


class Batches(keras.utils.PyDataset):
    def __init__(self, targets, **kwargs):
        super().__init__(**kwargs)
        self.targets = targets

    @property
    def num_batches(self):
        return 2

    def __getitem__(self, index):
        part = slice(4 * index, 4 * index + 4)
        if self.targets is None:
            return (IMAGES[part],)
        cut = keras.tree.map_structure(lambda v: v[part], self.targets)
        return IMAGES[part], cut


def generate(targets):
    batches = Batches(targets)
    for index in range(2):
        yield batches[index]


def pipeline(targets):
    tf = pytest.importorskip("tensorflow")
    parts = IMAGES if targets is None else (IMAGES, targets)
    return tf.data.Dataset.from_tensor_slices(parts).batch(4)


def loader(targets):
    data = pytest.importorskip("torch.utils.data")
    if targets is not None:
        items = [
            (
                IMAGES[i].astype("float32"),
                keras.tree.map_structure(lambda v, i=i: v[i], targets),
            )
            for i in range(8)
        ]
        if any(np.asarray(y).dtype.kind == "U" for _, y in items):
            pytest.skip("PyTorch has no tensors of text")
        return data.DataLoader(items, batch_size=4)
    pytest.skip("its batches are no images alone")
