"""build and clone_stem: truncation, users' models, saving, errors."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_fgvc import backbones
from keras_fgvc.backbones import weights as weight_files


def outputs(model, images):
    return keras.ops.convert_to_numpy(model(images))


def own_model(name="own"):
    images = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Conv2D(5, 3, 4, padding="same", name="stem")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(7, 3, 2, padding="same", name="head")(x)
    return keras.Model(images, x, name=name)


@pytest.fixture(scope="module")
def mobilenet():
    return backbones.build("mobilenet_v2", taps=(16,), weights=None)


@pytest.fixture
def images():
    return np.random.default_rng(5).integers(0, 256, (2, 64, 64, 3), "uint8")


def test_one_tap_is_a_tensor_and_several_are_a_list_in_order(images):
    model = backbones.build(own_model(), taps=(8, "stem", 4))
    shapes = [tuple(output.shape) for output in model(images)]
    assert shapes == [(2, 8, 8, 7), (2, 16, 16, 5), (2, 16, 16, 5)]
    single = backbones.build(own_model(), taps=(8,))
    assert single.output.shape == (None, None, None, 7)  # no list of one
    assert tuple(single(images).shape) == (2, 8, 8, 7)


def test_only_the_layers_a_tap_needs_are_kept(mobilenet):
    names = [layer.name for layer in mobilenet.layers]
    assert "block_13_expand_relu" in names
    assert "block_13_depthwise" not in names


def test_names_and_input(mobilenet):
    assert mobilenet.name == "mobilenet_v2"
    assert mobilenet.input.name == "image"
    assert backbones.build(own_model(), taps=(4,)).name == "own"
    assert backbones.build(own_model(), taps=(4,), name="mine").name == "mine"


def test_weights_are_random_and_differ_between_builds():
    kernels = [
        backbones.build("mobilenet_v2", taps=(4,), weights=None).get_weights()[
            0
        ]
        for _ in range(2)
    ]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01


def test_own_model_shares_its_layers_and_gets_no_preprocessing(images):
    own = own_model()
    model = backbones.build(own, taps=(8,))
    assert model.get_layer("stem") is own.get_layer("stem")
    np.testing.assert_array_equal(outputs(model, images), outputs(own, images))


def test_sequential_with_a_model_inside(images):
    own = keras.Sequential([keras.Input((None, None, 3)), own_model()])
    model = backbones.build(own, taps=(8,))
    np.testing.assert_array_equal(outputs(model, images), outputs(own, images))


def test_a_backbone_inside_a_model_saves_and_loads(tmp_path, images):
    backbone = backbones.build("resnet50", taps=("conv1_relu",), weights=None)
    inputs = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(backbone(inputs))
    model = keras.Model(inputs, layers.Dense(3)(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(
        outputs(loaded, images), outputs(model, images), rtol=1e-5, atol=1e-5
    )
    frozen = loaded.get_layer("resnet50").get_layer("conv1_bn")
    assert not frozen.trainable


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0"])
def test_stem_equals_the_backbone_and_is_independent(name, images):
    backbone = backbones.build(name, taps=(4, 8), weights=None)
    for layer in backbone.layers:
        if isinstance(layer, layers.Normalization):
            layer.set_weights([np.full(3, 0.4), np.full(3, 0.1), np.array(1)])
            layer.finalize_state()
    expected = outputs(backbones.build(backbone, taps=(4,)), images)
    stem = backbones.clone_stem(backbone, 4)
    for kernel in backbone.trainable_weights:
        kernel.assign(kernel * 0)
    assert stem.name == f"{name}_stem"
    np.testing.assert_allclose(
        outputs(stem, images), expected, rtol=1e-5, atol=1e-5
    )


def test_clones_are_equal_and_independent(mobilenet, images):
    original = backbones.build(mobilenet, taps=(8,))
    expected = outputs(original, images)
    first, second = (backbones.clone(original, name) for name in "ab")
    assert (first.name, second.name) == ("a", "b")
    np.testing.assert_array_equal(outputs(first, images), expected)
    first.set_weights([0 * weight for weight in first.get_weights()])
    np.testing.assert_array_equal(outputs(second, images), expected)
    np.testing.assert_array_equal(outputs(original, images), expected)


def test_batch_norm_of_its_own_and_all_else_shared(images):
    inner = backbones.build(own_model("inner"), taps=(8,), batch_norm="train")
    outer = keras.Input((None, None, 3))
    x = layers.BatchNormalization(name="first")(inner(outer))
    model = keras.Model(outer, [x, inner(outer)])
    copy = backbones.clone_batch_norm(model, "copy")
    assert copy.name == "copy"
    for found, expected in zip(copy(images), model(images), strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(found),
            keras.ops.convert_to_numpy(expected),
        )
    assert {layer.name for layer in copy._flatten_layers()} >= {"stem", "head"}
    shared = {id(weight) for weight in model.weights}
    own = [w.path for w in copy.weights if id(w) not in shared]
    assert len(own) == 8
    assert {path.split("/")[-2] for path in own} == {"first", "norm"}
    before = model.get_weights()
    copy(images, training=True)  # moves the copy's statistics alone
    after = model.get_weights()
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    momentum = inner.get_layer("norm").momentum
    assert copy.get_layer("inner").get_layer("norm").momentum == momentum


def test_stem_saves_and_loads(tmp_path, mobilenet, images):
    stem = backbones.clone_stem(mobilenet, 8)
    stem.save(tmp_path / "stem.keras")
    loaded = keras.saving.load_model(tmp_path / "stem.keras", safe_mode=True)
    np.testing.assert_allclose(
        outputs(loaded, images), outputs(stem, images), rtol=1e-5, atol=1e-5
    )


def test_stem_follows_after_copy_weights(mobilenet, images):
    stem = backbones.clone_stem(mobilenet, 4)
    kernel = stem.get_layer("Conv1").kernel
    kernel.assign(kernel * 0)
    reference = backbones.build(mobilenet, taps=(4,))
    assert np.abs(outputs(stem, images) - outputs(reference, images)).max() > 0
    copied = backbones.copy_weights(mobilenet, stem)
    assert copied == len([layer for layer in stem.layers if layer.weights])
    np.testing.assert_array_equal(
        outputs(stem, images), outputs(reference, images)
    )


def test_runs_under_mixed_precision(images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = backbones.build("mobilenet", taps=(4,), weights=None)
    finally:
        keras.config.set_dtype_policy("float32")
    features = model(images)
    assert keras.backend.standardize_dtype(features.dtype) == "bfloat16"


def test_channels_first_is_an_error():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="channels-last images only"):
            backbones.build("mobilenet_v2")
    finally:
        keras.config.set_image_data_format("channels_last")


def test_a_model_without_a_graph_is_an_error():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="functional or Sequential model"):
        backbones.build(Subclassed())


def test_a_named_backbone_has_imagenet_weights_by_default(monkeypatch):
    asked = []
    monkeypatch.setattr(
        weight_files, "load", lambda model, *words: asked.append(words)
    )
    backbones.build("mobilenet_v2")
    backbones.build("mobilenet_v2", weights=None)
    backbones.build(own_model(), taps=(8,))  # brings its own
    assert asked == [("mobilenet_v2", "imagenet")]


@pytest.mark.parametrize("shape", [(5,), (None, 3)])
def test_a_model_without_an_image_input_is_an_error(shape):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match=r"one image input.*input shapes"):
        backbones.build(model)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"backbone": 50}, TypeError, "keras.Model. Received: 50"),
        ({"taps": 16}, TypeError, "tuple of strides.*taps=16"),
        ({"taps": ()}, TypeError, "at least one entry"),
        ({"batch_norm": "off"}, ValueError, "'frozen', 'train'.*'off'"),
        ({"batch_norm_momentum": 2}, ValueError, "between 0 and 1"),
        ({"input_shape": (8, 8, 1)}, ValueError, r"\(height, width, 3\)"),
        ({"backbone": "nasnet_mobile"}, ValueError, "must know its image size"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        backbones.build(
            **{"backbone": "mobilenet_v2", "weights": None, **arguments}
        )
