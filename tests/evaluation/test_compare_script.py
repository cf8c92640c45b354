"""examples/compare.py as a user runs it, on runs of a few steps."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_fgvc import data, evaluation, models, recipes, training
from tests import tiny
from tests.serving.client import load as load_script

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent.parent
SIZE = 24


def write_folder(root):
    names = ("blue", "green", "red")
    for split, count in (("train", 12), ("test", 9)):
        images, labels = tiny.images_and_labels(count, size=SIZE, seed=count)
        for number, (image, label) in enumerate(
            zip(images, labels, strict=True)
        ):
            path = root / split / names[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            keras.utils.save_img(path, image, scale=False)
    return root


def train(workdir, folder):
    """A run of one epoch of the plain network."""
    images = data.open_dataset(str(folder), seed=0)
    recipe = recipes.get("elope-short").replace(
        method="Baseline", image_size=SIZE, load_size=SIZE, batch_size=4
    )
    model = models.Baseline(tiny.backbone(), 3, tap=8)
    training.fit(
        model, recipe.with_epochs(classifier=1), images, workdir, verbose=0
    )


def make_like(workdir, other, method="Baseline", seed=0, **arguments):
    """A run as if another model had been trained beside the first."""
    shutil.copytree(other, workdir)
    options = {"image_size": SIZE} if method == "ELoPE" else {}
    make = getattr(models, method)
    model = make(tiny.backbone(), 3, tap=8, **options, **arguments)
    model.save(workdir / "model.keras")
    (workdir / "checksums.json").unlink(missing_ok=True)  # of another model
    edit_run(workdir, lambda run: run.update(seed=seed))
    edit_run(workdir, lambda run: run["recipe"].update(method=method))


def edit_run(workdir, edit):
    path = workdir / "run.json"
    run = json.loads(path.read_text())
    edit(run)
    path.write_text(json.dumps(run))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Four runs with their predictions, beside their photographs."""
    root = tmp_path_factory.mktemp("runs")
    first = root / "plain-0"
    train(first, write_folder(root / "photos"))
    make_like(root / "plain-1", first, seed=1)
    make_like(root / "max", first, pooling="max")
    make_like(root / "elope", first, method="ELoPE", k=1)
    for path in root.glob("*/model.keras"):
        run = training.open_run(path.parent)
        found = evaluation.predict(
            run.load_model(unfinished=True),
            run.open_data(),
            load_size=SIZE,
        )
        found.save(path.with_name("predictions-test.npz"))
    return root


@pytest.fixture
def copy(runs, tmp_path):
    """Copies of the runs; their data still lie where they lay."""
    photos = shutil.ignore_patterns("photos")
    return shutil.copytree(runs, tmp_path / "runs", ignore=photos)


def load(folder):
    return evaluation.Predictions.load(folder / "predictions-test.npz")


def change(folder, **changes):
    """Saves other predictions for a run."""
    found = dataclasses.replace(load(folder), **changes)
    found.save(folder / "predictions-test.npz")


def compare(*arguments, cwd):
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "compare.py"), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def names_of(output):
    rows = [line for line in output.splitlines() if line.startswith("| ")]
    return [row.split(" | ")[0].removeprefix("| ") for row in rows[1:]]


def test_table_of_seeds_and_methods(copy):
    expected = {path.name: load(path) for path in copy.iterdir()}
    for name in ("plain-0", "elope"):
        (copy / name / "predictions-test.npz").unlink()
    arguments = ("elope", "plain-1", "max", "plain-0", "--out=table")
    process = compare(*arguments, cwd=copy)
    assert process.returncode == 0, process.stderr[-3000:]
    assert names_of(process.stdout) == [
        "ELoPE", "Baseline", "Baseline pooling=max",
    ]  # fmt: skip
    table = (copy / "table" / "comparison.md").read_text()
    assert table.strip() in process.stdout
    assert (copy / "table" / "comparison.png").stat().st_size > 1000
    found = json.loads((copy / "table" / "comparison.json").read_text())
    assert found["baseline"] == "Baseline"
    plain = found["rows"]["Baseline"]
    assert plain["workdirs"] == ["plain-0", "plain-1"]
    seeds = [expected[name] for name in plain["workdirs"]]
    each = [evaluation.evaluate_predictions(seed).top1 for seed in seeds]
    assert [seed["top1"] for seed in plain["seeds"]] == pytest.approx(each)
    assert plain["comparison"]["mean"] == pytest.approx(sum(each) / 2)
    for name in ("plain-0", "elope"):
        assert f"{name}: predicting" in process.stdout
        np.testing.assert_allclose(
            load(copy / name).probabilities,
            expected[name].probabilities,
            atol=1e-6,
        )
    assert process.stdout.count("predicting") == 2


