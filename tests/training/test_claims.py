"""A run that goes on: with what it was begun, perhaps for longer."""

import dataclasses
import functools
import json
import shutil

import keras
import numpy as np
import pytest

from keras_fgvc import models, recipes, training
from keras_fgvc._files import DamagedFileError
from keras_fgvc.training.files import find_backups, read_log, write_log
from tests import tiny
from tests.training import run_tiny

pytestmark = pytest.mark.usefixtures("eager")
DATA = tiny.labeled_images()


def plain_recipe(epochs):
    recipe = recipes.get("baseline-short").replace(
        image_size=tiny.SIZE, load_size=tiny.SIZE, batch_size=4
    )
    return recipe.with_epochs(classifier=epochs)


def fit_plain(workdir, epochs, seed=0, data=DATA, backbone=tiny.backbone):
    keras.utils.set_random_seed(1)
    model = models.Baseline(backbone(), tiny.NUM_CLASSES, tap=8)
    training.fit(
        model, plain_recipe(epochs), data, workdir, seed=seed, verbose=0
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


def permuted(split, field):
    """The same images, with labels or boxes of others."""
    part = DATA.splits[split]
    changes = {field: np.roll(getattr(part, field), 1, axis=0)}
    part = dataclasses.replace(part, **changes)
    return dataclasses.replace(DATA, splits={**DATA.splits, split: part})


def with_other_boxes():
    part = DATA.splits["train"]
    boxes = part.boxes + np.float32([[0, 0, 0.01, 0]])
    part = dataclasses.replace(part, boxes=boxes)
    return dataclasses.replace(DATA, splits={**DATA.splits, "train": part})


def tanh_backbone():
    """Weights of the same shapes and layers in the same order."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    for filters in (5, 7, 11):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same")(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Activation("tanh")(x)
    return keras.Model(image, x)


def half_backbone():
    """The backbone's precision alone is another one."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return tiny.backbone()
    finally:
        keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": permuted("train", "labels")},
            r"label_digests differ \(.*label_digests.train was \w+, now \w+\)",
        ),
        (
            {"data": permuted("validation", "labels")},
            r"label_digests differ \(.*label_digests.validation was",
        ),
        (
            {"data": with_other_boxes()},
            r"box_digests differ \(.*box_digests.train was \w+, now \w+\)",
        ),
        (
            {"backbone": tanh_backbone},
            r"architecture differ \(.*architecture was \w+, now \w+\)",
        ),
        (
            {"backbone": half_backbone},
            r"layer_precisions differ \(.*layer_precisions was float32 x \d+, "
            r"now float32 x \d+, mixed_bfloat16 x \d+\)",
        ),
    ],
)
def test_something_else_is_not_gone_on_with(changes, message, workdir):
    before = (workdir / "run.json").read_text()
    for epochs in (2, 3):
        with pytest.raises(ValueError, match=f"another run: .*{message}"):
            fit_plain(workdir, epochs, **changes)
    assert (workdir / "run.json").read_text() == before


def test_another_precision(workdir):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.raises(
            ValueError,
            match=r"precision differ \(.*precision was float32, now mixed_bf",
        ):
            fit_plain(workdir, 3)
    finally:
        keras.config.set_dtype_policy(policy)


def test_boxes_that_a_run_did_not_have(workdir):
    """They change nothing of what was trained."""
    parts = {
        name: dataclasses.replace(part, boxes=None)
        for name, part in DATA.splits.items()
    }
    fit_plain(workdir, 3, data=dataclasses.replace(DATA, splits=parts))
    fit_plain(workdir, 4)


@pytest.mark.parametrize(("name", "epochs"), [("best", 2), ("backup-0002", 3)])
def test_flipped_weights(name, epochs, workdir):
    path = workdir / "1-classifier" / f"{name}.weights.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}.weights.h5 is damaged: its"):
        fit_plain(workdir, epochs)


def test_a_log_without_its_last_row(workdir):
    log = workdir / "1-classifier" / "log.csv"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:-1]))
    for done in (True, False):
        if not done:
            (log.parent / "done.json").unlink()
        with pytest.raises(
            ValueError, match=r"log\.csv is damaged: it has 1 rows, and by \w+"
        ):
            fit_plain(workdir, 3)
    log.unlink()
    with pytest.raises(ValueError, match="it has 0 rows, and by backup-0002"):
        fit_plain(workdir, 3)


