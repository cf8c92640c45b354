"""A constructor's arguments are the model's attributes and its config."""

import inspect
import json
import zipfile

import keras
import numpy as np
import pytest

from keras_fgvc import models
from keras_fgvc.backbones import weights as weight_files
from keras_fgvc.models import Baseline, FineGrainedModel
from tests import tiny

METHODS = [
    getattr(models, name)
    for name in models.__all__
    if inspect.isclass(getattr(models, name))
    and issubclass(getattr(models, name), FineGrainedModel)
    and name != "FineGrainedModel"
]


@keras.saving.register_keras_serializable(package="tests")
class Scaled(Baseline):
    """Adds an argument to those of its parent, which it passes on."""

    def __init__(self, backbone, num_classes, *, scale=2.0, **kwargs):
        super().__init__(backbone, num_classes, dropout_rate=0.25, **kwargs)
        self.seen = self.scale


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)
def test_each_argument_is_an_attribute_of_its_default(method):
    """But for the two that the base and the file bring."""
    given = {"tap": 8, "taps": (4, 8)}
    given |= {"image_size": 32, "crop_size": 16, "part_sizes": (1,)}
    given["groups"] = 11
    parameters = inspect.signature(method).parameters
    given = {name: v for name, v in given.items() if name in parameters}
    backbone = tiny.backbone()
    model = method(backbone, np.int64(3), **given)
    config = model.get_config()
    for name, parameter in parameters.items():
        if name in ("num_classes", "weights", "kwargs"):
            continue
        expected = given.get(name, parameter.default)
        if name == "backbone":
            assert model.backbone is backbone
            continue
        # Keras has an attribute of the other name.
        own = {"trainable": "trainable_blocks"}.get(name, name)
        assert getattr(model, own) == expected, name
        assert config[name] == expected, name
    assert "weights" not in config
    assert config["num_classes"] == 3
    assert type(config["num_classes"]) is int


def test_a_subclass_keeps_its_arguments_and_those_it_passes_on(tmp_path):
    images, _ = tiny.images_and_labels()
    model = Scaled(tiny.backbone(), 3, scale=3.0, tap=8, name="mine")
    assert (model.seen, model.tap, model.dropout_rate) == (3.0, 8, 0.25)
    config = model.get_config()
    assert (config["scale"], config["tap"]) == (3.0, 8)
    assert "dropout_rate" not in config  # the class gives it, no caller
    path = tmp_path / "mine.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    assert (type(loaded), loaded.name) == (Scaled, "mine")
    assert (loaded.scale, loaded.tap, loaded.pooling) == (3.0, 8, "average")
    np.testing.assert_allclose(
        model.predict(images, verbose=0)["logits"],
        loaded.predict(images, verbose=0)["logits"],
        rtol=1e-5,
    )


def test_a_name_with_two_values_is_refused():
    class Doubled(Baseline):
        def __init__(self, backbone, num_classes, *, dropout_rate=0.1):
            super().__init__(
                backbone, num_classes, tap=8, dropout_rate=2 * dropout_rate
            )

    with pytest.raises(
        ValueError, match=r"received dropout_rate=0\.1 and passes.*=0\.2"
    ):
        Doubled(tiny.backbone(), 3)


def test_the_constructor_looks_as_it_was_written():
    parameters = inspect.signature(Baseline).parameters
    assert list(parameters)[:3] == ["backbone", "num_classes", "pooling"]
    assert inspect.getfullargspec(Baseline.__init__).args[0] == "self"
    with pytest.raises(TypeError, match=r"__init__\(\) missing 1 required"):
        Baseline(tiny.backbone())


def test_a_model_that_is_never_saved_keeps_nothing():
    class Task(FineGrainedModel, keep_arguments=False):
        def __init__(self, model):
            super().__init__(model.input, model.output, num_classes=3)

    task = Task(Baseline(tiny.backbone(), 3, tap=8))
    assert not hasattr(task, "model")


def test_lists_of_a_file_are_tuples_again():
    model = models.DAF(
        tiny.backbone(), 3, image_size=tiny.SIZE, taps=(4, 8), groups=11
    )
    config = {**model.get_config(), "taps": [4, 8]}
    assert models.DAF.from_config(config).taps == (4, 8)


@pytest.mark.parametrize(
    ("method", "old", "taps"),
    [
        ("PainlessAttention", {"attend_at": [4, 8], "tap": 8}, (4, 8)),
        ("FCAN", {"tap": 4, "classifier_tap": 8}, (4, 8)),
    ],
)
def test_names_of_files_from_before_0_9(method, old, taps):
    method = getattr(models, method)
    sizes = {"image_size": 32, "crop_size": 16, "part_sizes": (1,)}
    sizes = sizes if method is models.FCAN else {"tap": 8}
    config = method(tiny.backbone(), 3, taps=(4, 8), **sizes).get_config()
    del config["taps"]
    loaded = method.from_config({**config, **old})
    assert loaded.taps == taps
    assert not set(old) - {"tap"} & set(loaded.get_config())


