"""What was changed after construction is in the file, or saving refuses."""

import copy

import keras
import numpy as np
import pytest

from keras_fgvc import models
from tests import tiny

# Keras says of each layer that it leaves as it is.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not have a `q")


def backbone():
    """Three strides, and a dense layer that can be quantised in each copy."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    for filters in (5, 7, 8):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same")(x)
    return keras.Model(image, keras.layers.Dense(8, name="mix")(x))


SIZES = {"image_size": 32}
MAKE = {
    "Baseline": {"tap": 8},
    "ELoPE": {**SIZES, "tap": 8, "k": 2, "embedding_dim": 6},
    "Coarse2Fine": {**SIZES, "tap": 8, "num_maps": 2},
    "PainlessAttention": {"taps": (4, 8), "tap": 8},
    "FCAN": {
        "image_size": 40,
        "crop_size": 24,
        "part_sizes": (2, 3),
        "taps": (8, 8),
    },
    "DAF": {**SIZES, "num_parts": 2, "taps": (4, 8), "groups": 4},
}


def make(method, features=None):
    features = features or backbone()
    return getattr(models, method)(features, 3, **MAKE[method])


def with_lora(model):
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dense):
            layer.enable_lora(2)
            layer.lora_kernel_b.assign(layer.lora_kernel_b + 0.1)


def in_bfloat16(model):
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dense):
            layer.dtype_policy = "mixed_bfloat16"


def one_layer(model):
    dense = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Dense)
    ]
    dense[-1].quantize("int8")


def other_activation(model):
    model.features.layers[-1].activation = keras.activations.tanh


CHANGES = {
    "int8": lambda model: model.quantize("int8"),
    "int4": lambda model: model.quantize("int4"),
    "float8": lambda model: model.quantize("float8"),
    "blocks": lambda model: model.quantize(
        config=keras.quantizers.Int4QuantizationConfig(block_size=4)
    ),
    "filters": lambda model: model.quantize("int8", filters="logits"),
    "one layer": one_layer,
    "lora": with_lora,
    "policy": in_bfloat16,
    "activation": other_activation,
}


def check_file(model, tmp_path):
    """The loaded model has the same layers and gives the same."""
    images, _ = tiny.images_and_labels(2)
    path = tmp_path / "changed.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    assert loaded.get_config() == model.get_config()
    before = [layer.dtype_policy.name for layer in model._flatten_layers()]
    after = [layer.dtype_policy.name for layer in loaded._flatten_layers()]
    assert after == before
    expected = model.predict(images, verbose=0)
    received = loaded.predict(images, verbose=0)
    for name, values in expected.items():
        np.testing.assert_allclose(
            received[name], values, rtol=1e-5, atol=1e-5, err_msg=name
        )
    return loaded


@pytest.mark.slow
@pytest.mark.parametrize("method", MAKE)
def test_a_quantised_model_is_loaded_quantised(method, tmp_path):
    model = make(method)
    assert "changed_layers" not in model.get_config()
    model.quantize("int8")
    loaded = check_file(model, tmp_path)
    assert "int8" in str(loaded.features.layers[-1].dtype_policy.name)


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_made_again(change, tmp_path):
    model = make("ELoPE")
    CHANGES[change](model)
    assert "changed_layers" in model.get_config()
    check_file(model, tmp_path)


def test_a_backbone_that_was_quantised_before(tmp_path):
    features = backbone()
    features.quantize("int8")
    check_file(make("Baseline", features), tmp_path)


def test_the_models_own_policy_does_not_rebuild_it_otherwise(tmp_path):
    model = make("Baseline")
    model.dtype_policy = "mixed_bfloat16"
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.get_layer("logits").compute_dtype == "float32"


def test_a_deep_copy_is_quantised_and_has_the_losses():
    images, labels = tiny.images_and_labels()
    model = make("Baseline")
    model.quantize("int8")
    copied = copy.deepcopy(model)
    assert type(copied) is models.Baseline
    np.testing.assert_allclose(
        copied.predict(images, verbose=0)["logits"],
        model.predict(images, verbose=0)["logits"],
        rtol=1e-5,
    )
    copied.compile("adam")
    losses = copied.evaluate(images, labels, verbose=0)
    assert np.all(np.isfinite(losses))


def test_what_cannot_be_made_again_is_refused_at_save(tmp_path):
    model = make("Baseline")
    layer = model.get_layer("logits")
    layer._dtype_policy = keras.dtype_policies.get("gptq/4/4_from_float32")
    with pytest.raises(ValueError, match=r"layer 'logits', which is quantised"):
        model.save(tmp_path / "model.keras")


@pytest.mark.parametrize("mode", ["int8", "int4"])
@pytest.mark.parametrize("is_first", [True, False])
def test_lora_in_a_quantised_layer_is_refused_at_save(mode, is_first, tmp_path):
    model, path = make("Baseline"), tmp_path / "model.keras"
    if is_first:
        with_lora(model)
        model.save(path)  # the way that the message names
        keras.saving.load_model(path).quantize(mode)
    model.quantize(mode)
    if not is_first:
        with_lora(model)
    message = rf"without LoRA.*'mix', quantised with '{mode}', with .* rank 2"
    with pytest.raises(ValueError, match=message):
        model.save(path)


def test_a_file_of_other_layers_is_refused():
    config = make("Baseline").get_config()
    config["changed_layers"] = {"99": {"rate": 0.5}}
    with pytest.raises(ValueError, match=r"layers: it changes \['rate'\]"):
        models.Baseline.from_config(config)


class Mute(keras.layers.Layer):
    """Cannot write its config, as a layer of KerasHub's Swin."""

    def call(self, x):
        return x

    def get_config(self):
        raise TypeError("missing 1 required positional argument")


def test_a_layer_that_cannot_describe_itself_does_not_stop_a_model():
    backbone = tiny.backbone()
    network = keras.Model(backbone.input, Mute()(backbone.output))
    model = models.Baseline(network, 3, tap=8)
    images, labels = tiny.images_and_labels(count=2)
    model.compile("sgd")
    model.fit(images, labels, verbose=0)
