import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_fgvc import training
from keras_fgvc.training.files import read_log
from tests import tiny
from tests.training import run_tiny

STAGES = ("classifier", "localizer", "crops", "weighted")
ROOT = pathlib.Path(__file__).parent.parent.parent
DATA = tiny.labeled_images()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that nothing interrupted."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    model = run_tiny.model()
    logs = training.fit(model, run_tiny.recipe(), DATA, workdir, verbose=0)
    return workdir, model, logs


def test_runs_all_stages_and_keeps_what_the_docstring_draws(finished):
    workdir, _, logs = finished
    assert tuple(logs) == STAGES
    assert [len(rows) for rows in logs.values()] == [3, 2, 3, 1]
    for number, stage in enumerate(STAGES, start=1):
        folder = workdir / f"{number}-{stage}"
        names = {path.name for path in folder.iterdir()}
        # The last stage alone can be trained longer.
        kept = {"backup-0001.weights.h5"} if stage == STAGES[-1] else set()
        assert names == kept | {
            "best.weights.h5",
            "checksums.json",
            "done.json",
            "log.csv",
            "tensorboard",
        }
    assert {p.name for p in workdir.iterdir()} == {
        "run.json",
        "model.keras",
        "checksums.json",
        *(f"{n}-{s}" for n, s in enumerate(STAGES, start=1)),
    }


def test_logs_have_each_loss_by_name(finished):
    _, _, logs = finished
    assert {"cross_entropy", "val_embedding", "loss"} <= set(
        logs["classifier"][0]
    )
    assert "val_heatmap" in logs["localizer"][0]


def test_best_epoch_is_kept(finished):
    workdir, _, logs = finished
    done = json.loads((workdir / "2-localizer" / "done.json").read_text())
    lowest = min(row["val_heatmap"] for row in logs["localizer"])
    assert done["best"]["val_heatmap"] == lowest


def test_saved_model_is_the_trained_one(finished):
    workdir, model, _ = finished
    loaded = keras.saving.load_model(workdir / "model.keras")
    images, _ = tiny.images_and_labels()
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0)["probabilities"],
        model.predict(images, verbose=0)["probabilities"],
    )


def test_finished_run_is_loaded_not_trained_again(finished):
    workdir, model, logs = finished
    again = run_tiny.model()
    times = {p: p.stat().st_mtime_ns for p in workdir.glob("*/log.csv")}
    assert training.fit(again, run_tiny.recipe(), DATA, workdir) == logs
    assert times == {p: p.stat().st_mtime_ns for p in workdir.glob("*/log.csv")}
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("verbose", [0, 2])
def test_each_stage_is_told_when_it_begins(finished, verbose, capsys):
    workdir, *_ = finished
    args = (run_tiny.model(), run_tiny.recipe(), DATA, workdir)
    training.fit(*args, verbose=verbose)
    told = [s for s in capsys.readouterr().out.split("\n") if s]
    names = ("classifier, 3", "localizer, 2", "crops, 3", "weighted, 1")
    wanted = [f"stage {n} of 4: {s} epochs" for n, s in enumerate(names, 1)]
    assert told == wanted * (verbose > 0)
    training.fit(*args, stages=["crops"], verbose=verbose)
    assert capsys.readouterr().out == ""  # one stage needs no number


def test_an_earlier_stage_does_not_take_the_place_of_the_model(finished):
    workdir, _, _ = finished
    saved = workdir / "model.keras"
    before = saved.stat().st_mtime_ns
    backup = workdir / "1-classifier" / "backup-0003.weights.h5"
    backup.write_text("left by a process that was killed")
    arguments = (run_tiny.model(), run_tiny.recipe(), DATA, workdir)
    training.fit(*arguments, stages=["classifier"])
    assert saved.stat().st_mtime_ns == before
    assert not backup.exists()