def test_what_cannot_be_in_the_table_is_named(copy):
    for name in ("twin", "other-images", "other-classes"):
        shutil.copytree(copy / "plain-1", copy / name)
    edit_run(copy / "other-images", lambda run: run.update(seed=2))
    edit_run(copy / "other-classes", lambda run: run.update(seed=3))
    change(copy / "other-images", image_digest="files 0")
    change(copy / "other-classes", class_names=("crow", "jay", "owl"))
    (copy / "max" / "1-classifier" / "done.json").unlink()
    (copy / "elope" / "model.keras").write_bytes(b"not whole")
    (copy / "nothing").mkdir()
    names = [
        "plain-0", "plain-1", "twin", "max", "elope", "nothing",
        "other-images", "other-classes",
    ]  # fmt: skip
    process = compare(*names, cwd=copy)
    assert process.returncode == 1, process.stderr[-3000:]
    assert names_of(process.stdout) == ["Baseline"]
    assert "| Baseline | 2 |" in process.stdout
    left_out = process.stderr.partition("left out:")[2]
    for text in (
        "twin has the settings and the seed (1) of plain-1",
        "max is unfinished: its stage 'classifier' was interrupted",
        "elope/model.keras is damaged",
        "nothing holds no run: it has no run.json",
        "other-images was not tested on the images of plain-0: other images "
        "with the same labels",
        "other-classes was not tested on the images of plain-0: other classes",
    ):
        assert text in left_out
    assert left_out.count("\n- ") == 6


def test_networks_that_began_with_other_weights_are_other_rows(copy):
    trained_runs = load_script("examples/trained_runs.py")
    edit_run(
        copy / "plain-1", lambda run: run.update(initial_weights="imagenet")
    )
    entries = [
        trained_runs.read_entry(str(copy / name))
        for name in ("plain-0", "plain-1")
    ]
    assert list(trained_runs.make_rows(entries, problems := [])) == [
        "Baseline initial_weights=not told",
        "Baseline initial_weights=imagenet",
    ]
    assert not problems


def test_predictions_older_than_the_model_are_made_again(copy):
    expected = load(copy / "plain-0").probabilities
    wrong = np.roll(np.eye(3)[load(copy / "plain-0").labels], 1, axis=1)
    for name, age in (("plain-0", 1), ("plain-1", 0)):
        change(copy / name, probabilities=wrong)
        path = copy / name / "predictions-test.npz"
        written = path.stat().st_mtime_ns + age
        os.utime(copy / name / "model.keras", ns=(written, written))
    names = ("old=plain-0", "new=plain-1")
    process = compare(*names, "--verbose=0", cwd=copy)
    assert process.returncode == 0, process.stderr[-3000:]
    assert "plain-0: predicting" in process.stdout
    assert "plain-1: predicting" not in process.stdout
    assert "| new | 1 | 0.00 |" in process.stdout
    np.testing.assert_allclose(
        load(copy / "plain-0").probabilities, expected, atol=1e-6
    )


def test_data_that_were_moved(copy, runs):
    (copy / "moved").symlink_to(runs / "photos", target_is_directory=True)
    for name in ("plain-0", "plain-1"):
        edit_run(copy / name, lambda run: run.update(opened_by={}))
    (copy / "plain-0" / "predictions-test.npz").unlink()
    names = ("one=plain-0", "two=plain-1")
    process = compare(*names, cwd=copy)
    assert process.returncode == 1
    assert "does not tell what data" in process.stderr
    assert "no run of 'one' is left to compare with" in process.stderr
    process = compare(*names, "--data=moved", "--baseline=two", cwd=copy)
    assert process.returncode == 0, process.stderr[-3000:]
    assert names_of(process.stdout) == ["one", "two"]
    assert "| less two |" in process.stdout


def test_a_baseline_that_is_no_row(copy):
    names = ("one=plain-0", "two=plain-1")
    process = compare(*names, "--baseline=three", cwd=copy)
    assert process.returncode == 1
    assert "--baseline='three' is no row; there is 'one', 'two'" in (
        process.stderr
    )
