import types

import pytest

from keras_fgvc import models, recipes
from keras_fgvc.models.coarse2fine.tasks import UpsamplerTask
from keras_fgvc.recipes import Stage
from keras_fgvc.training.progress import TimeLeft, figures_of, in_words
from tests import tiny


def stage_run(model, stage, folder, trained=None):
    model.begin_stage(stage.name)
    return types.SimpleNamespace(
        whole=model, model=trained or model, stage=stage, folder=folder
    )


def stages(recipe):
    return {stage.name: stage for stage in recipes.get(recipe).stages}


def test_accuracy_is_shown_where_the_classifier_learns(tmp_path):
    elope = models.ELoPE(tiny.backbone(), 3, image_size=32, tap=8)
    wanted = {
        "classifier": ["accuracy"],
        "localizer": [],
        "crops": ["accuracy"],
        "weighted": ["accuracy"],
    }
    for name, stage in stages("elope-short").items():
        run = stage_run(elope, stage, tmp_path)
        assert figures_of(run) == wanted[name], name
    model = models.Coarse2Fine(
        tiny.backbone(), 3, tap=8, num_maps=2, image_size=32
    )
    stage = stages("coarse2fine-short")["upsampler"]
    task = UpsamplerTask(model.upsampler)
    assert figures_of(stage_run(model, stage, tmp_path, task)) == []


def test_a_baseline_that_is_chosen_by_its_loss_shows_accuracy(tmp_path):
    model = models.Baseline(tiny.backbone(), 3, tap=8)
    stage = Stage("classifier", 1, 0.1, monitor="val_loss")
    assert figures_of(stage_run(model, stage, tmp_path)) == ["accuracy"]


def test_what_is_monitored_or_logged_is_shown(tmp_path):
    elope = models.ELoPE(tiny.backbone(), 3, image_size=32, tap=8)
    stage = Stage("localizer", 1, 0.1)  # its monitor is val_accuracy
    assert figures_of(stage_run(elope, stage, tmp_path)) == ["accuracy"]
    # A log of 0.8 goes on with its columns.
    stage = stages("elope-short")["localizer"]
    (tmp_path / "log.csv").write_text("epoch,accuracy,loss\n0,0.5,1.0\n")
    assert figures_of(stage_run(elope, stage, tmp_path)) == ["accuracy"]


@pytest.mark.parametrize("later", [0, 8])
@pytest.mark.parametrize("verbose", [0, 2])
def test_the_time_left(verbose, later, monkeypatch, capsys):
    clock = iter([100.0, 110.0, 130.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    left = TimeLeft(Stage("crops", 7, 0.1), later)
    left.set_params({"verbose": verbose})
    for epoch in (3, 4, 5):  # resumed after three epochs
        left.on_epoch_begin(epoch)
    wanted = "crops: about 30 s left\ncrops: about 30 s left\n"
    if later:
        wanted = (
            "crops: about 30 s left, 2 min with the stages after it\n"
            "crops: about 30 s left, 2 min with the stages after it\n"
        )
    assert capsys.readouterr().out == wanted * (verbose > 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (59.7, "1 min"),
        (61, "1 min"),
        (3599, "1 h"),
        (7800, "2 h 10 min"),
    ],
)
def test_times_in_words(seconds, text):
    assert in_words(seconds) == text
