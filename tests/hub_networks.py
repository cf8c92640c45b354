"""Tiny random networks of KerasHub, one per family, for images of 64 pixels.

`keras_hub` is imported when a network is made, because it is optional.
"""

SIZE = 64


def _pair(side):
    return side if isinstance(side, tuple) else (side, side)


def _vit(hub, side):
    return hub.ViTBackbone((*_pair(side), 3), 16, 2, 2, 8, 16)


def _deit(hub, side):
    return hub.DeiTBackbone((*_pair(side), 3), 16, 2, 2, 8, 16)


def _dinov2(hub, side):
    return hub.DINOV2Backbone(
        14,
        2,
        8,
        2,
        16,
        num_register_tokens=2,
        image_shape=(side, side, 3),
        position_embedding_shape=(84, 84),
    )


def _dinov3(hub, side):
    return hub.DINOV3Backbone(16, 2, 8, 2, 16, image_shape=(side, side, 3))


def _swin(hub, side):
    return hub.SwinTransformerBackbone(
        (side, side, 3), 8, (1, 2, 1, 1), (2, 2, 2, 2), 2
    )


def _mit(hub, side):
    return hub.MiTBackbone(
        layerwise_depths=[1, 1, 1, 1],
        num_layers=4,
        layerwise_num_heads=[1, 1, 2, 2],
        layerwise_sr_ratios=[8, 4, 2, 1],
        max_drop_path_rate=0.1,
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        hidden_dims=[4, 8, 12, 16],
        image_shape=(side, side, 3),
    )


def _hgnetv2(hub, side):
    return hub.HGNetV2Backbone(
        depths=[1, 1, 1, 1],
        embedding_size=8,
        hidden_sizes=[8, 12, 16, 20],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[
            (8, 4, 8, 1, 1, 3),
            (8, 4, 12, 1, 1, 3),
            (12, 4, 16, 1, 1, 3),
            (16, 4, 20, 1, 1, 3),
        ],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, False, True, True],
        image_shape=(side, side, 3),
    )


def _resnet(hub, side):
    return hub.ResNetBackbone(
        [64], [7], [64] * 4, [1, 1, 1, 1], [1, 2, 2, 2], "basic_block"
    )


def _efficientnet(hub, side):
    return hub.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0] * 5,
        stackwise_depth_coefficients=[1.0] * 5,
        stackwise_kernel_sizes=[3] * 5,
        stackwise_num_repeats=[1] * 5,
        stackwise_input_filters=[8] * 5,
        stackwise_output_filters=[8] * 5,
        stackwise_expansion_ratios=[1, 2, 2, 2, 2],
        stackwise_squeeze_and_excite_ratios=[0.25] * 5,
        stackwise_strides=[1, 2, 2, 2, 2],
        stackwise_block_types=["v1"] * 5,
        stackwise_force_input_filters=[0] * 5,
        stackwise_nores_option=[False] * 5,
        num_features=12,
    )


def _densenet(hub, side):
    return hub.DenseNetBackbone([1, 1, 1, 1], growth_rate=16)


def _mobilenet(hub, side):
    return hub.MobileNetBackbone(
        stackwise_expansion=[[8], [8], [8], [8]],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_filters=[[8], [8], [8], [8]],
        stackwise_kernel_size=[[3]] * 4,
        stackwise_num_strides=[[2]] * 4,
        stackwise_se_ratio=[[None], [0.25], [0.25], [0.25]],
        stackwise_activation=[["relu"]] * 4,
        stackwise_padding=[[1]] * 4,
        output_num_filters=12,
        depthwise_filters=8,
        depthwise_stride=1,
        depthwise_residual=False,
        last_layer_filter=12,
        input_activation="relu",
        output_activation="relu",
        input_num_filters=8,
        image_shape=(side, side, 3),
    )


def _cspnet(hub, side):
    return hub.CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=2,
        stackwise_depth=[1, 1, 1, 1],
        stackwise_strides=[2, 2, 2, 2],
        stackwise_num_filters=[8, 8, 16, 16],
        block_type="dark_block",
        stage_type="csp",
        stem_padding="same",
        down_growth=True,
        bottle_ratio=[0.5, 1.0, 1.0, 1.0],
        block_ratio=[1.0, 0.5, 0.5, 0.5],
        expand_ratio=[2.0, 1.0, 1.0, 1.0],
    )


FAMILIES = {
    "ViT": _vit,
    "DeiT": _deit,
    "DINOv2": _dinov2,
    "DINOv3": _dinov3,
    "Swin": _swin,
    "MiT": _mit,
    "HGNetV2": _hgnetv2,
    "ResNet": _resnet,
    "EfficientNet": _efficientnet,
    "DenseNet": _densenet,
    "MobileNet": _mobilenet,
    "CSPNet": _cspnet,
}
TOKENS = ("ViT", "DeiT", "DINOv2", "DINOv3", "Swin")


def network(family, side=SIZE):
    """Makes a random network of a family."""
    import keras_hub

    return FAMILIES[family](keras_hub.models, side)
