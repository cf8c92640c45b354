import json
import re
import shutil
import types

import keras
import numpy as np
import pytest

from keras_fgvc import evaluation, training
from keras_fgvc.cli import main
from keras_fgvc.cli import train as train_command
from tests import tiny

BUILD = training.build_model


def build_tiny(recipe, backbone, num_classes, *, weights):
    """Takes the place of `training.build_model`: the same on five layers."""
    assert (backbone, weights) == ("mobilenet_v2", "w.h5")
    recipe = recipe.replace(arguments={"tap": 8})
    return BUILD(recipe, tiny.backbone(), num_classes)


@pytest.fixture
def words(photographs, tmp_path, monkeypatch):
    """A command whose network is tiny."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.h5").touch()
    monkeypatch.setattr(training, "build_model", build_tiny)
    return [
        "train",
        "--method=elope",
        f"--data={photographs}",
        f"--workdir={tmp_path / 'run'}",
        "--backbone=mobilenet_v2",
        "--weights=w.h5",
        "--image-size=32",
        "--load-size=40",
        "--batch-size=4",
        "--epochs=1",
        "--arguments=k=1,embedding_dim=8",
        "--seed=7",
        "--data-seed=4",
    ]


@pytest.fixture
def fit_is(monkeypatch):
    """Replaces `training.fit` by a function of the numbers of stages."""

    def replace(fit):
        monkeypatch.setattr(
            training, "fit", lambda *_, stages, **__: fit(stages)
        )

    return replace


@pytest.mark.slow
def test_a_stage_then_all_of_them_then_the_test_split(words, tmp_path, capsys):
    workdir = tmp_path / "run"
    assert main([*words, "--stages=classifier"]) == 0
    out, _ = capsys.readouterr()
    assert "3 classes" in out
    assert "stage 1 of 1: classifier, 1 epochs" in out
    assert "val_accuracy" in out
    assert out.endswith("The test split waits for the last stage.\n")
    run = training.open_run(workdir)
    assert list(run.logs()) == ["1-classifier"]
    assert (run.seed, run.recipe.name) == (7, "elope-short")
    assert run.opened_by["seed"] == 4
    assert (run.recipe.image_size, run.recipe.load_size) == (32, 40)
    assert [stage.epochs for stage in run.recipe.stages] == [1, 1, 1, 1]
    model = run.load_model(unfinished=True)
    assert (model.k, model.embedding_dim, model.image_size) == (1, 8, 32)
    log = workdir / "1-classifier" / "log.csv"
    before = log.read_text()

    assert main([*words, "--quiet"]) == 0  # it goes on
    out, _ = capsys.readouterr()
    assert " of 4: " not in out  # no stage is announced
    assert log.read_text() == before  # loaded, not trained again
    assert list(run.logs()) == [
        "1-classifier",
        "2-localizer",
        "3-crops",
        "4-weighted",
    ]
    last = out[out.index("test: 6 images, top-1 ") :]
    assert f"\nmodel: {workdir / 'model.keras'}\nnext:\n" in last
    for command in ("evaluate", "report", "predict", "export"):
        assert f"\n  keras-fgvc {command} --workdir {workdir}" in last
    made_by = json.loads((workdir / "made_by.json").read_text())
    assert made_by["command"].startswith("keras-fgvc train ")
    assert str(workdir) in made_by["command"]
    results = json.loads((workdir / "test.json").read_text())
    assert list(results) == ["weighted"]
    assert f"top-1 {100 * results['weighted']['top1']:.2f} %" in last
    found = evaluation.Predictions.load(workdir / "predictions-test.npz")
    assert len(found.labels) == 6
    figures = evaluation.evaluate_predictions(found)
    assert figures.top1 == results["weighted"]["top1"]


@pytest.mark.parametrize(
    ("corner", "text"),
    [(0.02, "note: 75 % of the boxes are the whole image."), (0.04, "")],
)
def test_boxes_that_are_no_crops_are_told(corner, text, capsys):
    # 0.98^2 is 0.96 of the area, 0.96^2 is 0.92.
    boxes = np.float32([[0, 0, 0.5, 0.5], *[[corner, corner, 1, 1]] * 3])
    train_command._note_whole_images(boxes)
    train_command._note_whole_images(None)
    out = capsys.readouterr().out
    assert out.startswith(text)
    assert bool(out) == bool(text) == ("threshold=0.5" in out)


def test_boxes_of_an_untrained_localizer_are_noted(
    words, fit_is, tmp_path, monkeypatch, capsys
):
    """It cuts out the whole image; the model says which output its box is."""
    fit_is(lambda stages: None)
    run = types.SimpleNamespace(finished_stages=lambda: [4])
    monkeypatch.setattr(training, "open_run", lambda workdir: run)
    (tmp_path / "run").mkdir()
    assert main([*words, "--quiet"]) == 0
    assert "note: 100 % of the boxes" in capsys.readouterr().out


def test_an_interruption_says_how_to_go_on(words, fit_is, tmp_path, capsys):
    def interrupted(stages):
        if stages == [2]:
            raise KeyboardInterrupt

    fit_is(interrupted)
    assert main(words) == 130
    out, err = capsys.readouterr()
    assert "stage 2 of 4: localizer" in out
    assert "stage 3 of 4" not in out
    assert err == (
        "keras-fgvc: interrupted. The same command goes on after the last "
        "finished epoch.\n"
    )
    assert not (tmp_path / "run" / "test.json").exists()


def test_the_test_split_is_left_alone_on_demand(words, fit_is, monkeypatch):
    fit_is(lambda stages: None)
    monkeypatch.setattr(evaluation, "predict", lambda *args, **options: 1 / 0)
    assert main([*words, "--no-test"]) == 0
    assert main(words) == 1  # it would have been looked at


def test_data_without_a_test_split(words, fit_is, tmp_path, capsys):
    pixels = np.zeros((8, 8, 3), "uint8")
    lines = ["path,label,split"]
    for number in range(8):
        keras.utils.save_img(tmp_path / f"{number}.png", pixels + number)
        lines.append(f"{number}.png,{'ab'[number % 2]},train")
    (tmp_path / "split.csv").write_text("\n".join(lines) + "\n")
    fit_is(lambda stages: None)
    assert main([*words, f"--data={tmp_path}"]) == 0
    assert "has no test split" in capsys.readouterr().out


def test_the_plain_network_and_its_one_stage(words, monkeypatch, capsys):
    seen = []

    def fit(model, recipe, images, workdir, **options):
        seen.append((type(model).__name__, recipe, options))

    monkeypatch.setattr(training, "fit", fit)
    plain = ["--baseline", "--arguments=", "--no-test", "--quiet"]
    assert main([*words, *plain]) == 0
    ((name, recipe, options),) = seen
    assert (name, recipe.method, recipe.load_size) == ("Baseline",) * 2 + (32,)
    assert options == {
        "seed": 7,
        "stages": [1],
        "tune_threshold": False,
        "verbose": 0,
    }
    assert "stage 1" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        (
            ["--epochs=dance=2"],
            2,
            "--epochs must name stages of classifier, localizer",
        ),
        (["--arguments=kk=2"], 2, "ELoPE has no argument 'kk'"),
        (["--epochs=crops=0"], 2, "--epochs must be at least 1"),
        (["--backbone=resnet"], 2, "--backbone must be a keras.Model or"),
        (["--weights=gone.h5"], 2, "--weights must be"),
        (["--data=/nowhere"], 1, "--data must be one of"),
        (["--strategy=multiworker"], 1, "needs the environment variable"),
    ],
)
def test_what_cannot_be(more, code, text, words, capsys, monkeypatch):
    monkeypatch.setattr(training, "build_model", BUILD)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert main([*words, *more]) == code
    assert text in capsys.readouterr().err


def test_a_stage_that_the_model_does_not_have(words, capsys):
    assert main([*words, "--stages=classifier,crop"]) == 2
    assert (
        "must be of classifier, localizer, crops, weighted. Received: crop"
        in (capsys.readouterr().err)
    )


def test_broken_images_stop_it_or_are_passed_over(
    words, mixed, photographs, fit_is, tmp_path, capsys
):
    fit_is(lambda stages: None)
    for name in ("red", "green"):
        (mixed / name).mkdir()
        for number, path in enumerate(photographs.glob(f"*/{name}/*.png")):
            (mixed / name / f"{number}.png").write_bytes(path.read_bytes())
    (mixed / "b.png").rename(mixed / "red" / "b.png")
    for name in ("a.png", "c.jpg", "d.JPEG", "deep/e.png"):
        (mixed / name).unlink()
    (mixed / "deep").rmdir()
    words += [f"--data={mixed}", "--no-test"]
    assert main(words) == 1
    assert "Not usable: 1 x broken image" in capsys.readouterr().err
    assert main([*words, "--on-error=skip"]) == 0
    assert "left out: 1 x broken image" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("--arguments=kk=2", "no argument 'kk'"),
        ("--stages=crop", "--stages must be of classifier, localizer"),
        ("--evaluate-after=crop", "--evaluate-after must be of classifier"),
        ("--evaluate-after=all --no-test", "omit --no-test"),
        ("--set=crops.augmentation.rotation=999", "999"),
        ("--backbone=resnet", "Received: --backbone='resnet'"),
        ("--weights=gone.h5", "--weights must be"),
        ("--tune-threshold --stages=crops", "localizer among --stages"),
        ("--tune-threshold --method=fcan", "FCAN has no threshold"),
    ],
)
def test_wrong_words_are_told_before_images_are_read(
    wrong, text, tmp_path, capsys
):
    words = ["train", "--method=elope", "--data=/gone", *wrong.split()]
    assert main([*words, f"--workdir={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert "/gone" not in err


@pytest.mark.slow
def test_the_threshold_is_chosen_and_each_stage_is_evaluated(
    words, photographs, tmp_path, capsys
):
    boxed = shutil.copytree(photographs, tmp_path / "boxed")
    rows = ["path,label,split,x_min,y_min,x_max,y_max"]
    for path in sorted(boxed.glob("*/*/*.png")):
        split, label, _ = path.relative_to(boxed).parts
        rows.append(f"{path.relative_to(boxed)},{label},{split},9,9,30,30")
    (boxed / "split.csv").write_text("\n".join(rows) + "\n")
    words += [f"--data={boxed}", "--quiet", "--tune-threshold"]
    workdir = tmp_path / "run"

    early = ["--stages=classifier,localizer", "--evaluate-after=all"]
    assert main([*words, *early]) == 0
    out = capsys.readouterr().out
    value = training.open_run(workdir).load_model(unfinished=True).threshold
    assert f"2-localizer: threshold {value} is best on validation." in out
    assert "test after classifier: 6 images, top-1" in out
    assert "waits" not in out
    results = json.loads((workdir / "test.json").read_text())
    assert list(results) == ["classifier", "localizer"]

    (workdir / "2-localizer" / "threshold.json").write_text("0.9")
    assert main([*words, "--evaluate-after=crops"]) == 0
    out = capsys.readouterr().out
    assert "is best on validation" not in out
    assert [line[:19] for line in out.splitlines() if "top-1" in line] == [
        "test after crops: 6",
        "test after weighted",
    ]
    assert training.open_run(workdir).load_model().threshold == 0.9
    results = json.loads((workdir / "test.json").read_text())
    assert list(results) == ["classifier", "localizer", "crops", "weighted"]
    path = workdir / "predictions-test.npz"
    before = path.read_bytes()
    assert main([*words, *early]) == 0
    assert path.read_bytes() == before  # of the model that lies there


@pytest.mark.slow
def test_more_epochs_on_a_finished_folder(words, tmp_path, capsys):
    words += ["--stages=classifier", "--no-test"]
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "--epochs=classifier=2"]) == 0
    out = capsys.readouterr().out
    assert "1-classifier: 1 epochs are done, goes on to 2." in out
    assert main([*words, "--stages=localizer", "--epochs=classifier=2"]) == 0
    capsys.readouterr()
    # What cannot be is told before any image is read.
    words += ["--data=/gone"]
    for more, text in (
        ("--epochs=classifier=1", "1-classifier in .* has 2 epochs done"),
        ("--epochs=classifier=3", "2-localizer went on from it. Remove"),
        ("--seed=8", "holds another run: .*seed"),
        ("--precision=mixed_bfloat16", "precision was float32, now mixed"),
    ):
        more = ["--epochs=1", "--epochs=classifier=2", more]
        assert main([*words, *more]) == 2
        assert re.search(text, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("noted", "text"),
    [
        ("random", "random weights"),
        ("imagenet", "ImageNet weights"),
        ("a.h5 (sha256 0)", "the weights of a.h5 (sha256 0)"),
    ],
)
def test_what_the_network_begins_with(noted, text):
    assert train_command._origin(noted) == text
