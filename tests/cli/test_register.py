"""A sixth method, in a user's file, through the whole command line."""

import json
import pathlib

import pytest

from keras_fgvc import training
from keras_fgvc.cli import main
from keras_fgvc.models import registry
from tests import tiny

FILE = pathlib.Path(__file__).parents[2] / "examples" / "sixth_method.py"
BUILD = training.build_model


def build_tiny(recipe, backbone, num_classes, *, weights):
    recipe = recipe.replace(arguments={"tap": 8})
    return BUILD(recipe, tiny.backbone(), num_classes)


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(training, "build_model", build_tiny)
    for name in ("_METHODS", "_RECIPES"):
        copy = dict(getattr(registry, name))
        monkeypatch.setattr(registry, name, copy)


@pytest.mark.slow
def test_a_sixth_method_is_trained_evaluated_and_exported(
    photographs, tmp_path, capsys
):
    workdir, served = tmp_path / "run", tmp_path / "served"
    register = f"--register={FILE}"
    train = ["train", register, "--method=mean_max", f"--data={photographs}"]
    train += ["--image-size=32", "--batch-size=4", "--epochs=1"]
    assert main([*train, f"--workdir={workdir}", "--quiet"]) == 0
    assert training.open_run(workdir).recipe.method == "MeanMax"
    capsys.readouterr()
    run = [register, f"--workdir={workdir}"]
    assert main(["evaluate", *run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 6
    assert main(["export", *run, f"--out={served}"]) == 0
    assert (served / "saved_model.pb").exists()
    meanings = json.loads((served / "assets.extra/outputs.json").read_text())
    assert meanings["activity"]["kind"] == "MapOf"
    (image, *_) = sorted((photographs / "test").rglob("*.png"))
    picture = tmp_path / "seen.png"
    assert main(["explain", *run, f"--out={picture}", str(image)]) == 0
    assert picture.exists()


def test_a_method_that_no_file_registers_is_refused(tmp_path, capsys):
    words = ["train", "--method=mean_max", "--data=d", "--workdir=w"]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "--method must be one of baseline, " in err
    assert "or of yours with --register. Received: mean_max." in err
    assert main([*words, f"--register={tmp_path / 'none.py'}"]) == 1
    assert "none.py" in capsys.readouterr().err
