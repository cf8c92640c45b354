"""Every method on a backbone of which only some blocks train."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc import models, recipes
from keras_fgvc.training import build_model
from tests import tiny

SIZE = tiny.SIZE
METHODS = {
    "Baseline": {"tap": 8},
    "ELoPE": {
        "tap": 8,
        "image_size": SIZE,
        "k": 2,
        "embedding_dim": 5,
    },
    "PainlessAttention": {"num_heads": 2, "taps": (4, 8), "tap": 8},
    "Coarse2Fine": {"image_size": SIZE, "num_maps": 3, "tap": 8},
    "FCAN": {
        "image_size": SIZE,
        "crop_size": SIZE,
        "part_sizes": (2,),
        "taps": (8, 8),
    },
    "DAF": {"image_size": SIZE, "num_parts": 2, "groups": 1, "taps": (4, 8)},
}
LAST = ("conv2d_2", "batch_normalization_2")


def make(method, **options):
    keras.backend.clear_session()
    return getattr(models, method)(
        tiny.backbone(), tiny.NUM_CLASSES, **METHODS[method], **options
    )


def values(model):
    return [
        to_numpy(weight) + 0
        for backbone in model.feature_extractors()
        for weight in backbone.weights
    ]


def moved(model, stage, folder):
    """Paths of weights of the backbones that one step of a stage moves."""
    phase = model.begin_stage(stage)
    trained, data = phase.data(
        model,
        recipes.Stage(stage, 1, 1e-3, num_examples=6),
        tiny.labeled_images(train=6, held_out=1),
        folder=folder,
        load_size=SIZE,
    )
    trained.compile(keras.optimizers.SGD(1e-3))
    before = values(model)
    batches = data.batches(
        "train", training=True, seed=0, load_size=SIZE, batch_size=6
    )
    trained.fit(batches, steps_per_epoch=1, shuffle=False, verbose=0)
    paths = [w.path for b in model.feature_extractors() for w in b.weights]
    rows = zip(paths, before, values(model), strict=True)
    return {path for path, old, new in rows if np.any(old != new)}


@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_of_the_backbone_moves(method, batch_norm, tmp_path):
    model = make(method, trainable="none", batch_norm=batch_norm)
    for stage in model.stages:
        assert not moved(model, stage, tmp_path), stage
    assert model.head_variables() or method == "FCAN"


@pytest.mark.parametrize("method", METHODS)
def test_the_last_block_alone_moves(method, tmp_path):
    model = make(method, trainable="last:1", batch_norm="train")
    everything = set()
    for stage in model.stages:
        everything |= moved(model, stage, tmp_path)
    assert everything
    assert {path.split("/")[-2] for path in everything} <= set(LAST)


@pytest.mark.parametrize("method", METHODS)
def test_files_keep_it(method, tmp_path):
    model = make(method, trainable="last:1", remat=True)
    assert model.get_config()["trainable"] == "last:1"
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert loaded.trainable_blocks == "last:1"
    assert loaded.remat
    for stage in model.stages:
        counts = []
        for each in (model, loaded):
            each.begin_stage(stage)
            counts.append(len(each.trainable_weights))
        assert counts[0] == counts[1]


def test_files_without_it_train_everything():
    model = make("Baseline")
    config = model.get_config()
    del config["trainable"], config["remat"]
    loaded = models.Baseline.from_config(config)
    assert len(loaded.trainable_weights) == len(model.trainable_weights)


def test_a_recipe_says_what_trains():
    recipe = recipes.get("baseline-short").replace(
        arguments={"trainable": "last:2", "tap": 8}, image_size=SIZE
    )
    model = build_model(recipe, tiny.backbone(), 3)
    convolutions = [w for w in model.trainable_weights if "conv" in w.path]
    assert len(convolutions) == 4


def test_keras_own_argument_is_another():
    with pytest.raises(TypeError, match="set its `trainable` once it is"):
        make("Baseline", trainable=False)
