"""The threshold that `fit` chooses on the validation split."""

import dataclasses
import json

import keras
import pytest

from keras_fgvc import models, training
from tests import tiny
from tests.training import run_tiny

pytestmark = pytest.mark.usefixtures("eager")
DATA = tiny.labeled_images()
PLAIN = dataclasses.replace(
    DATA,
    splits={
        name: dataclasses.replace(part, boxes=None)
        for name, part in DATA.splits.items()
    },
)
RECIPE = run_tiny.recipe().with_epochs(
    classifier=1, localizer=1, crops=1, weighted=1
)


def fit(workdir, stages, tune_threshold=True, data=DATA, model=None):
    model = model or run_tiny.model()
    training.fit(
        model,
        RECIPE,
        data,
        workdir,
        stages=stages,
        tune_threshold=tune_threshold,
        verbose=0,
    )
    return model


def saved(workdir):
    return keras.saving.load_model(workdir / "model.keras")


@pytest.mark.slow
def test_it_goes_from_one_call_to_the_next(tmp_path, capsys):
    fit(tmp_path, ["classifier"])
    assert not list(tmp_path.glob("*/threshold.json"))
    tuned = fit(tmp_path, ["localizer"])
    path = tmp_path / "2-localizer" / "threshold.json"
    value = json.loads(path.read_text())
    assert value == tuned.threshold == saved(tmp_path).threshold
    text = f"2-localizer: threshold {value} is best on validation."
    assert text in capsys.readouterr().out

    path.write_text("0.9")  # no choice that can come by itself
    assert fit(tmp_path, ["localizer"]).threshold == 0.9
    seen = []
    model = run_tiny.model()
    compute = model.loss_terms

    def watch(*arguments):
        seen.append(model.localizer.threshold)
        return compute(*arguments)

    model.loss_terms = watch
    fit(tmp_path, ["crops"], tune_threshold=False, model=model)
    assert set(seen) == {0.9}  # in training, from the first step
    assert saved(tmp_path).threshold == 0.9
    fit(tmp_path, ["classifier", "localizer"])
    assert (saved(tmp_path).threshold, saved(tmp_path).stage) == (0.9, "crops")
    assert path.read_text() == "0.9"


def test_too_late(tmp_path):
    fit(tmp_path, ["classifier", "localizer", "crops"], tune_threshold=False)
    with pytest.raises(ValueError, match=r"too late in .*: 3-crops went on"):
        fit(tmp_path, ["localizer"])


@pytest.mark.parametrize(
    ("model", "data", "text"),
    [
        (models.Baseline, DATA, "Baseline with .* has no threshold"),
        (models.ELoPE, DATA, "ELoPE with .* has no threshold"),
        (None, PLAIN, "tiny has no boxes to choose a threshold by"),
    ],
)
def test_where_there_is_nothing_to_choose(model, data, text, tmp_path):
    """It is said before anything is trained."""
    if model is not None:
        options = {} if model is models.Baseline else {"localize": False}
        model = model(tiny.backbone(), tiny.NUM_CLASSES, tap=8, **options)
    with pytest.raises(ValueError, match=text):
        fit(tmp_path, ["classifier"], data=data, model=model)
    assert not any(tmp_path.iterdir())


def test_methods_name_a_stage_of_their_own():
    for method in (models.ELoPE, models.Coarse2Fine):
        model = method(tiny.backbone(), 3, image_size=tiny.SIZE, tap=8)
        assert model.threshold_stage in model.stages
        model.set_threshold(0.4)
