"""Taps: the right feature map of every family, in every build."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_fgvc import backbones
from keras_fgvc.backbones import taps

# (height, channels) at strides 4, 8, 16, 32 for images of 96 pixels; the
# Inceptions and Xception use VALID padding.
MAPS = {
    "resnet50": [(24, 256), (12, 512), (6, 1024), (3, 2048)],
    "resnet50_v2": [(24, 64), (12, 128), (6, 256), (3, 2048)],
    "vgg16": [(24, 256), (12, 512), (6, 512), (3, 512)],
    "densenet121": [(24, 256), (12, 512), (6, 1024), (3, 1024)],
    "inception_v3": [(20, 192), (9, 288), (4, 768), (1, 2048)],
    "inception_resnet_v2": [(20, 192), (9, 320), (4, 1088), (1, 1536)],
    "xception": [(23, 256), (12, 728), (6, 1024), (3, 2048)],
    "mobilenet": [(24, 128), (12, 256), (6, 512), (3, 1024)],
    "mobilenet_v2": [(24, 144), (12, 192), (6, 576), (3, 1280)],
    "mobilenet_v3_small": [(24, 72), (12, 96), (6, 288), (3, 576)],
    "efficientnet_b0": [(24, 24), (12, 40), (6, 112), (3, 1280)],
    "efficientnet_v2_b0": [(24, 32), (12, 192), (6, 672), (3, 1280)],
    "convnext_tiny": [(24, 96), (12, 192), (6, 384), (3, 768)],
    "nasnet_mobile": [(24, 44), (12, 264), (6, 528), (3, 1056)],
    "wide_resnet50_2": [(24, 256), (12, 512), (6, 1024), (3, 2048)],
}
# Layers whose names do not come from a counter.
NAMES = {
    "resnet50": [
        "conv2_block3_out",
        "conv3_block4_out",
        "conv4_block6_out",
        "conv5_block3_out",
    ],
    "densenet121": ["pool2_relu", "pool3_relu", "pool4_relu", "relu"],
    "vgg16": ["block3_conv3", "block4_conv3", "block5_conv3", "block5_pool"],
    "efficientnet_b0": [
        "block2b_add",
        "block3b_add",
        "block5c_add",
        "top_activation",
    ],
    "mobilenet_v2": [
        "block_3_expand_relu",
        "block_6_expand_relu",
        "block_13_expand_relu",
        "out_relu",
    ],
    "wide_resnet50_2": [
        "layer1_2_out",
        "layer2_3_out",
        "layer3_5_out",
        "layer4_2_out",
    ],
}
ON_EVERY_BACKEND = ("mobilenet", "convnext_tiny")

with_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="the choice of layers does not depend on the backend, and "
    "compiling large models takes minutes with JAX",
)


def tap_names(model):
    return [tensor._keras_history.operation.name for tensor in model.outputs]


def chain(*strides, size=None):
    """A user's model: one convolution per stride, named after its place."""
    x = images = keras.Input((size, size, 3))
    for index, stride in enumerate(strides):
        x = layers.Conv2D(
            index + 2, 3, stride, padding="same", name=f"convolution_{index}"
        )(x)
    return keras.Model(images, x, name="chain")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ON_EVERY_BACKEND
        else pytest.param(name, marks=with_tensorflow)
        for name in MAPS
    ],
)
def test_shapes_of_every_family(name):
    size = 96 if name == "nasnet_mobile" else None
    model = backbones.build(
        name,
        taps=taps.STRIDES,
        weights=None,
        input_shape=(size, size, 3),
    )
    shapes = [output.shape for output in model(np.zeros((1, 96, 96, 3)))]
    expected = [(1, side, side, channels) for side, channels in MAPS[name]]
    assert [tuple(shape) for shape in shapes] == expected
    if name in NAMES:
        assert tap_names(model) == NAMES[name]


