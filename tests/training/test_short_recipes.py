"""Each stage of the short recipes moves what it is named for."""

import keras
import numpy as np
import pytest

from keras_fgvc import recipes, training
from keras_fgvc.models.registry import get_method
from tests import tiny

# cub50 has that many photographs to train on; the recipes are for thousands.
IMAGES = 1712
MOVE = 0.01
SHORT = [name for name in recipes.available() if name.endswith("-short")]
OPTIONS = {
    "ELoPE": {"image_size": tiny.SIZE, "embedding_dim": 7, "tap": 8},
    "Baseline": {"tap": 8},
    "PainlessAttention": {"taps": (4, 8), "tap": 8},
    "Coarse2Fine": {"image_size": tiny.SIZE, "tap": 8},
    "DAF": {"image_size": tiny.SIZE, "taps": (4, 8), "groups": 11},
    "FCAN": {
        "image_size": tiny.SIZE,
        "crop_size": 16,
        "part_sizes": (1, 2),
        "judge": "crops",
        "places": 2,
        "num_samples": None,
        "taps": (8, 8),
    },
}
NAMED_FOR = {
    "classifier": lambda model: model.head_variables(),
    "crops": lambda model: model.head_variables(),
    "weighted": lambda model: model.get_layer("pooling").weights,
    "upsampler": lambda model: model.upsampler.trainable_variables,
    "whole": lambda model: model.classifiers[0].trainable_variables,
    "parts": lambda model: [
        v for each in model.classifiers for v in each.trainable_variables
    ],
}


def build(recipe):
    keras.utils.set_random_seed(0)
    method = get_method(recipe.method)
    return method(tiny.backbone(), tiny.NUM_CLASSES, **OPTIONS[recipe.method])


def named_for(model, stage):
    """The weights that a stage is to teach, flat."""
    if stage == "localizer":
        layers = getattr(model, "glimpses", None) or [model.localizer]
        variables = [v for each in layers for v in each.trainable_variables]
    else:
        variables = NAMED_FOR[stage](model)
    values = [keras.ops.convert_to_numpy(v).ravel() for v in variables]
    return np.concatenate(values)


def test_the_phase_of_a_stage_says_what_it_is_named_for():
    """Where a recipe gives such weights a rate of their own."""
    for name in SHORT:
        recipe = recipes.get(name)
        phases = {phase.name: phase for phase in build(recipe).phases()}
        for stage in recipe.stages:
            assert phases[stage.name].focus or stage.focus_rate == 1


@pytest.mark.parametrize("name", SHORT)
def test_the_rates_of_a_stage_can_move_it(name):
    """Adam moves no weight further than the sum of its rates."""
    recipe = recipes.get(name)
    model = build(recipe)
    for stage in recipe.stages:
        assert stage.optimizer == "adam"
        model.begin_stage(stage.name)
        batch_size = stage.batch_size or recipe.batch_size
        steps = stage.epochs * ((stage.num_examples or IMAGES) // batch_size)
        mean = 0.5 if stage.schedule == "cosine" else 1.0
        rate = stage.learning_rate * max(stage.head_rate, stage.focus_rate)
        typical = np.sqrt(np.mean(named_for(model, stage.name) ** 2))
        assert steps * mean * rate > MOVE * typical, stage.name


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_each_stage_moves_what_it_is_named_for(name, tmp_path):
    """By the true rates and numbers of steps, on tiny images."""
    data = tiny.labeled_images(train=IMAGES, held_out=64)
    recipe = recipes.get(name).replace(
        image_size=tiny.SIZE, load_size=tiny.SIZE
    )
    model = build(recipe)
    moves = {}
    for number, stage in enumerate(recipe.stages, start=1):
        model.begin_stage(stage.name)
        before = named_for(model, stage.name)
        training.fit(model, recipe, data, tmp_path, stages=[number], verbose=0)
        change = named_for(model, stage.name) - before
        moves[stage.name] = np.linalg.norm(change) / np.linalg.norm(before)
    assert min(moves.values()) > MOVE, moves
