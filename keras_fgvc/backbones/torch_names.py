"""Names of a network's weights in the files of PyTorch.

ResNets are named as torchvision's modules. ConvNeXts and vision transformers
go by timm's names, which DINOv2's own files share; the names of torchvision
and of ConvNeXt's authors are translated into timm's first.
"""

import re

import keras
import numpy as np
from keras import ops

from keras_fgvc.backbones import token_families
from keras_fgvc.ops._positions import resample_positions

EPSILON = 1e-6  # of layer normalisation in all of these networks
# What a Keras variable is called in torch.
_TORCH_NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# Module of timm for a layer of keras.applications' ConvNeXt. "next" is the
# first number and one.
_CONVNEXT = {
    r"stem_conv": "stem.0",
    r"stem_layernorm": "stem.1",
    r"downsampling_layernorm_(\d)": "stages.{next}.downsample.0",
    r"downsampling_conv_(\d)": "stages.{next}.downsample.1",
    r"stage_(\d)_block_(\d+)_depthwise_conv": "stages.{}.blocks.{}.conv_dw",
    r"stage_(\d)_block_(\d+)_layernorm": "stages.{}.blocks.{}.norm",
    r"stage_(\d)_block_(\d+)_pointwise_conv_1": "stages.{}.blocks.{}.mlp.fc1",
    r"stage_(\d)_block_(\d+)_pointwise_conv_2": "stages.{}.blocks.{}.mlp.fc2",
    r"stage_(\d)_block_(\d+)_layer_scale": "stages.{}.blocks.{}",
    r"layer_normalization(?:_\d+)?": "head.norm",
}
# Module of timm for the path of a weight inside a block of KerasHub.
_BLOCK = {
    "(ln_1|norm1)": "norm1",
    "(ln_2|norm2)": "norm2",
    "query": "attn.q",
    "key": "attn.k",
    "value": "attn.v",
    "attention_output": "attn.proj",
    "mlp/(dense|dense_1|fc1)": "mlp.fc1",
    "(mlp/dense_2|mlp/fc2|output_layer/output)": "mlp.fc2",
    "weights_in": "mlp.w12",
    "weights_out": "mlp.w3",
    "layer_scale1": "ls1",
    "layer_scale2": "ls2",
}
# Weights of KerasHub that no layer holds.
_TOKENS = {
    "class_token": "cls_token",
    "cls_token": "cls_token",
    "distillation_token": "dist_token",
    "register_tokens": "reg_token",
}
# Other names of the same, timm's after them.
_TRANSLATIONS = (
    # ConvNeXt of torchvision: features 1, 3, 5 and 7 are the stages, those
    # before them the stem and what makes their grid coarser.
    (r"features\.0\.", "stem."),
    (r"features\.([246])\.([01])\.", r"stages.half(\1).downsample.\2."),
    (r"features\.(\d)\.(\d+)\.", r"stages.half(\1).blocks.\2."),
    (r"(stages.*)block\.0\.", r"\1conv_dw."),
    (r"(stages.*)block\.2\.", r"\1norm."),
    (r"(stages.*)block\.3\.", r"\1mlp.fc1."),
    (r"(stages.*)block\.5\.", r"\1mlp.fc2."),
    (r"(stages.*)layer_scale$", r"\1gamma"),
    (r"classifier\.0\.", "head.norm."),
    (r"classifier\.2\.", "head.fc."),
    # ConvNeXt of its authors.
    (r"downsample_layers\.0\.", "stem."),
    (r"downsample_layers\.(\d)\.", r"stages.\1.downsample."),
    (r"stages\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"(stages.*)dwconv\.", r"\1conv_dw."),
    (r"(stages.*)pwconv(\d)\.", r"\1mlp.fc\2."),
    # Vision transformers of torchvision; `linear_1` is of its older files.
    (r"conv_proj\.", "patch_embed.proj."),
    (r"class_token$", "cls_token"),
    (r"encoder\.pos_embedding$", "pos_embed"),
    (r"encoder\.ln\.", "norm."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (r"(blocks.*)ln_(\d)\.", r"\1norm\2."),
    (r"(blocks.*)self_attention\.in_proj_", r"\1attn.qkv."),
    (r"(blocks.*)self_attention\.out_proj\.", r"\1attn.proj."),
    (r"(blocks.*)mlp\.(?:0|linear_1)\.", r"\1mlp.fc1."),
    (r"(blocks.*)mlp\.(?:3|linear_2)\.", r"\1mlp.fc2."),
    (r"heads\.head\.", "head."),
    # The tokens of DINOv2's authors.
    (r"register_tokens$", "reg_token"),
)
_OF_AUTHORS = "pwconv"  # of ConvNeXt: their `norm` and `head` are unlike ViT's


def variables(model: keras.Model) -> dict:
    """Returns the weights of a network by the names of torch.

    Raises:
        ValueError: If torch's network computes something else.
    """
    blocks = token_families.find(model)
    if blocks is not None:
        return _of_transformer(model, blocks)
    found = {}
    for layer in _flat_layers(model):
        module = _convnext_module(layer.name) or layer.name.replace("_", ".")
        for weight in layer.weights:
            # The layer scale has a weight without a name.
            name = _TORCH_NAMES.get(weight.name, "gamma")
            found[f"{module}.{name}"] = weight
    return found


def is_known(network) -> bool:
    """Tells whether a network of KerasHub has names in torch here."""
    blocks = token_families.find(network)
    return getattr(blocks, "positions", None) is not None


def translate(tensors: dict) -> dict:
    """Returns arrays by timm's names; queries, keys and values apart."""
    result = {}
    of_authors = any(_OF_AUTHORS in name for name in tensors)
    for name, array in tensors.items():
        name = _translated(name, of_authors)
        if ".attn.qkv." in name and len(array) % 3 == 0:
            thirds = array.reshape(3, -1, *array.shape[1:])
            for part, third in zip("qkv", thirds, strict=True):
                result[name.replace("qkv", part)] = third
        else:  # torchvision's scale of a layer is (channels, 1, 1)
            result[name] = array.ravel() if name.endswith(".gamma") else array
    return result


def fit_positions(positions, network):
    """Resamples the position embeddings of a file for a network's grid.

    Args:
        positions: Array `(1, tokens and patches, channels)`. Files may hold
            those of the patches alone: others are then zero.
        network: A network that `is_known`.

    Returns:
        An array `(1, n, channels)`; `positions` if they are no square grid.
    """
    blocks = token_families.find(network)
    wanted = blocks.positions.shape[-2]
    before = wanted - blocks.grid[0] * blocks.grid[1]
    count = positions.shape[1]
    if count == wanted:
        return positions
    for given in (before, 0):
        side = round(max(count - given, 0) ** 0.5)
        if side and side * side == count - given:
            patches = resample_positions(
                positions[:, given:], (side, side), blocks.grid
            )
            shape = (1, before, positions.shape[2])
            tokens = positions[:, :given] if given else np.zeros(shape)
            patches = ops.convert_to_numpy(patches)
            return np.concatenate([tokens, patches], axis=1)
    return positions


def _of_transformer(network, blocks):
    epsilon = getattr(network, "layer_norm_epsilon", EPSILON)
    if epsilon != EPSILON:
        raise ValueError(
            f"The network {network.name!r} must have layer_norm_epsilon="
            f"{EPSILON:g}, as the networks of torchvision, timm and DINOv2 "
            "have, to compute what they do with a file of PyTorch. "
            f"Received: layer_norm_epsilon={epsilon:g}. Build it with "
            f"layer_norm_epsilon={EPSILON:g}."
        )
    found = {_TOKENS[token.name]: token for token in blocks.tokens}
    found["pos_embed"] = blocks.positions
    modules = [("patch_embed.proj", blocks.project), ("norm", blocks.norm)]
    for module, layer in modules:
        for weight in layer.weights:
            found[f"{module}.{_TORCH_NAMES[weight.name]}"] = weight
    for number, block in enumerate(blocks.blocks):
        for weight in block.layers[0].weights:
            module = next(
                name
                for pattern, name in _BLOCK.items()
                if re.search(f"{pattern}/[^/]+$", weight.path)
            )
            name = _TORCH_NAMES.get(weight.name, "gamma")
            found[f"blocks.{number}.{module}.{name}"] = weight
    return found


def _flat_layers(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _flat_layers(layer)
        else:
            yield layer


def _convnext_module(name):
    for pattern, module in _CONVNEXT.items():
        found = re.search(rf"(?:^|_){pattern}$", name)
        if found:
            after = int(found[1]) + 1 if found.groups() else None
            return module.format(*found.groups(), next=after)
    return None


def _translated(name, of_authors):
    if of_authors:
        name = re.sub(r"^norm\.", "head.norm.", name)
        name = re.sub(r"^head\.(?=weight|bias)", "head.fc.", name)
    for pattern, new in _TRANSLATIONS:
        name = re.sub(f"^{pattern}", new, name)
    return re.sub(r"half\((\d)\)", lambda m: str(int(m[1]) // 2), name)
