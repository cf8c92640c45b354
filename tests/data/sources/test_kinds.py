"""A graph has the formats that occur among the files, and refuses others."""

import pytest
import tensorflow as tf

from keras_fgvc.data import Augmentation
from keras_fgvc.data.sources import files
from keras_fgvc.data.sources.files import FileSource
from keras_fgvc.decoding.headers import kind_of
from keras_fgvc.decoding.inspection import KINDS
from tests.data.image_files import encode, smooth_pixels, write

SIZE = (5, 7)


@pytest.fixture
def photographs(tmp_path):
    """The path of one file per format, by its name."""
    return {
        kind: write(tmp_path / kind, encode(smooth_pixels(), kind.upper()))
        for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_kind_of_a_file(photographs, kind):
    assert kind_of(photographs[kind]) == kind


def test_kinds_that_occur(photographs, tmp_path, monkeypatch):
    jpeg, png = photographs["jpeg"], photographs["png"]
    assert files._kinds([jpeg, jpeg]) == ("jpeg",)
    assert files._kinds([png, jpeg]) == ("jpeg", "png")
    text = write(tmp_path / "text.jpg", b"no image")
    assert files._kinds([jpeg, text]) == KINDS
    assert files._kinds([jpeg, str(tmp_path / "gone.jpg")]) == KINDS
    monkeypatch.setattr(files, "MAX_OPENED", 1)
    assert files._kinds([jpeg, jpeg]) == KINDS


def resized(read):
    return read(0, SIZE)


def cropped(read):
    augment = Augmentation(random_crop=(0.5, 1.0))
    return augment(read(0, None), seed=(0, 1), output_size=SIZE)


@pytest.mark.parametrize("load", [resized, cropped])
def test_a_file_that_changed_its_format_is_refused(photographs, load):
    jpeg = photographs["jpeg"]
    read = FileSource((jpeg,)).reader()
    assert load(read).shape == (*SIZE, 3)
    with open(photographs["png"], "rb") as file:
        content = file.read()
    with open(jpeg, "wb") as file:
        file.write(content)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not an image"):
        load(read)
