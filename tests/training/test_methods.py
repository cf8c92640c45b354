"""Stages that train at two rates, draw at random or bring their own data."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_fgvc import models, recipes, training
from keras_fgvc.training import callbacks
from tests import tiny

pytestmark = pytest.mark.slow

DATA = tiny.labeled_images()


class KilledError(Exception):
    pass


def painless():
    recipe = recipes.get("painless-paper").replace(
        image_size=tiny.SIZE, load_size=tiny.SIZE, batch_size=4
    )
    model = models.PainlessAttention(
        tiny.backbone(), tiny.NUM_CLASSES, taps=(4, 8), tap=8
    )
    return model, recipe.with_epochs(classifier=2)


def coarse2fine(**options):
    recipe = recipes.get("coarse2fine-short").replace(
        image_size=tiny.SIZE, load_size=tiny.SIZE, batch_size=4
    )
    model = models.Coarse2Fine(
        tiny.backbone(),
        tiny.NUM_CLASSES,
        image_size=tiny.SIZE,
        tap=8,
        **options,
    )
    recipe = recipe.with_epochs(classifier=2, upsampler=2)
    stages = tuple(
        dataclasses.replace(stage, num_examples=min(stage.num_examples, 100))
        for stage in recipe.stages
    )
    return model, recipe.replace(stages=stages)


def wsdan():
    return coarse2fine(augment="crop_drop")


def fcan(rounds=1):
    recipe = recipes.get("fcan-short").replace(
        image_size=tiny.SIZE, load_size=tiny.SIZE, batch_size=4
    )
    stages = tuple(
        dataclasses.replace(stage, epochs=2, batch_size=4)
        for stage in recipe.stages
    )
    model = models.FCAN(
        tiny.backbone(),
        tiny.NUM_CLASSES,
        image_size=tiny.SIZE,
        crop_size=16,
        part_sizes=(1, 2),
        num_samples=3,
        taps=(8, 8),
    )
    return model, recipe.replace(stages=stages).with_rounds(rounds)


def daf():
    recipe = recipes.get("daf-short").replace(
        image_size=tiny.SIZE, load_size=tiny.SIZE, batch_size=4
    )
    model = models.DAF(
        tiny.backbone(),
        tiny.NUM_CLASSES,
        image_size=tiny.SIZE,
        taps=(4, 8),
        groups=11,
    )
    return model, recipe.with_epochs(classifier=2)


def train(make, workdir):
    keras.backend.clear_session()  # the same layer names each time
    keras.utils.set_random_seed(3)
    model, recipe = make()
    logs = training.fit(model, recipe, DATA, workdir, verbose=0)
    return model, logs


# Whoever is killed closes no file.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("make", [painless, coarse2fine, wsdan, daf])
def test_an_interrupted_run_ends_as_the_whole_one(make, tmp_path, monkeypatch):
    """Both optimizers, both random streams and the centres are restored."""
    whole, expected = train(make, tmp_path / "whole")
    last = callbacks.Checkpoint.on_epoch_end

    def killed_in_the_second_epoch(self, epoch, logs=None):
        if epoch == 1 and "classifier" in self.folder.name:
            raise KilledError
        last(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(
            callbacks.Checkpoint, "on_epoch_end", killed_in_the_second_epoch
        )
        with pytest.raises(KilledError):
            train(make, tmp_path / "killed")
    resumed, logs = train(make, tmp_path / "killed")
    assert logs == expected
    pairs = zip(whole.weights, resumed.weights, strict=True)
    for ours, theirs in pairs:
        np.testing.assert_array_equal(
            ours.numpy(), theirs.numpy(), err_msg=ours.path
        )


# Whoever is killed closes no file.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("eager")
def test_fcan_killed_in_every_stage_ends_as_the_whole_run(
    tmp_path, monkeypatch
):
    whole, expected = train(fcan, tmp_path / "whole")
    last = callbacks.Checkpoint.on_epoch_end
    killed = set()

    def killed_once_in_each_stage(self, epoch, logs=None):
        if epoch == 1 and self.folder.name not in killed:
            killed.add(self.folder.name)
            raise KilledError
        last(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(
            callbacks.Checkpoint, "on_epoch_end", killed_once_in_each_stage
        )
        for _ in range(3):
            with pytest.raises(KilledError):
                train(fcan, tmp_path / "killed")
        resumed, logs = train(fcan, tmp_path / "killed")
    assert killed == {"1-whole", "2-localizer", "3-parts"}
    assert logs == expected
    for ours, theirs in zip(whole.weights, resumed.weights, strict=True):
        if not ours.path.startswith("seed_gen"):
            np.testing.assert_array_equal(
                ours.numpy(), theirs.numpy(), err_msg=ours.path
            )


@pytest.mark.usefixtures("eager")
def test_fcan_goes_through_its_stages_twice(tmp_path, capsys):
    train(lambda: fcan(rounds=2), tmp_path)
    folders = sorted(path.name for path in tmp_path.glob("?-*"))
    stages = ("whole", "localizer", "parts") * 2
    assert folders == [f"{n}-{s}" for n, s in enumerate(stages, start=1)]
    printed = capsys.readouterr().out
    # Once for localizer and parts; anew when the network has learned.
    assert printed.count("/cache/maps; 0 of them are there") == 2
    assert printed.count("/cache/regions; 0 of them are there") == 2


def test_upsampler_stage_moves_the_kernel_towards_its_targets(tmp_path):
    model, recipe = coarse2fine()
    start = model.upsampler.kernel.numpy()
    others = [w.numpy() for w in model.features.weights]
    logs = training.fit(
        model, recipe, DATA, tmp_path, stages=["upsampler"], verbose=0
    )
    losses = [row["val_loss"] for row in logs["upsampler"]]
    assert losses[-1] < losses[0]
    assert not np.array_equal(start, model.upsampler.kernel.numpy())
    for old, weight in zip(others, model.features.weights, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())
