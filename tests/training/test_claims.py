"""A run that is trained longer than it was asked to at first."""

import shutil

import keras
import numpy as np
import pytest

from keras_fgvc import models, recipes, training
from keras_fgvc.training.files import find_backups, read_log
from tests import tiny
from tests.training import run_tiny

pytestmark = pytest.mark.usefixtures("eager")
DATA = tiny.labeled_images()


def plain_recipe(epochs):
    recipe = recipes.get("baseline-short").replace(
        image_size=tiny.SIZE, load_size=tiny.SIZE, batch_size=4
    )
    return recipe.with_epochs(classifier=epochs)


def fit_plain(workdir, epochs, seed=0):
    keras.utils.set_random_seed(1)
    model = models.Baseline(tiny.backbone(), tiny.NUM_CLASSES, tap=8)
    training.fit(
        model, plain_recipe(epochs), DATA, workdir, seed=seed, verbose=0
    )
    return model


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "plain"
    fit_plain(workdir, 2)
    return workdir


@pytest.fixture
def workdir(two_epochs, tmp_path):
    return shutil.copytree(two_epochs, tmp_path / "run")


def test_a_finished_run_goes_on(workdir, tmp_path, capsys):
    """As if it had been interrupted: the same steps, none of them again."""
    stage = workdir / "1-classifier"
    before = read_log(stage / "log.csv")
    saved = keras.saving.load_model(workdir / "model.keras").get_weights()
    model = fit_plain(workdir, 4)
    out = capsys.readouterr().out
    assert out == "1-classifier: 2 epochs are done, goes on to 4.\n"
    rows = read_log(stage / "log.csv")
    assert rows[:2] == before
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert [epochs for epochs, _ in find_backups(stage)] == [4]
    steps = len(DATA.subset("train")) // 4
    assert model.optimizer.optimizers[0].iterations == 4 * steps
    assert training.open_run(workdir).recipe == plain_recipe(4)
    loaded = keras.saving.load_model(workdir / "model.keras").get_weights()
    changes = [np.ptp(a - b) for a, b in zip(loaded, saved, strict=True)]
    assert max(changes) > 0

    fit_plain(workdir, 4)  # nothing is left to do
    assert capsys.readouterr().out == ""
    assert read_log(stage / "log.csv") == rows


def test_without_its_last_state_it_begins_with_the_best(workdir, capsys):
    stage = workdir / "1-classifier"
    ((_, backup),) = find_backups(stage)
    backup.unlink()
    fit_plain(workdir, 3)
    assert capsys.readouterr().out == (
        "1-classifier: 2 epochs are done, goes on to 3. "
        "Its last state was removed: it begins with the best.\n"
    )
    rows = read_log(stage / "log.csv")
    assert [row["epoch"] for row in rows] == [0, 1, 2]


def test_an_interrupted_run_gets_more_epochs_or_fewer(workdir, capsys):
    stage = workdir / "1-classifier"
    (stage / "done.json").unlink()
    fit_plain(workdir, 3)
    assert "going on after epoch 2 of 3." in capsys.readouterr().out
    assert len(read_log(stage / "log.csv")) == 3


def test_killed_while_it_goes_on(workdir, monkeypatch):
    """No stage is taken for finished that has not its new epochs."""

    def killed(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(models.Baseline, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        fit_plain(workdir, 3)
    monkeypatch.undo()
    run = training.open_run(workdir)
    assert run.finished_stages() == []
    with pytest.raises(ValueError, match="1-classifier still to be trained"):
        run.load_model()
    fit_plain(workdir, 3)
    assert run.finished_stages() == [1]
    assert len(run.logs()["1-classifier"]) == 3


def test_fewer_epochs_than_are_done(workdir):
    with pytest.raises(ValueError, match="has 2 epochs done, so it cannot"):
        fit_plain(workdir, 1)
    assert training.open_run(workdir).recipe == plain_recipe(2)


def test_more_epochs_and_another_setting_are_another_run(workdir):
    with pytest.raises(ValueError, match="recipe, seed differ"):
        fit_plain(workdir, 3, seed=9)


def fit_elope(workdir, **epochs):
    model = run_tiny.model()
    recipe = run_tiny.recipe().with_epochs(
        **{"classifier": 1, "localizer": 1, "crops": 1, "weighted": 1, **epochs}
    )
    training.fit(model, recipe, DATA, workdir, stages=[1, 2], verbose=0)


@pytest.mark.slow
def test_a_stage_that_others_went_on_from(tmp_path, capsys):
    workdir = tmp_path / "run"
    fit_elope(workdir)
    assert not find_backups(workdir / "1-classifier")  # only the last is kept
    assert find_backups(workdir / "2-localizer")
    with pytest.raises(
        ValueError,
        match=r"for 2 epochs instead of 1: 2-localizer went on from it. Remove "
        r"2-localizer from",
    ):
        fit_elope(workdir, classifier=2)
    fit_elope(workdir, crops=7)  # it has not begun
    fit_elope(workdir, crops=7, localizer=2)
    assert "2-localizer: 1 epochs are done" in capsys.readouterr().out
    shutil.rmtree(workdir / "2-localizer")
    fit_elope(workdir, crops=7, localizer=2, classifier=2)
    out = capsys.readouterr().out
    assert "1-classifier: 1 epochs are done, goes on to 2." in out
    logs = training.open_run(workdir).logs()
    assert {name: len(rows) for name, rows in logs.items()} == {
        "1-classifier": 2,
        "2-localizer": 2,
    }
