"""Photographs, and one tiny training on them, for all commands."""

import shutil

import keras
import pytest

from keras_fgvc import data, models, recipes, training
from tests import tiny
from tests.eager import eager_steps
from tests.shared_folders import once

NAMES = ("blue", "green", "red")
LOAD_SIZE = 40


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """Class folders below train and test; PNG, so that pixels are exact."""
    return once(tmp_path_factory, "photographs", write_photographs)


def write_photographs(root):
    for seed, (split, count) in enumerate((("train", 18), ("test", 6))):
        images, labels = tiny.images_and_labels(count, size=47, seed=seed)
        for number, (image, label) in enumerate(
            zip(images, labels, strict=True)
        ):
            path = root / split / NAMES[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            keras.utils.save_img(path, image, scale=False)


@pytest.fixture(scope="session")
def trained(photographs, tmp_path_factory):
    """The folder of a run: ELoPE, one epoch of each of its stages."""

    def make(workdir):
        train(photographs, workdir)

    return once(tmp_path_factory, "colours", make)


def train(photographs, workdir):
    images = data.open_dataset(str(photographs))
    recipe = recipes.get("elope-short").replace(
        image_size=tiny.SIZE, load_size=LOAD_SIZE, batch_size=4
    )
    recipe = recipe.with_epochs(classifier=1, localizer=1, crops=1, weighted=1)
    keras.utils.set_random_seed(3)
    model = models.ELoPE(
        tiny.backbone(),
        3,
        image_size=tiny.SIZE,
        embedding_dim=7,
        threshold=0.7,
        tap=8,
    )
    with eager_steps():
        training.fit(model, recipe, images, workdir, verbose=0)


@pytest.fixture
def workdir(trained, tmp_path):
    """A copy of that folder, to write into."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def mixed(photographs, tmp_path):
    """A folder of five files: good, cut short, empty, text, good."""
    folder = tmp_path / "mixed"
    (folder / "deep").mkdir(parents=True)
    good = (photographs / "test" / "red" / "2.png").read_bytes()
    (folder / "a.png").write_bytes(good)
    (folder / "b.png").write_bytes(good[: len(good) // 2])
    (folder / "c.jpg").write_bytes(b"")
    (folder / "d.JPEG").write_text("no image")
    other = photographs / "test" / "blue" / "3.png"
    shutil.copy(other, folder / "deep" / "e.png")
    (folder / "notes.txt").write_text("passed over")
    (folder / ".hidden.png").write_text("passed over")
    (folder / ".hidden").mkdir()
    shutil.copy(other, folder / ".hidden" / "f.png")
    return folder