@keras.saving.register_keras_serializable(package="tests")
class Renamed(Baseline):
    """Hands `weights` on without naming it."""

    def __init__(self, backbone, num_classes, **kwargs):
        super().__init__(backbone, num_classes, **kwargs)


@pytest.mark.parametrize("method", [Baseline, Renamed])
def test_loading_asks_for_no_other_weights(method, monkeypatch):
    model = method("mobilenet_v2", 3, weights=None)

    def download(*words):
        raise AssertionError(words)

    monkeypatch.setattr(weight_files, "load", download)
    assert method.from_config(model.get_config()).backbone == "mobilenet_v2"
    with pytest.raises(AssertionError, match="imagenet"):
        method("mobilenet_v2", 3)


@keras.saving.register_keras_serializable(package="tests")
class Loading(Baseline):
    """Asks for weights by itself, whatever a config says."""

    def __init__(self, num_classes, name=None):
        super().__init__(
            "mobilenet_v2", num_classes, weights="/a/file.h5", name=name
        )


@pytest.mark.parametrize("asked", [None, "/etc/passwd", "imagenet"])
def test_no_config_makes_loading_open_another_file(
    tmp_path, monkeypatch, asked
):
    opened = []

    def note(entry, backbone, *path):
        opened.append(path)
        raise OSError("opened")

    model = Baseline("mobilenet_v2", 2, weights=None)
    config = model.get_config()
    path, forged = tmp_path / "a.keras", tmp_path / "b.keras"
    model.save(path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(forged, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = json.loads(content)
                content["config"]["weights"] = asked
                content = json.dumps(content)
            new.writestr(name, content)
    monkeypatch.setattr(weight_files, "_model_of_file", note)
    monkeypatch.setattr(weight_files, "_imagenet_model", note)
    loaded = keras.saving.load_model(forged, compile=False)
    Baseline.from_config({**config, "weights": asked})
    own = {k: config[k] for k in ("name", "dtype", "stage", "num_classes")}
    Loading.from_config({**own, "weights": asked})
    assert opened == []
    assert "weights" not in loaded.get_config()
    for ours, theirs in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(OSError, match="opened"):  # the switch is off again
        Baseline("mobilenet_v2", 2, weights="/etc/passwd")


@keras.saving.register_keras_serializable(package="tests")
class Passing(Baseline):
    """Passes on what it does not know, by position."""

    def __init__(self, *args, alpha=0.1, layer=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha


def test_arguments_that_are_passed_on_by_position_are_kept(tmp_path):
    dense = keras.layers.Dense(5, activation="relu")
    model = Passing(
        tiny.backbone(), np.int64(3), pooling="max", tap=8, alpha=0.5
    )
    model.layer = dense
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.alpha, loaded.pooling) == (0.5, "max")
    assert isinstance(loaded.layer, keras.layers.Dense)
    assert loaded.layer.units == 5


class Forgetful(Baseline, keep_arguments=False):
    """Has an argument that no file would hold."""

    def __init__(self, *args, alpha=0.1, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha


def test_a_model_that_keeps_no_arguments_is_not_saved(tmp_path):
    model = Forgetful(tiny.backbone(), 3, tap=8, alpha=0.5)
    with pytest.raises(NotImplementedError, match="keep_arguments=False, so"):
        model.save(tmp_path / "model.keras")


def test_numbers_of_numpy_become_those_of_python():
    model = models.ELoPE(
        tiny.backbone(),
        np.uint8(3),
        image_size=np.int64(32),
        k=np.int32(2),
        embedding_dim=np.int16(6),
        threshold=np.float32(0.5),
        tap=np.int64(8),
    )
    config = model.get_config()
    for name in ("num_classes", "image_size", "k", "tap"):
        assert type(config[name]) is int, name
    assert type(config["threshold"]) is float
    config.pop("backbone")
    json.dumps(config)


@pytest.mark.parametrize("ending", ["h5", "hdf5"])
def test_a_legacy_file_is_refused_before_it_is_written(ending, tmp_path):
    model = Baseline(tiny.backbone(), 3, tap=8)
    path = tmp_path / f"model.{ending}"
    with pytest.raises(ValueError, match=r"as a \.keras file only.*model\.h"):
        model.save(path)
    assert not path.exists()
    image = keras.Input((32, 32, 3))
    around = keras.Model(image, model(image))
    for each in (model, around):
        with pytest.raises(ValueError, match=r"a path that ends in \.keras"):
            keras.saving.save_model(each, path)


def test_clone_model_says_that_it_leaves_the_losses(recwarn):
    model = Baseline(tiny.backbone(), 3, tap=8)
    with pytest.warns(UserWarning, match=r"without the losses of Baseline"):
        copied = keras.models.clone_model(model)
    assert type(copied) is not Baseline
    keras.models.clone_model(tiny.backbone())  # no word about others'
    assert not recwarn.list
