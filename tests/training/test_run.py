import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_fgvc import data, models, recipes, training
from tests import tiny


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for name in ("red", "green"):
        (folder / name).mkdir()
        for number in range(7):
            pixels = rng.integers(0, 256, (19, 23, 3), "uint8")
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def trained(photographs, tmp_path_factory):
    """A run of two epochs: its folder, data and model."""
    workdir = tmp_path_factory.mktemp("runs") / "birds"
    images = data.open_dataset(str(photographs), seed=5)
    recipe = recipes.get("elope-short").replace(
        method="Baseline", image_size=24, load_size=24, batch_size=4
    )
    model = models.Baseline(tiny.backbone(), 2, tap=8)
    training.fit(
        model,
        recipe.with_epochs(classifier=2),
        images,
        workdir,
        seed=3,
        verbose=0,
    )
    return workdir, images, model


def edit_run(workdir, **changes):
    path = workdir / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def go_on(workdir, images):
    """The same training again; all of its stages are finished."""
    return training.fit(
        models.Baseline(tiny.backbone(), 2, tap=8),
        training.open_run(workdir).recipe,
        images,
        workdir,
        seed=3,
        verbose=0,
    )


def test_what_the_network_began_with(photographs, tmp_path):
    images = data.open_dataset(str(photographs), seed=5)
    recipe = recipes.get("elope-short").replace(
        method="Baseline", image_size=24, load_size=24, batch_size=4
    )
    recipe = recipe.with_epochs(classifier=1)

    def fit(initial_weights):
        model = models.Baseline(tiny.backbone(), 2, tap=8)
        model.initial_weights = initial_weights
        training.fit(model, recipe, images, tmp_path, verbose=0)
        return training.open_run(tmp_path).initial_weights

    assert fit("imagenet") == "imagenet"
    assert fit(None) == "imagenet"  # not told is no contradiction
    with pytest.raises(ValueError, match="another run: initial_weights differ"):
        fit("a.h5 (sha256 0)")


def test_everything_comes_back(trained):
    workdir, images, model = trained
    run = training.open_run(workdir)
    assert (run.seed, run.class_names) == (3, ("green", "red"))
    assert run.recipe.stages[0].epochs == 2
    assert list(run.logs()) == ["1-classifier"]
    assert len(run.logs()["1-classifier"]) == 2
    assert run.finished_stages() == [1]
    pixels, _ = tiny.images_and_labels(3, size=24)
    np.testing.assert_array_equal(
        run.load_model().predict_on_batch(pixels)["probabilities"],
        model.predict_on_batch(pixels)["probabilities"],
    )
    again = run.open_data()
    for split in ("train", "validation", "test"):
        assert again.subset(split).paths == images.subset(split).paths


def test_data_that_was_moved(trained, photographs, tmp_path):
    workdir, images, _ = trained
    moved = tmp_path / "elsewhere"
    moved.symlink_to(photographs, target_is_directory=True)
    again = training.open_run(workdir).open_data(moved)
    assert again.split_sizes == images.split_sizes
    # Going on with it is no other run.
    opened_by = training.open_run(workdir).opened_by
    edit_run(workdir, opened_by={**opened_by, "name_or_path": "/gone"})
    with pytest.raises(ValueError, match=r"looked for at /gone"):
        training.open_run(workdir).open_data()
    go_on(workdir, images)
    training.open_run(workdir).open_data()


@pytest.mark.slow
def test_where_the_data_lie_now_is_noted(trained, photographs, tmp_path):
    workdir = shutil.copytree(trained[0], tmp_path / "run")
    moved = shutil.copytree(photographs, tmp_path / "elsewhere")
    edit_run(workdir, initial_weights="imagenet")
    go_on(workdir, data.open_dataset(str(moved), seed=5))
    run = training.open_run(workdir)
    assert run.opened_by["name_or_path"] == str(moved)
    # The model that went on does not know, and takes nothing away.
    assert run.initial_weights == "imagenet"
    in_memory = dataclasses.replace(
        data.open_dataset(str(moved), seed=5).in_memory(24), opened_by={}
    )
    go_on(workdir, in_memory)  # other kinds of storage cannot be compared
    assert training.open_run(workdir) == run


def test_another_cut_of_the_same_files_is_refused(trained, photographs):
    """Of the same size, with images to test that were trained on."""
    workdir, images, _ = trained
    other = data.open_dataset(str(photographs), seed=6)
    assert other.split_sizes == images.split_sizes
    before = (workdir / "run.json").read_text()
    with pytest.raises(
        ValueError, match=r"another run: the images in train, .*test differ"
    ):
        go_on(workdir, other)
    assert (workdir / "run.json").read_text() == before


def test_files_that_came_since_are_told(trained, photographs, tmp_path):
    workdir, _, _ = trained
    folder = shutil.copytree(photographs, tmp_path / "copy")
    run = training.open_run(workdir)
    run.open_data(folder)
    pixels = np.zeros((19, 23, 3), "uint8")
    Image.fromarray(pixels).save(folder / "red" / "00.png")
    with pytest.raises(
        ValueError, match=r"copy has other images than the run.*test.*added"
    ):
        run.open_data(folder)
    # Runs of before there were digests.
    dataclasses.replace(run, image_digests={}, label_digests={}).open_data(
        folder
    )


def test_other_classes_are_refused(trained, photographs, tmp_path):
    workdir, _, _ = trained
    for old, new in (("red", "crimson"), ("green", "green")):
        (tmp_path / new).symlink_to(photographs / old, target_is_directory=True)
    with pytest.raises(
        ValueError, match=r"missing \['red'\], not known \['crimson'\]"
    ):
        training.open_run(workdir).open_data(tmp_path)


def test_folders_that_are_no_runs(trained, tmp_path):
    with pytest.raises(ValueError, match=r"holds no run: it has no run.json"):
        training.open_run(tmp_path)
    workdir, _, _ = trained
    run = dataclasses.replace(
        training.open_run(workdir), workdir=tmp_path, opened_by={}
    )
    with pytest.raises(ValueError, match=r"no model\.keras yet.*goes on after"):
        run.load_model()
    with pytest.raises(ValueError, match="does not tell what data"):
        run.open_data()


@pytest.mark.parametrize("name", recipes.available())
def test_recipes_go_through_json(name):
    recipe = recipes.get(name)
    text = json.dumps(dataclasses.asdict(recipe))
    assert recipes.from_dict(json.loads(text)) == recipe
