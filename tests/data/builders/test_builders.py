"""Finding a builder by its name."""

import os
import subprocess
import sys

import pytest

from keras_fgvc.data import builders

SCRIPT = """
import sys
for name in ("tensorflow", "tensorflow_datasets", "PIL"):
    sys.modules[name] = None  # Importing it would raise ImportError.
from keras_fgvc.data import builders
print(builders.available())
"""
NAMES = (
    "adience",
    "fgvc_aircraft",
    "nabirds",
    "stanford_cars",
    "uec_food100",
)


def test_they_are_listed_without_anything_heavy():
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"KERAS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert str(NAMES) in finished.stdout, finished.stderr


@pytest.mark.parametrize("name", NAMES)
def test_each_is_found(name, tmp_path):
    import tensorflow_datasets as tfds

    builder = builders.make(name, data_dir=tmp_path)
    assert builder.name == name
    assert isinstance(builder, builders.find(name))
    assert isinstance(builder, tfds.core.GeneratorBasedBuilder)
    assert builder.RELEASE_NOTES["1.0.0"]
    assert builder.info.homepage.startswith("http")
    assert builder.info.citation.startswith("@")
    assert ("bbox" in builder.info.features) == (name != "adience")
    assert tfds.builder_cls(name) is type(builder)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"`name` must be one of 'adience'"):
        builders.find("cub200")
    message = r"`config` must be one of 'variant', .*Received: config='model'"
    with pytest.raises(ValueError, match=message):
        builders.make("fgvc_aircraft", config="model")


def test_without_tfds_the_message_has_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    message = r'"nabirds".*not installed.*pip install "keras-fgvc\[data\]"'
    with pytest.raises(ImportError, match=message):
        builders.find("nabirds")
