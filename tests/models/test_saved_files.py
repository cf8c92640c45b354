"""Files of version 0.8.0 load, and compute what they computed then."""

import pathlib

import keras
import numpy as np
import pytest

import keras_fgvc  # noqa: F401  (registers the classes)
from tests import tiny

FOLDER = pathlib.Path(__file__).with_name("saved_0_8_0")
FILES = sorted(FOLDER.glob("*.keras"))


@pytest.mark.compiled
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_of_0_8_0_gives_the_same(path):
    images, _ = tiny.images_and_labels(2)
    model = keras.saving.load_model(path)
    with np.load(FOLDER / "outputs.npz") as before:
        expected = {
            name.removeprefix(f"{path.stem}/"): before[name]
            for name in before.files
            if name.startswith(f"{path.stem}/")
        }
    received = model.predict(images, verbose=0)
    assert expected
    for name, values in expected.items():
        np.testing.assert_allclose(
            received[name], values, rtol=2e-4, atol=2e-5, err_msg=name
        )