def start(workdir):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.run_tiny", str(workdir)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_when_exists(workdir, name):
    process = start(workdir)
    deadline = time.monotonic() + 300
    while not (workdir / name).exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_sigkill_in_stages_1_and_3_changes_nothing(finished, tmp_path):
    """Bit for bit the weights of the run that nothing interrupted."""
    whole, _, logs = finished
    workdir = tmp_path / "killed"
    kill_when_exists(workdir, "1-classifier/backup-0002.weights.h5")
    kill_when_exists(workdir, "3-crops/backup-0001.weights.h5")
    first_stage = workdir / "1-classifier" / "done.json"
    finished_at = first_stage.stat().st_mtime_ns
    process = start(workdir)
    output, _ = process.communicate()
    assert process.returncode == 0
    assert "3-crops: going on after epoch" in output
    assert first_stage.stat().st_mtime_ns == finished_at
    found = keras.saving.load_model(workdir / "model.keras").get_weights()
    expected = keras.saving.load_model(whole / "model.keras").get_weights()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    for number, stage in enumerate(STAGES, start=1):
        log = workdir / f"{number}-{stage}" / "log.csv"
        assert read_log(log) == logs[stage]


def test_other_arguments_in_the_same_folder_are_refused(finished):
    workdir, _, _ = finished
    other = run_tiny.recipe().with_epochs(crops=9)
    changes = (
        r"\(recipe.stages.3-crops.epochs was \d+, now 9; seed was \d+, now 3\)"
    )
    with pytest.raises(
        ValueError, match=f"another run: recipe, seed differ {changes}"
    ):
        training.fit(run_tiny.model(), other, DATA, workdir, seed=3)


def test_unknown_stage(tmp_path):
    with pytest.raises(ValueError, match=r"No stage 'crop': elope-short has"):
        training.fit(
            run_tiny.model(),
            run_tiny.recipe(),
            DATA,
            tmp_path,
            stages=["crop"],
        )


@pytest.mark.usefixtures("eager")
def test_stages_by_number(tmp_path):
    logs = training.fit(
        run_tiny.model(), run_tiny.recipe(), DATA, tmp_path, stages=[1]
    )
    assert list(logs) == ["classifier"]
    assert [p.name for p in tmp_path.glob("*-*")] == ["1-classifier"]
    with pytest.raises(ValueError, match=r"No stage 5: elope-short has"):
        training.fit(
            run_tiny.model(), run_tiny.recipe(), DATA, tmp_path, stages=[5]
        )


def test_stage_before_must_be_finished(tmp_path):
    with pytest.raises(ValueError, match=r"'crops' goes on from 2-localizer"):
        training.fit(
            run_tiny.model(),
            run_tiny.recipe(),
            DATA,
            tmp_path,
            stages=["crops"],
        )


@pytest.mark.usefixtures("eager")
def test_fewer_images_than_a_batch(tmp_path):
    """The folder is free for the advice to be followed."""
    recipe = run_tiny.recipe().replace(batch_size=13)
    with pytest.raises(ValueError, match="tiny has 12 training images, fewer"):
        training.fit(run_tiny.model(), recipe, DATA, tmp_path)
    options = {"stages": [1], "verbose": 0}
    training.fit(run_tiny.model(), run_tiny.recipe(), DATA, tmp_path, **options)
    assert training.open_run(tmp_path).recipe == run_tiny.recipe()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_that_is_missing(split, tmp_path):
    splits = {n: part for n, part in DATA.splits.items() if n != split}
    data = dataclasses.replace(DATA, splits=splits)
    with pytest.raises(ValueError, match=f"tiny has no images .* '{split}'"):
        training.fit(run_tiny.model(), run_tiny.recipe(), data, tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("eager")
# Keras leaves its log open when another callback raises.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_monitor_that_nobody_logs(tmp_path):
    recipe = run_tiny.recipe()
    stage = dataclasses.replace(recipe.stages[0], monitor="val_acuracy")
    recipe = recipe.replace(stages=(stage, *recipe.stages[1:]))
    message = "must be one of .*val_accuracy.*Received: monitor='val_acuracy'"
    with pytest.raises(ValueError, match=message):
        training.fit(run_tiny.model(), recipe, DATA, tmp_path, verbose=0)
