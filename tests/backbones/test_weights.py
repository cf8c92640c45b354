"""Local files, ImageNet weights without a network, copied layers."""

import os
import pathlib
import socket
import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_fgvc import backbones
from keras_fgvc.backbones import weights as weight_files

REPOSITORY = pathlib.Path(__file__).parents[2]
WEIGHTS = pathlib.Path(
    os.environ.get(
        "KERAS_FGVC_WEIGHTS", REPOSITORY.parent / "shared" / "weights"
    )
)
MOBILENET_V2 = "mobilenet_v2_100_224_imagenet_no_top.weights.h5"


def outputs(model, images):
    return keras.ops.convert_to_numpy(model(images))


def stock_model(**options):
    return keras.applications.MobileNetV2(
        **{"weights": None, "input_shape": (64, 64, 3), **options}
    )


@pytest.fixture(scope="module")
def pixels():
    generator = np.random.default_rng(13)
    return generator.uniform(0, 255, (2, 64, 64, 3)).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("no_top.weights.h5", {"include_top": False}),
        ("other_classes.weights.h5", {"classes": 7}),
        ("other_classes.keras", {"classes": 7}),
        ("legacy.h5", {"include_top": False}),
        ("legacy_full.h5", {}),
    ],
)
def test_a_file_of_keras_applications_fits(file, options, tmp_path, pixels):
    stock = stock_model(**options)
    if file.endswith(".weights.h5"):
        stock.save_weights(tmp_path / file)
    else:
        stock.save(tmp_path / file)
    model = backbones.build("mobilenet_v2", weights=tmp_path / file)
    trunk = keras.Model(stock.input, stock.get_layer("out_relu").output)
    expected = outputs(trunk, pixels / 127.5 - 1)
    np.testing.assert_allclose(
        outputs(model, pixels), expected, rtol=1e-4, atol=1e-4
    )


def test_the_real_imagenet_file_fits(pixels):
    file = WEIGHTS / MOBILENET_V2
    if not file.is_file():
        pytest.skip(f"{MOBILENET_V2} not found; set KERAS_FGVC_WEIGHTS")
    model = backbones.build("mobilenet_v2", weights=str(file))
    stock = stock_model(include_top=False)
    stock.load_weights(file)
    expected = outputs(stock, pixels / 127.5 - 1)
    assert expected.max() > 1  # features, not the zeros of a dead network
    np.testing.assert_allclose(
        outputs(model, pixels), expected, rtol=1e-3, atol=1e-3
    )


def write_misfit(path):
    """A file that its name describes: another network, other shapes, text."""
    if path.name.startswith("text"):
        path.write_text("no weights")
    elif path.name.startswith("narrow"):
        stock_model(include_top=False, alpha=0.35).save_weights(path)
    else:
        images = keras.Input((None, None, 3))
        other = keras.Model(images, layers.Conv2D(5, 3)(images))
        is_weights = path.name.endswith(".weights.h5")
        (other.save_weights if is_weights else other.save)(path)


@pytest.mark.parametrize(
    "file",
    [
        *("other.weights.h5", "other.keras", "narrow.weights.h5"),
        *("text.weights.h5", "text.h5", "text.keras", "text.txt"),
    ],
)
@pytest.mark.filterwarnings("always::UserWarning")
def test_a_file_that_does_not_fit_is_named_in_one_sentence(
    file, tmp_path, recwarn
):
    write_misfit(tmp_path / file)
    recwarn.clear()
    message = f"{file}' does not hold.*'mobilenet_v2'.*MobileNetV2"
    with pytest.raises(ValueError, match=message):
        backbones.build("mobilenet_v2", weights=str(tmp_path / file))
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.filterwarnings("always::UserWarning")
def test_a_warning_about_a_file_that_fits_comes_through(tmp_path, monkeypatch):
    stock = stock_model(include_top=False)
    stock.save(tmp_path / "fits.keras")
    load = keras.saving.load_model

    def load_and_warn(*args, **kwargs):
        warnings.warn("a real one", stacklevel=1)
        return load(*args, **kwargs)

    monkeypatch.setattr(keras.saving, "load_model", load_and_warn)
    with pytest.warns(UserWarning, match="a real one"):
        backbones.build("mobilenet_v2", weights=tmp_path / "fits.keras")


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match=r"existing file.*'nowhere\.h5'"):
        backbones.build("mobilenet_v2", weights="nowhere.h5")


def test_own_model_takes_no_weights():
    with pytest.raises(ValueError, match="load the weights into the model"):
        backbones.build(stock_model(include_top=False), weights="own.h5")


