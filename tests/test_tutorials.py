"""The notebooks of docs/tutorials, cell by cell, on few images.

`make docs` executes them as they stand.
"""

import json
import pathlib
import runpy

import keras
import pytest

from keras_fgvc import data

ROOT = pathlib.Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))
IMAGES = {"train": 60, "rest": 20}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="once is enough"
    ),
]


@pytest.fixture
def few_images(monkeypatch):
    """Makes few of the images that a notebook asks for."""
    make = data.cluttered_digits

    def cluttered_digits(train, validation, test, **options):
        del train, validation, test
        rest = IMAGES["rest"]
        return make(IMAGES["train"], rest, rest, **options)

    monkeypatch.setattr(data, "cluttered_digits", cluttered_digits)


def code_of(path):
    cells = json.loads(path.read_text())["cells"]
    return ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]


def test_there_are_notebooks():
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, few_images, monkeypatch, tmp_path):
    pytest.importorskip("IPython")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(tmp_path)
    pyplot.switch_backend("agg")
    script = tmp_path / "notebook.py"
    script.write_text("\n\n".join(code_of(path)))
    runpy.run_path(str(script))
    pyplot.close("all")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