def test_a_log_with_another_figure(workdir):
    log = workdir / "1-classifier" / "log.csv"
    rows = read_log(log)
    write_log(log, [{**rows[0], "loss": 7.0}, rows[1]])
    with pytest.raises(
        ValueError,
        match=r"loss of epoch 1 is 7\.0, and was \d.* when backup-00",
    ):
        fit_plain(workdir, 3)


def make_old(workdir):
    """Takes away what runs of before 0.9 do not have."""
    for path in workdir.rglob("checksums.json"):
        path.unlink()
    path = workdir / "run.json"
    run = json.loads(path.read_text())
    for name in ("label_digests", "box_digests", "architecture"):
        del run[name]
    del run["layer_precisions"]
    for stage in run["recipe"]["stages"]:
        stage.pop("focus_rate", None)
        stage["augmentation"].pop("rotation", None)
    path.write_text(json.dumps(run))
    return run["recipe"]


def test_older_runs_go_on(workdir):
    recipe = make_old(workdir)
    fit_plain(workdir, 2)
    run = json.loads((workdir / "run.json").read_text())
    assert run["recipe"] == recipe  # its settings are those of then
    assert run["architecture"]
    assert training.open_run(workdir).load_model()
    fit_plain(workdir, 3)
    with pytest.raises(ValueError, match="architecture differ"):
        fit_plain(workdir, 4, backbone=tanh_backbone)


def lambda_backbone(factor=2.0):
    network = tiny.backbone()
    scaled = keras.layers.Lambda(lambda x: x * factor)
    return keras.Model(network.input, scaled(network.output))


def test_another_function_in_a_layer(tmp_path):
    fit = functools.partial(fit_plain, tmp_path, 1)
    fit(backbone=lambda_backbone)
    path = tmp_path / "run.json"
    run = json.loads(path.read_text())
    fit(backbone=lambda_backbone)
    other = functools.partial(lambda_backbone, 3.0)
    with pytest.raises(ValueError, match="another run: functions differ"):
        fit(backbone=other)
    with pytest.raises(ValueError, match=r"run: .*architecture differ"):
        fit()
    path.write_text(json.dumps(run | {"functions": "python 2.7 0"}))
    fit(backbone=other)  # nobody can tell
    del run["functions"]
    path.write_text(json.dumps(run | {"architecture": "with its code"}))
    fit(backbone=other)


def test_an_older_run_keeps_its_rates(tmp_path, monkeypatch, capsys):
    """Where the recipe of that name has a new setting now."""
    seen = []
    monkeypatch.setattr(
        "keras_fgvc.training.stage_run.make_optimizer",
        lambda stage, *_: (
            seen.append(stage.focus_rate) or keras.optimizers.SGD(0.0)
        ),
    )
    recipe = run_tiny.recipe().with_epochs(
        classifier=1, localizer=1, crops=1, weighted=1
    )
    for stages in (["classifier"], ["localizer", "crops", "weighted"]):
        training.fit(
            run_tiny.model(), recipe, DATA, tmp_path, stages=stages, verbose=0
        )
        make_old(tmp_path)
    assert seen == [1.0, 1.0, 1.0, 1.0]
    told = capsys.readouterr().out
    assert told.count("is older than some settings: it keeps stages.1") == 1
    assert "stages.4-weighted.focus_rate=1.0" in told
    assert recipe.stages[-1].focus_rate == 100.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recipe": []}, "'recipe' is of type list, not dict"),
        ({"recipe": {"name": "a"}}, "it has no 'stages'"),
        ({"seed": "0"}, "'seed' is of type str, not int"),
        ({"classes": [1, 2]}, "no texts"),
        ({"image_digests": {"train": 3}}, "no texts"),
        ({"opened_by": 3}, "'opened_by' is of type int"),
    ],
)
def test_damaged_facts(changes, reason, workdir):
    path = workdir / "run.json"
    run = json.loads(path.read_text())
    path.write_text(json.dumps({**run, **changes}))
    message = rf"run\.json is damaged: .*{reason}.*or give a new folder"
    with pytest.raises(DamagedFileError, match=message):
        training.open_run(workdir)
    with pytest.raises(DamagedFileError, match=message):
        fit_plain(workdir, 2)
    path.unlink()
    with pytest.raises(DamagedFileError, match="missing beside trained stages"):
        fit_plain(workdir, 2)


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