def test_imagenet_without_a_network_says_what_to_do(monkeypatch):
    timeouts = []

    def unreachable(**options):
        timeouts.append(socket.getdefaulttimeout())
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "ResNet101", unreachable)
    with pytest.raises(RuntimeError, match="local weights file") as error:
        weight_files.load(keras.Sequential(), "resnet101", "imagenet")
    assert "URL fetch failure" in str(error.value.__cause__)
    assert timeouts[0] <= 10
    assert socket.getdefaulttimeout() is None


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="six EfficientNets take minutes to start with JAX",
)
def test_efficientnet_scales_its_input_as_with_imagenet(
    tmp_path, monkeypatch, pixels
):
    """weights="imagenet" adds a layer to the graph that None does not."""
    stock = keras.applications.EfficientNetB0(weights=None, include_top=False)
    mean = np.array([0.485, 0.456, 0.406])
    variance = np.square([0.229, 0.224, 0.225])
    for layer in stock.layers:
        if isinstance(layer, layers.Normalization):
            layer.set_weights([mean, variance, np.array(1)])
    file, again = tmp_path / "b0.weights.h5", tmp_path / "again.weights.h5"
    stock.save_weights(file)
    monkeypatch.setattr(
        "keras.src.utils.file_utils.get_file", lambda *args, **options: file
    )
    scaled = keras.applications.EfficientNetB0(
        weights="imagenet", include_top=False
    )
    # The first convolution, as random weights let the signal fade after it.
    first = keras.Model(scaled.input, scaled.get_layer("stem_conv").output)
    expected = outputs(first, pixels)
    for weights in ("imagenet", file, again):
        whole = backbones.build("efficientnet_b0", weights=weights)
        model = backbones.build(whole, taps=("stem_conv",))
        np.testing.assert_allclose(
            outputs(model, pixels), expected, rtol=1e-4, atol=1e-4
        )
        whole.save_weights(again)  # scaled already: not to be scaled twice


def dense_model(units, name):
    inputs = keras.Input((3,))
    inner_inputs = keras.Input((3,))
    inner = layers.Dense(5, name="inner")(inner_inputs)
    x = keras.Model(inner_inputs, inner, name=f"{name}_inside")(inputs)
    return keras.Model(inputs, layers.Dense(units, name="outer")(x), name=name)


def test_copy_weights_opens_nested_models_and_leaves_other_shapes():
    source, target = dense_model(7, "source"), dense_model(2, "target")
    outer = target.get_layer("outer").get_weights()
    assert backbones.copy_weights(source, target) == 1
    inner = target.get_layer("target_inside").get_layer("inner")
    expected = source.get_layer("source_inside").get_layer("inner")
    np.testing.assert_array_equal(
        inner.get_weights()[0], expected.get_weights()[0]
    )
    np.testing.assert_array_equal(
        target.get_layer("outer").get_weights()[0], outer[0]
    )


class WithOwnWeight(keras.Model):
    """A nested model whose layers are not all it has."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3, name="dense")

    def build(self, shape):
        self.dense.build(shape)
        self.shift = self.add_weight(shape=(3,), name="shift")
        self.shift.assign([1.0, 2.0, 3.0])

    def call(self, x):
        return self.dense(x) + self.shift

    def compute_output_shape(self, shape):
        return (*shape[:-1], 3)


def branch(name):
    convolution = layers.Conv2D(4, 3, strides=4, padding="same", name="conv")
    return keras.Sequential(
        [keras.Input((None, None, 3)), convolution], name=name
    )


def test_a_copy_of_branches_whose_layers_have_the_same_names():
    image = keras.Input((32, 32, 3))
    x = layers.Add()([branch("a")(image), branch("b")(image)])
    x = WithOwnWeight(name="own")(x)
    x = layers.Conv2D(4, 3, strides=8, padding="same", name="last")(x)
    model = backbones.build(keras.Model(image, x))
    copy = backbones.clone(model, "copy")
    images = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3))
    np.testing.assert_array_equal(
        copy.predict(images, verbose=0), model.predict(images, verbose=0)
    )
    for ours, theirs in zip(copy.weights, model.weights, strict=True):
        assert ours is not theirs
    # The copy again, with the whole of it inside another model.
    for weight in copy.weights:
        weight.assign(weight + 1)
    outer = keras.Model(image, copy(image), name="outer")
    backbones.copy_weights(outer, model)
    np.testing.assert_array_equal(
        copy.predict(images, verbose=0), model.predict(images, verbose=0)
    )


def test_copy_weights_that_cannot_tell_which_is_meant():
    image = keras.Input((32, 32, 3))
    two = keras.Model(
        image, layers.Add()([branch("a")(image), branch("b")(image)])
    )
    other = keras.Model(image, branch("c")(image))
    with pytest.raises(ValueError, match=r"2 layers 'conv'.*other names"):
        backbones.copy_weights(two, other)


def test_copy_weights_with_nothing_in_common_is_an_error():
    images = keras.Input((None, None, 3))
    other = keras.Model(images, layers.Conv2D(5, 3)(images), name="other")
    with pytest.raises(ValueError, match=r"'source' and 'other'.*share none"):
        backbones.copy_weights(dense_model(2, "source"), other)
