"""The wide ResNet: its size, its layout, its files."""

import keras
import numpy as np
import pytest

from keras_fgvc import backbones
from keras_fgvc.backbones import registry
from tests.backbones.conftest import SMALL

MEAN = np.array([0.485, 0.456, 0.406])
DEVIATION = np.array([0.229, 0.224, 0.225])


def outputs(model, images):
    return keras.ops.convert_to_numpy(model(images))


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="counting does not depend on the backend, and starting 69 million "
    "weights takes half a minute with JAX",
)
def test_number_of_parameters():
    model = registry.construct(
        registry.find("wide_resnet50_2"), include_top=True
    )
    assert model.output.shape == (None, 1000)
    # The 68.9 million of the papers are those that train; Keras counts two
    # moving statistics of each normalised channel beside them.
    assert count(model.trainable_weights) == 68_883_240
    assert count(model.non_trainable_weights) == 68_224


def test_101_layers():
    blocks = registry.find("wide_resnet101_2").options["blocks"]
    assert blocks == (3, 4, 23, 3)
    assert 3 * sum(blocks) + 2 == 101


def test_the_stride_is_in_the_wide_convolution():
    model = backbones.wide_resnet((1, 1), base_width=5, widening=3)
    for name, filters, strides in (
        ("layer1_0_conv2", 15, (1, 1)),
        ("layer2_0_conv1", 30, (1, 1)),
        ("layer2_0_conv2", 30, (2, 2)),
        ("layer2_0_conv3", 40, (1, 1)),
        ("layer2_0_downsample_0", 40, (2, 2)),
    ):
        layer = model.get_layer(name)
        assert (layer.filters, layer.strides) == (filters, strides)
    normalization = model.get_layer("layer1_0_bn2")
    assert (normalization.momentum, normalization.epsilon) == (0.9, 1e-5)


def test_random_kernels_differ_and_keep_the_scale():
    model = backbones.wide_resnet((2,), base_width=32)
    first, second = (
        model.get_layer(f"layer1_{block}_conv2").get_weights()[0]
        for block in (0, 1)
    )
    assert np.abs(first - second).max() > 0.01
    assert first.std() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
    (narrowing,) = model.get_layer("layer1_1_conv1").get_weights()
    assert narrowing.shape == (1, 1, 128, 64)
    assert narrowing.std() == pytest.approx((2 / 64) ** 0.5, rel=0.05)


@pytest.mark.parametrize("file", ["a.weights.h5", "a.h5", "a.keras"])
@pytest.mark.parametrize("include_top", [True, False])
@pytest.mark.filterwarnings("ignore:You are saving your model:UserWarning")
def test_files_of_wide_resnet_fit(
    file, include_top, small_entry, tmp_path, images
):
    stock = backbones.wide_resnet(**SMALL, include_top=include_top)
    for weight in stock.weights:
        weight.assign(weight + 0.01)  # so that no statistic is its default
    if file.endswith(".weights.h5"):
        stock.save_weights(tmp_path / file)
    else:
        stock.save(tmp_path / file)
    model = backbones.build(
        "wide_resnet50_2", taps=(8,), weights=tmp_path / file
    )
    trunk = keras.Model(stock.input, stock.get_layer("layer2_1_out").output)
    normalized = ((images / 255 - MEAN) / DEVIATION).astype("float32")
    np.testing.assert_allclose(
        outputs(model, images), outputs(trunk, normalized), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("file", ["a.weights.h5", "a.keras"])
def test_files_of_a_built_backbone_fit(file, small_entry, tmp_path, images):
    built = backbones.build("wide_resnet50_2", taps=(8,), weights=None)
    if file == "a.keras":
        built.save(tmp_path / file)
    else:
        built.save_weights(tmp_path / file)
    again = backbones.build(
        "wide_resnet50_2", taps=(8,), weights=tmp_path / file
    )
    np.testing.assert_array_equal(
        outputs(again, images), outputs(built, images)
    )


def test_stem_and_batch_norm_modes(small_entry, images):
    backbone = backbones.build(
        "wide_resnet50_2", taps=(4, 8), weights=None, batch_norm="train"
    )
    assert backbone.get_layer("layer2_1_bn3").momentum == 0.9
    assert backbone.get_layer("layer2_1_bn3").trainable
    stem = backbones.clone_stem(backbone, 4)
    assert stem.layers[-1].name == "layer1_0_out"
    np.testing.assert_allclose(
        outputs(stem, images),
        keras.ops.convert_to_numpy(backbone(images)[0]),
        rtol=1e-5,
        atol=1e-5,
    )
    frozen = backbones.build("wide_resnet50_2", taps=(8,), weights=None)
    assert not frozen.get_layer("layer2_1_bn3").trainable


def test_a_keras_file_that_does_not_fit_names_both_sources(
    small_entry, tmp_path
):
    path = tmp_path / "other.keras"
    backbones.wide_resnet((1, 1), base_width=3).save(path)
    message = (
        r"other.keras' does not hold.*backbones\.wide_resnet\("
        r"blocks=\(1, 2\), base_width=3\), or torchvision's "
        r"Wide_ResNet50_2_Weights \.pth"
    )
    with pytest.raises(ValueError, match=message):
        backbones.build("wide_resnet50_2", weights=path)


def test_imagenet_by_name_says_which_file(small_entry):
    message = "no ImageNet weights of 'wide_resnet50_2'.*Wide_ResNet50_2_Wei"
    with pytest.raises(ValueError, match=message):
        backbones.build("wide_resnet50_2", weights="imagenet")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": ()}, "at least one stage.*blocks=()"),
        ({"blocks": (2, 0)}, "`blocks` must be at least 1"),
        ({"widening": 0}, "`widening` must be at least 1"),
        ({"base_width": 0}, "`base_width` must be at least 1"),
        ({"classes": 0}, "`classes` must be at least 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        backbones.wide_resnet(**arguments)
