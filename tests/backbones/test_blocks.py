import keras
import pytest
from keras import layers

from keras_fgvc import backbones
from keras_fgvc.backbones import blocks
from tests import hub_networks, tiny


def names(model):
    """Names of the layers with weights, block by block."""
    return [
        [layer.name for layer in block if layer.weights]
        for block in blocks.find_blocks(model)
    ]


@pytest.mark.parametrize(
    ("layer", "block"),
    [
        ("conv2_block1_1_conv", "conv2_block1"),  # ResNet
        ("conv1_conv", None),
        ("post_bn", None),
        ("conv_dw_12_bn", "12"),  # MobileNet
        ("conv_pw_12", "12"),
        ("block_16_project_BN", "block_16"),  # MobileNetV2
        ("expanded_conv_depthwise", "expanded_conv"),
        ("Conv_1_bn", None),
        ("expanded_conv_10_squeeze_excite_conv_1", "expanded_conv_10"),
        ("conv_1_bn", None),  # MobileNetV3's last
        ("block2b_se_reduce", "block2b"),  # EfficientNet
        ("top_conv", None),
        ("conv5_block16_2_conv", "conv5_block16"),  # DenseNet
        ("pool4_conv", None),
        ("mixed10", "mixed10"),  # Inception
        ("mixed9_1", "mixed9"),
        ("mixed_5b", "mixed_5b"),
        ("block35_7_conv", "block35_7"),
        ("block14_sepconv2_bn", "block14"),  # Xception
        ("block5_conv3", "block5"),  # VGG
        (
            "convnext_tiny_stage_2_block_8_layernorm",
            "convnext_tiny_stage_2_block_8",
        ),
        ("convnext_tiny_downsampling_block_1", None),
        ("separable_conv_1_bn_normal_left1_7", "7"),  # NASNet
        ("reduction_conv_1_stem_2", "stem_2"),
        ("layer3_5_conv2", "layer3_5"),  # wide ResNet
        ("stack1_block0_2_bn", "stack1_block0"),  # KerasHub
        ("transformer_block", "transformer_block"),
        ("batch_normalization_7", None),
        ("layer_normalization_2", None),
        ("conv2d_12", None),
        ("re_lu_3", None),
    ],
)
def test_a_layer_and_its_block_by_name(layer, block):
    assert blocks._key(layer) == block


def test_a_network_of_keras():
    model = backbones.build("mobilenet_v2", taps=(8,), weights=None)
    found = names(model)
    assert [block[0] for block in found] == [
        "Conv1",
        "expanded_conv_depthwise",
        *(f"block_{number}_expand" for number in range(1, 7)),
    ]


def test_a_network_without_names_has_a_block_per_kernel():
    found = names(backbones.build(tiny.backbone(), taps=(8,)))
    assert [len(block) for block in found] == [0, 2, 2, 2]


def test_branches_are_one_block():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=4, padding="same", name="first")(image)
    y = layers.Conv2D(4, 3, padding="same", name="left")(x)
    z = layers.Conv2D(4, 1, name="right")(x)
    x = layers.Add()([x, y, z])
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(4, 1, name="last")(x)
    found = names(keras.Model(image, x))
    assert [sorted(block) for block in found] == [
        [],
        ["first"],
        ["left", "norm", "right"],
        ["last"],
    ]


def test_layers_without_a_block_in_their_name():
    """Before the first, between two, and behind the last."""
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=4, name="start")(image)
    x = layers.Conv2D(4, 1, name="stage1_conv")(x)
    x = layers.Conv2D(4, 1, name="shrink")(x)
    x = layers.Conv2D(4, 1, name="stage2_conv")(x)
    x = layers.BatchNormalization(name="end")(x)
    assert names(keras.Model(image, x)) == [
        ["start"],
        ["stage1_conv"],
        ["shrink", "stage2_conv", "end"],
    ]


def test_models_inside_a_model_are_opened():
    inner = tiny.backbone()
    model = keras.Sequential([keras.Input((32, 32, 3)), inner])
    outer = [len(block) for block in names(backbones.build(model, taps=(8,)))]
    assert outer == [0, 2, 2, 2]


@pytest.mark.filterwarnings("ignore")  # KerasHub's, of masks
@pytest.mark.parametrize("family", hub_networks.FAMILIES)
def test_networks_of_keras_hub(family):
    """Two transformer blocks, or one per stage, and no weight is missing."""
    pytest.importorskip("keras_hub")
    network = hub_networks.network(family)
    model = backbones.build(network, taps=(32,), preprocessing="imagenet")
    numbers = blocks.number_weights(model)
    assert set(numbers) == {id(weight) for weight in model.weights}
    expected = {"Swin": 5, "MiT": 4, "MobileNet": 6, "CSPNet": 8}
    counts = {
        **dict.fromkeys(("ViT", "DeiT", "DINOv2", "DINOv3"), 2),
        **dict.fromkeys(("HGNetV2", "ResNet", "DenseNet"), 4),
        "EfficientNet": 5,
        **expected,
    }
    assert max(numbers.values()) == counts[family]
    if family in hub_networks.TOKENS:  # patches and positions come first
        assert 0 in numbers.values()
