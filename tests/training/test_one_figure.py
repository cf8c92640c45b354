"""A run has one figure for a split, whoever computes it."""

import json

import keras
import numpy as np
import pytest

from keras_fgvc import data, evaluation, models, recipes, training
from keras_fgvc.cli import main
from tests import tiny
from tests.cli.conftest import photographs

__all__ = ["photographs"]  # the fixture
IN_MEMORY, LOAD_SIZE = 41, 32  # the files have 47 pixels per side


def train(images, workdir):
    recipe = recipes.get("elope-short").replace(
        method="Baseline", image_size=32, load_size=LOAD_SIZE, batch_size=4
    )
    keras.utils.set_random_seed(3)
    model = models.Baseline(tiny.backbone(), 3, tap=8)
    training.fit(
        model, recipe.with_epochs(classifier=1), images, workdir, verbose=0
    )
    return evaluation.predict(model, images, load_size=LOAD_SIZE)


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("in_memory", [False, True])
def test_every_way_computes_the_same(in_memory, photographs, tmp_path, capsys):
    images = data.open_dataset(str(photographs))
    if in_memory:  # and so resized twice
        images = images.in_memory(IN_MEMORY)
    workdir = tmp_path / "run"
    saved = train(images, workdir)
    run = training.open_run(workdir)
    again = evaluation.predict(
        run.load_model(), run.open_data(), load_size=run.recipe.load_size
    )
    np.testing.assert_allclose(
        again.probabilities, saved.probabilities, atol=1e-6
    )
    assert again.image_digest == saved.image_digest
    top1 = evaluation.evaluate_predictions(saved).top1
    assert run.evaluate().top1 == top1
    assert main(["evaluate", f"--workdir={workdir}", "--json"]) == 0
    *_, line = capsys.readouterr().out.splitlines()
    assert json.loads(line)["top1"] == top1
    run.report(num_images=1, num_mistakes=0, num_pairs=1)
    assert f"top-1 {100 * top1:.2f} %" in capsys.readouterr().out
    page = (workdir / "report.html").read_text(encoding="utf-8")
    assert f"{100 * top1:.1f} %" in page
