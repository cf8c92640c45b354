"""Trains tiny models through all stages on one device and on two.

python -m tests.training.on_two_devices WORKDIR NAME...

Prints "equal:" and the names last if weights and logs are. Chance is off: it
would draw other numbers on another device. One device does not compile.
"""

import dataclasses
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_fgvc import layers, models, recipes, training
from keras_fgvc.layers import glimpse_attention
from keras_fgvc.models.coarse2fine import attention_views
from tests import tiny
from tests.eager import eager_steps

# 13 images: one is dropped by batches of 4. Seven leave uneven parts.
DATA = tiny.labeled_images(13, 7)
ARGUMENTS = {
    "Baseline": {"tap": 8, "batch_norm": "train"},
    "ELoPE": {"image_size": tiny.SIZE, "embedding_dim": 7, "tap": 8},
    "PainlessAttention": {"taps": (4, 8), "tap": 8},
    # One map: there is nothing to choose.
    "Coarse2Fine": {"image_size": tiny.SIZE, "tap": 8, "num_maps": 1},
    "WS-DAN": {
        "image_size": tiny.SIZE,
        "tap": 8,
        "num_maps": 1,
        "augment": "crop_drop",
    },
    "DAF": {
        "image_size": tiny.SIZE,
        "taps": (4, 8),
        "groups": 11,
    },
    "FCAN": {
        "image_size": tiny.SIZE,
        "crop_size": 16,
        "part_sizes": (1, 2),
        "num_samples": 3,
        "taps": (8, 8),
    },
}
RECIPES = {
    "Baseline": "elope-short",
    "ELoPE": "elope-short",
    "PainlessAttention": "painless-short",
    "Coarse2Fine": "coarse2fine-short",
    "WS-DAN": "coarse2fine-short",
    "DAF": "daf-short",
    "FCAN": "fcan-short",
}


def make_recipe(name, epochs=1):
    """Short; SGD, which does not blow up differences."""
    recipe = recipes.get(RECIPES[name]).replace(
        image_size=tiny.SIZE, load_size=tiny.SIZE, batch_size=4
    )
    stages = tuple(
        dataclasses.replace(
            stage,
            epochs=epochs,
            optimizer="sgd",
            learning_rate=0.003,
            batch_size=None,
            num_examples=min(stage.num_examples, 100),
        )
        for stage in recipe.stages
    )
    return recipe.replace(stages=stages)


def train(name, strategy, workdir, epochs=1, stages=None):
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    method = "Coarse2Fine" if name == "WS-DAN" else name
    with strategy.scope():
        model = getattr(models, method)(
            tiny.backbone(), tiny.NUM_CLASSES, **ARGUMENTS[name]
        )
    before = model.get_weights()
    logs = training.fit(
        model,
        make_recipe(name, epochs),
        DATA,
        workdir,
        stages=stages,
        verbose=0,
    )
    weights = {weight.path: weight.numpy() for weight in model.weights}
    after = model.get_weights()
    moved = [np.abs(a - b).max() for a, b in zip(before, after, strict=True)]
    assert max(moved) > 0.003, "nothing was trained"
    images, _ = tiny.images_and_labels(5)
    return weights, logs, model.predict_on_batch(images)["probabilities"]


def assert_equal(ours, theirs):
    for path, weight in ours[0].items():
        if "seed_generator" not in path:
            np.testing.assert_allclose(
                weight, theirs[0][path], rtol=1e-5, atol=1e-5, err_msg=path
            )
    for stage, rows in ours[1].items():
        for row, other in zip(rows, theirs[1][stage], strict=True):
            for key, value in row.items():
                if "embedding" in key or "loss" in key:
                    continue  # within a batch, and those of validation differ
                np.testing.assert_allclose(
                    value, other[key], rtol=1e-4, atol=1e-5, err_msg=key
                )
    assert ours[2].shape == (5, tiny.NUM_CLASSES)
    np.testing.assert_allclose(ours[2], theirs[2], atol=1e-5)


def without_chance():
    """Thresholds in the middle, the noise of inference, the first cells."""
    attention_views.CropAndDrop._draw = lambda self, batch, limits: (
        keras.ops.full((batch,), sum(limits) / 2)
    )
    noise = layers.ProposalViews._noise
    layers.ProposalViews._noise = lambda self, shape, training: noise(
        self, shape, False
    )
    glimpse_attention.sample_locations = first_cells


def first_cells(scores, num_samples, seed):
    """`(b, h, w)` -> `(b, num_samples, 2)`, the same for each image."""
    del seed
    batch, _, width = keras.ops.shape(scores)
    cells = keras.ops.arange(num_samples)
    cells = keras.ops.stack([cells // width, cells % width], axis=-1)
    return keras.ops.tile(cells[None], (batch, 1, 1))


def main(workdir, *names):
    (cpu,) = tf.config.list_physical_devices("CPU")
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [half, half])
    both = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    without_chance()
    for name in names:
        folder = pathlib.Path(workdir) / name
        alone = training.make_strategy("none")
        with eager_steps():
            expected = train(name, alone, folder / "one")
        assert_equal(train(name, both, folder / "two"), expected)
    print("equal:", *names)


if __name__ == "__main__":
    main(*sys.argv[1:])