@with_tensorflow
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "convnext_tiny"])
def test_a_second_build_taps_the_same_layers(name):
    first, second = (
        backbones.build(name, taps=(8, 16), weights=None) for _ in range(2)
    )
    assert tap_names(first) != tap_names(second)  # names from a counter
    positions = [
        [
            [operation.name for operation in model.operations].index(tap)
            for tap in tap_names(model)
        ]
        for model in (first, second)
    ]
    assert positions[0] == positions[1]


@with_tensorflow
@pytest.mark.parametrize("size", [75, 96, None])
def test_a_small_fixed_size_taps_the_same_layers(size):
    model = backbones.build(
        "inception_v3",
        taps=(8, 16, 32),
        weights=None,
        input_shape=(size, size, 3),
    )
    assert tap_names(model) == ["mixed2", "mixed7", "mixed10"]


@with_tensorflow
@pytest.mark.filterwarnings("ignore:Backbone .* looks like a model")
def test_own_model_of_a_known_family_has_the_familys_taps():
    own = keras.applications.DenseNet121(weights=None, include_top=False)
    assert tap_names(backbones.build(own, taps=(8,))) == ["pool3_relu"]


@pytest.mark.parametrize("size", [64, None])
def test_own_model_taps_the_last_map_of_a_stride(size):
    model = chain(2, 2, 1, 2, 1, 1, 2, size=size)
    found = [taps.resolve(model, stride) for stride in (4, 8, 16)]
    names = [tensor._keras_history.operation.name for tensor in found]
    assert names == ["convolution_2", "convolution_5", "convolution_6"]


def test_padding_is_no_feature_map():
    images = keras.Input((None, None, 3))
    x = layers.Conv2D(2, 4, 4, name="map")(images)
    x = layers.ZeroPadding2D(3)(x)
    model = keras.Model(images, layers.Conv2D(2, 3, 2)(x))
    tensor = taps.resolve(model, 4)
    assert tensor._keras_history.operation.name == "map"


def test_a_layer_used_elsewhere_too_is_found_in_this_graph():
    shared = layers.Conv2D(2, 4, 4, name="shared")
    shared(keras.Input((None, None, 3)))
    images = keras.Input((None, None, 3))
    own = keras.Model(images, shared(images))
    model = backbones.build(own, taps=(4,))
    assert model(np.zeros((1, 8, 8, 3))).shape == (1, 2, 2, 2)


def test_a_model_for_one_size_only_falls_back_to_its_shapes():
    images = keras.Input((32, 32, 3))
    x = layers.Conv2D(5, 4, 4)(images)
    x = layers.Reshape((64, 5))(x)
    x = layers.Reshape((8, 8, 5), name="tokens_as_map")(x)
    tensor = taps.resolve(keras.Model(images, x), 4)
    assert tensor._keras_history.operation.name == "tokens_as_map"


def test_pyramid_outputs_come_first():
    model = chain(2, 2, 1)
    model.pyramid_outputs = {"P2": model.get_layer("convolution_1").output}
    tensor = taps.resolve(model, 4)
    assert tensor._keras_history.operation.name == "convolution_1"


def test_a_missing_stride_lists_those_there_are():
    with pytest.raises(ValueError, match=r"stride 8.*strides are \[1, 2, 4\]"):
        taps.resolve(chain(1, 2, 2), 8)


def test_a_stride_outside_the_four_names_them():
    with pytest.raises(ValueError, match=r"one of \(4, 8, 16, 32\).*: 7"):
        taps.resolve(chain(2), 7)


def test_a_missing_layer_lists_the_nearest():
    with pytest.raises(ValueError, match=r"no layer 'convolution_11'.*tion_1"):
        taps.resolve(chain(2, 2), "convolution_11")


def test_a_tap_of_a_wrong_type_is_named():
    with pytest.raises(TypeError, match=r"stride.*or a layer's name.*16\.0"):
        taps.resolve(chain(2), 16.0)
