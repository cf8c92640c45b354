import json
import re
import shutil

import keras
import numpy as np
import pytest

from keras_fgvc._files import DamagedFileError
from keras_fgvc.training import checksums


def network(seed=0):
    keras.utils.set_random_seed(seed)
    image = keras.Input((3,))
    return keras.Model(image, keras.layers.Dense(2, name="dense")(image))


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "best.weights.h5"
    checksums.save(path, network().save_weights)
    return path


def flip(path, place=-9):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def sums(path):
    return json.loads((path.parent / checksums.FILE).read_text())


def test_what_was_written_is_read(weights):
    model = network(seed=1)
    checksums.load_weights(model, weights)
    for a, b in zip(model.get_weights(), network().get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    checksums.save(weights, network(2).save_weights)
    assert sums(weights) == {
        weights.name: {"sha256": [checksums.digest(weights)]}
    }
    checksums.remove(weights)
    assert sums(weights) == {}


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "gone", "text"])
@pytest.mark.parametrize("is_noted", [True, False])
def test_weights_that_changed(change, is_noted, weights):
    """Without a checksum what HDF5 cannot read is refused all the same."""
    if not is_noted:
        (weights.parent / checksums.FILE).unlink()
    if change == "flip":
        flip(weights, place=-9 if is_noted else 3)
    elif change == "gone":
        weights.unlink()
    else:
        half = weights.read_bytes()[: weights.stat().st_size // 2]
        contents = {"cut": half, "empty": b"", "text": b"hello"}
        weights.write_bytes(contents[change])
    message = r"best\.weights\.h5 is damaged: .*Restore it from a copy, or rem"
    with pytest.raises(DamagedFileError, match=message):
        checksums.load_weights(network(), weights)


def test_a_whole_file_of_another_model(weights):
    image = keras.Input((4,))
    other = keras.Model(image, keras.layers.Dense(2, name="dense")(image))
    with pytest.raises(ValueError, match="is whole, but does not fit this mod"):
        checksums.load_weights(other, weights)
    (weights.parent / checksums.FILE).unlink()
    with pytest.raises(DamagedFileError, match="or is of another model"):
        checksums.load_weights(other, weights)


def test_a_kill_between_the_file_and_its_sum(weights, monkeypatch):
    """Either of the two files is then right."""
    old = weights.read_bytes()
    written = []
    monkeypatch.setattr(
        checksums, "_note", lambda path, entry: written.append(entry)
    )
    checksums.save(weights, network(3).save_weights)
    monkeypatch.undo()
    checksums._note(weights, written[0])  # noted, the second time not
    new = weights.read_bytes()
    for content in (old, new):
        weights.write_bytes(content)
        assert checksums.check(weights, "")
    flip(weights)
    with pytest.raises(DamagedFileError):
        checksums.check(weights, "")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"best.weights.h5": 3}', "\udcff", "wrong sum"]
)
def test_damaged_sums(text, weights):
    path = weights.parent / checksums.FILE
    if text == "wrong sum":
        text = re.sub("[0-9a-f]{64}", "g" * 64, path.read_text())
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(
        DamagedFileError, match=r"checksums\.json is damaged.*Remove it to go"
    ):
        checksums.check(weights, "")


@pytest.mark.parametrize("is_noted", [True, False])
def test_models_that_changed(is_noted, tmp_path):
    path = tmp_path / "model.keras"
    checksums.save(path, network().save)
    if not is_noted:
        (tmp_path / checksums.FILE).unlink()
    assert checksums.load_model(path, compile=False).layers
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[:-100], whole[:200] + whole[300:]):
        path.write_bytes(content)
        with pytest.raises(DamagedFileError, match=r"model\.keras is damaged"):
            checksums.load_model(path)
    for place in np.random.default_rng(0).integers(0, len(whole), 20):
        path.write_bytes(whole)
        flip(path, place)
        if is_noted:
            with pytest.raises(DamagedFileError, match="its SHA-256 is"):
                checksums.load_model(path)


def test_a_class_that_is_not_known_is_no_damage(tmp_path):
    @keras.saving.register_keras_serializable("gone")
    class Passing(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    image = keras.Input((3,))
    path = tmp_path / "model.keras"
    checksums.save(path, keras.Model(image, Passing()(image)).save)
    del keras.saving.get_custom_objects()["gone>Passing"]
    with pytest.raises(TypeError, match="Could not locate class 'Passing'"):
        checksums.load_model(path)


def test_a_folder_that_was_copied(weights, tmp_path):
    copy = shutil.copytree(weights.parent, tmp_path / "copy")
    assert checksums.check(copy / weights.name, "")
