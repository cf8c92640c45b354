"""The plain network is a method of the command line like any other."""

import keras

from keras_fgvc import models, training
from keras_fgvc.cli import main


def test_the_plain_network_by_its_own_recipe(photographs, tmp_path, capsys):
    words = ["train", "--method=baseline", f"--data={photographs}"]
    words += [f"--workdir={tmp_path / 'run'}", "--backbone=mobilenet_v2"]
    words += ["--arguments=tap=8", "--image-size=32", "--batch-size=4"]
    words += ["--epochs=1", "--quiet", "--weights=none"]
    assert main([*words, "--precision=mixed_bfloat16"]) == 0
    out = capsys.readouterr().out
    assert "backbone mobilenet_v2 begins with random weights\n" in out
    assert "test: 6 images, top-1" in out
    run = training.open_run(tmp_path / "run")
    assert run.recipe.name == "baseline-short"
    assert isinstance(run.load_model(), models.Baseline)
    assert run.load_model().dtype_policy.name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    assert main(words) == 2  # in the precision of the process
    err = capsys.readouterr().err
    assert "precision was mixed_bfloat16, now float32" in err
