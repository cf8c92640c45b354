import dataclasses
import math

import keras
import numpy as np
import pytest

from keras_fgvc import models, recipes, training
from keras_fgvc.training.callbacks import Checkpoint, EpochSeeds
from keras_fgvc.training.files import find_backups, read_log
from tests import tiny


def states(seed, epoch):
    image = keras.Input((5,))
    x = keras.layers.Dropout(0.5)(image)
    model = keras.Model(image, keras.layers.Dropout(0.5)(x))
    callback = EpochSeeds(seed)
    callback.set_model(model)
    callback.on_epoch_begin(epoch)
    return [tuple(v.numpy()) for v in model.variables if "seed_gen" in v.path]


def test_states_follow_from_seed_and_epoch_alone():
    assert states(3, 2) == states(3, 2)
    assert states(3, 2) != states(3, 1)
    assert states(3, 2) != states(4, 2)


def test_generators_differ_from_one_another():
    first, second = states(3, 0)
    assert first != second


def test_large_numbers_turn_over():
    for state in states(2**31, 5000):
        assert np.all(np.array(state) >= 0)
        assert np.all(np.array(state, "int64") < 2**32)


def test_dropout_of_an_epoch_is_the_same_in_every_run():
    ones = np.ones((4, 5), "float32")

    def draw(epoch):
        image = keras.Input((5,))
        layer = keras.layers.Dropout(0.5)
        model = keras.Model(image, layer(image))
        callback = EpochSeeds(7)
        callback.set_model(model)
        callback.on_epoch_begin(epoch)
        return model(ones, training=True).numpy()

    np.testing.assert_array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


def plain(epochs=3, **changes):
    recipe = recipes.get("baseline-short").replace(
        image_size=tiny.SIZE, load_size=tiny.SIZE, batch_size=4
    )
    stage = dataclasses.replace(recipe.stages[0], epochs=epochs, **changes)
    return recipe.replace(stages=(stage,))


class Diverging(models.Baseline, keep_arguments=False):
    """A network whose loss is not finite from some step on, or not in one of
    training and validation."""

    value, first_step, is_in_training = math.nan, 5, True
    steps = 0

    def loss_terms(self, labels, outputs, training):
        terms = super().loss_terms(labels, outputs, training)
        self.steps += training
        is_late = self.steps > self.first_step
        if is_late and training == self.is_in_training:
            terms["cross_entropy"] = terms["cross_entropy"] * self.value
        return terms


def diverge(workdir, recipe=None, **attributes):
    keras.utils.set_random_seed(1)
    model = Diverging(tiny.backbone(), tiny.NUM_CLASSES, tap=8)
    for name, value in attributes.items():
        setattr(model, name, value)
    training.fit(
        model, recipe or plain(), tiny.labeled_images(), workdir, verbose=0
    )


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_stage(value, tmp_path):
    """Three steps an epoch: the sixth step is in the second epoch."""
    message = (
        "1-classifier ends in epoch 2 of 3, because `cross_entropy` is "
        rf"{value}\. .*best\.weights\.h5 keeps the best epoch before\. "
        r"Train in a new folder \(--workdir\) with a smaller learning rate "
        r"\(--learning-rate, now 0.0002\) or in float32.*labels count from 0"
    )
    with pytest.raises(ValueError, match=message):
        diverge(tmp_path, value=value)
    folder = tmp_path / "1-classifier"
    assert len(read_log(folder / "log.csv")) == 1
    ((epochs, _),) = find_backups(folder)
    assert epochs == 1
    assert not (folder / "done.json").exists()
    assert not (tmp_path / "training.lock").exists()
    model = models.Baseline(tiny.backbone(), tiny.NUM_CLASSES, tap=8)
    model.load_weights(folder / "best.weights.h5")
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.usefixtures("eager")
def test_a_validation_loss_that_is_not_finite(tmp_path):
    with pytest.raises(
        ValueError, match="in epoch 1 of 3, because `val_cross_e"
    ):
        diverge(tmp_path, first_step=2, is_in_training=False)
    assert not find_backups(tmp_path / "1-classifier")
    assert not (tmp_path / "1-classifier" / "best.weights.h5").exists()


@pytest.mark.usefixtures("eager")
def test_a_rate_that_is_far_too_large(tmp_path):
    recipe = plain(learning_rate=1e30, optimizer="sgd", epochs=2)
    model = models.Baseline(tiny.backbone(), tiny.NUM_CLASSES, tap=8)
    with pytest.raises(ValueError, match=r"because `\w+` is (nan|inf)"):
        training.fit(model, recipe, tiny.labeled_images(), tmp_path, verbose=0)


@pytest.mark.usefixtures("eager")
def test_a_monitor_that_is_not_finite(tmp_path, monkeypatch):
    monkeypatch.setattr(
        keras.metrics.SparseCategoricalAccuracy, "result", lambda _: math.nan
    )
    with pytest.raises(ValueError, match="because `val_accuracy` is nan"):
        diverge(tmp_path, first_step=99)


def test_no_epoch_without_a_number_is_the_best(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    callback = Checkpoint(tmp_path, "val_accuracy", [], model)
    callback.set_model(model)
    best = tmp_path / "best.weights.h5"
    for epoch, value in enumerate((math.nan, 0.3, math.nan, 0.2)):
        callback.on_epoch_end(epoch, {"val_accuracy": value})
        assert best.exists() == (epoch > 0)
        if epoch == 1:
            model.set_weights([w + 1 for w in model.get_weights()])
    model.load_weights(best)
    assert find_backups(tmp_path)[-1][0] == 4
    assert not model.get_weights()[1].any()  # those of epoch 1
