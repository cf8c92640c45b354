"""examples/trained_runs.py: which runs are seeds of one row."""

import dataclasses
import importlib.util
import json
import pathlib
import shutil
import zipfile

import keras
import pytest

from keras_fgvc import data, models, recipes, training
from tests import tiny

EXAMPLES = pathlib.Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def script():
    path = EXAMPLES / "trained_runs.py"
    spec = importlib.util.spec_from_file_location("trained_runs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_run(
    workdir, *, seed=0, model=None, config=None, recipe=None, stages=None
):
    """A work directory as `training.fit` leaves it, but for the weights."""
    recipe = recipe or recipes.get("elope-short").replace(method="Baseline")
    workdir.mkdir(parents=True)
    stages = range(1, len(recipe.stages) + 1) if stages is None else stages
    for number in stages:
        folder = workdir / f"{number}-{recipe.stages[number - 1].name}"
        folder.mkdir()
        (folder / "done.json").write_text("{}")
    if model is not None:
        model.save(workdir / "model.keras")
    else:
        usual = {"backbone": "mobilenet_v2", "dtype": {"config": {}}}
        usual["dtype"]["config"]["name"] = "float32"
        usual.update(name="baseline", num_classes=3, **(config or {}))
        with zipfile.ZipFile(workdir / "model.keras", "w") as file:
            file.writestr("config.json", json.dumps({"config": usual}))
    run = {"recipe": dataclasses.asdict(recipe), "seed": seed, "classes": []}
    (workdir / "run.json").write_text(json.dumps(run))
    return str(workdir)


def rows_of(script, *arguments):
    """The names of the rows, each with its seeds; and the problems."""
    problems = []
    entries = [script.read_entry(argument) for argument in arguments]
    rows = script.make_rows(entries, problems)
    seeds = {n: [e.run.seed for e in row] for n, row in rows.items()}
    return seeds, problems


def test_seeds_of_one_network_made_in_one_process(script, tmp_path):
    """Their layers' numbers, objects' ids, stages and taus differ."""
    folders, kept = [], []
    for seed in (3, 0):
        keras.config.set_dtype_policy("float32")  # a new object, shared
        model = models.ELoPE(
            tiny.backbone(), 3, image_size=32, tap=8, threshold=0.3 + seed / 10
        )
        kept.append(model)  # or the next has its place in memory
        recipe = recipes.get("elope-short")
        folder = tmp_path / f"{seed}"
        folders.append(write_run(folder, seed=seed, model=model, recipe=recipe))
    assert rows_of(script, *folders) == ({"ELoPE": [0, 3]}, [])


def test_another_network_is_another_row(script, tmp_path):
    image = keras.Input((None, None, 3))
    convolution = keras.layers.Conv2D(11, 3, strides=8, padding="same")
    other = keras.Model(image, convolution(image))
    folders = [
        write_run(
            tmp_path / name, seed=seed, model=models.Baseline(net, 3, tap=8)
        )
        for seed, (name, net) in enumerate(
            {"a": tiny.backbone(), "b": other}.items()
        )
    ]
    rows, _ = rows_of(script, *folders)
    assert len(rows) == 2
    assert all(name.startswith("Baseline backbone=") for name in rows)


def test_rows_are_named_by_what_differs(script, tmp_path):
    short = recipes.get("elope-short").replace(method="Baseline")
    bright = data.Augmentation(brightness=0.31)
    bright = dataclasses.replace(short.stages[0], augmentation=bright)
    bright = short.replace(stages=(bright, *short.stages[1:]))
    cases = {
        "Baseline": {},
        "Baseline pooling=max": {"config": {"pooling": "max"}},
        "Baseline dtype=mixed_float16": {
            "config": {"dtype": {"config": {"name": "mixed_float16"}}}
        },
        "Baseline batch_size=3": {"recipe": short.replace(batch_size=3)},
        "Baseline 1-classifier.epochs=99": {
            "recipe": short.with_epochs(classifier=99)
        },
        "Baseline stages=classifier": {"stages": [1]},
    }
    folders = [
        write_run(tmp_path / str(number), seed=number, **case)
        for number, case in enumerate(cases.values())
    ]
    folders.append(write_run(tmp_path / "bright", recipe=bright))
    rows, problems = rows_of(script, *folders)
    assert problems == []
    assert list(rows)[:-1] == list(cases)
    assert "1-classifier.augmentation.brightness=0.31" in list(rows)[-1]
    # What all of them have is in no name.
    assert list(rows_of(script, folders[3])[0]) == ["Baseline"]


def test_threshold_given_to_the_training_counts(script, tmp_path):
    short = recipes.get("elope-short")
    folders = [
        write_run(
            tmp_path / str(tau),
            config={"threshold": 0.6},
            recipe=short.replace(arguments={"threshold": tau}),
        )
        for tau in (0.3, 0.5)
    ]
    rows, _ = rows_of(script, *folders)
    assert list(rows) == ["ELoPE", "ELoPE threshold=0.5"]


def test_names_of_ones_own(script, tmp_path):
    first = write_run(tmp_path / "a=b")
    second = write_run(tmp_path / "c", seed=1)
    third = write_run(tmp_path / "d", config={"pooling": "max"})
    rows, _ = rows_of(script, first, f"GAP={second}", f"GAP={third}")
    assert rows == {"Baseline": [0], "GAP": [1], "GAP pooling=max": [0]}


def test_one_seed_counts_once(script, tmp_path):
    first = write_run(tmp_path / "a", seed=5)
    shutil.copytree(first, tmp_path / "b")
    rows, problems = rows_of(script, first, str(tmp_path / "b"))
    assert rows == {"Baseline": [5]}
    assert len(problems) == 1
    assert problems[0].startswith(
        f"{tmp_path / 'b'} has the settings and the seed (5) of {first}"
    )


def test_runs_that_are_not_whole(script, tmp_path):
    folder = pathlib.Path(write_run(tmp_path / "run"))
    (folder / "2-localizer" / "done.json").unlink()
    with pytest.raises(ValueError, match="unfinished: its stage 'localizer'"):
        script.read_entry(str(folder))
    (folder / "2-localizer" / "done.json").write_text("{}")
    (folder / "model.keras").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"model\.keras is damaged"):
        script.read_entry(str(folder))
    (folder / "model.keras").unlink()
    with pytest.raises(ValueError, match=r"has no trained model\.keras yet"):
        script.read_entry(str(folder))
    with pytest.raises(ValueError, match="holds no run"):
        script.read_entry(str(tmp_path))


def test_a_method_of_ones_own(script, tmp_path):
    recipe = recipes.get("elope-short").replace(name="mine", method="Mine")
    folder = write_run(tmp_path / "run", recipe=recipe)
    entry = script.read_entry(folder)
    assert (entry.name, entry.recipe["recipe"]) == ("Mine", "mine")
    assert entry.recipe["1-classifier.epochs"] > 0
    # Beside it another recipe is named, not taken to pieces.
    other = write_run(tmp_path / "other", config={"tap": 8})
    rows, _ = rows_of(script, f"net={folder}", f"net={other}")
    assert list(rows) == ["net recipe=mine", "net recipe=elope-short, tap=8"]
    assert training.open_run(folder).recipe.method == "Mine"
