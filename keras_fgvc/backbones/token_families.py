"""KerasHub's transformers by their blocks: pixels to a patch grid per block.

A family knows the layers that its blocks need, so that a network can be
tapped behind any block and keeps no weight that no tap needs. Class, register
and distillation tokens take part in the attention and are dropped from the
grids.
"""

import keras
from keras import ops

from keras_fgvc.backbones.staged_families import Block, MiT, Swin
from keras_fgvc.ops._positions import resample_positions


class HeldWeights(keras.layers.Layer):
    """Weights of a layer of which the network needs no other weight.

    Such as the position embeddings of a DINOv2, which KerasHub's own layer
    computes anew from the ones before training when a file is loaded.
    """

    def __init__(self, weights, **kwargs):
        super().__init__(**kwargs)
        self.held = list(weights)
        self.built = True


class VisionTransformer:
    """ViT, DeiT, DINOv2 and DINOv3: one scale, tokens before the patches.

    Args:
        patch: Side of a patch in pixels.
        project: Layer from pixels to patches.
        tokens: Weights `(1, n, channels)` of the tokens before the patches.
        positions: Weight `(1, n, channels)` or `(n, channels)` for the first
            of the tokens and the patches, or `None`.
        grid: Rows and columns that `positions` has.
        blocks: The layers.
        norm: Layer behind the last block.
        dropout: Layer before the first block, or `None`.
        rope: Layer from pixels to rotary position embeddings, or `None`.
    """

    any_size = True

    def __init__(
        self, patch, project, blocks, norm, tokens, *, positions=None, **rest
    ):
        self.patch, self.project, self.norm = patch, project, norm
        self.tokens, self.positions = tokens, positions
        self.grid = rest.get("grid")
        self.dropout, self.rope = rest.get("dropout"), rest.get("rope")
        channels = tokens[0].shape[-1] if tokens else positions.shape[-1]
        self.blocks = [
            Block((block,), patch, channels, (block.name,)) for block in blocks
        ]
        weights = [*tokens, *([] if positions is None else [positions])]
        self.held = HeldWeights(weights, name="tokens")

    def stem(self):
        """The layers before the first block."""
        layers = (self.held, self.project, self.dropout, self.rope)
        return [layer for layer in layers if layer is not None]

    def states(self, pixels, count, call):
        """Yields the grid `(b, h, w, c)` behind each of the first blocks."""
        height, width = ops.shape(pixels)[1:3]
        size = height // self.patch, width // self.patch
        x = self._embed(pixels, size)
        if self.dropout is not None:
            x = self.dropout(x)
        options, num_tokens = {}, sum(token.shape[1] for token in self.tokens)
        if self.rope is not None:
            options["position_embeddings"] = self.rope(pixels)
            options["num_prefix_tokens"] = num_tokens
        for block in self.blocks[:count]:
            x = call(block.layers[0], x, **options)
            if isinstance(x, (tuple, list)):  # DeiT: and the attention
                x = x[0]
            patches = x[:, num_tokens:]
            yield ops.reshape(patches, (-1, *size, x.shape[-1]))

    def cells(self, side, number):
        """Cells of a grid behind a block along a side of the image."""
        return side // self.patch

    def _embed(self, pixels, size):
        """Tokens and patches with their positions, `(b, n, c)`."""
        patches = self.project(pixels)
        channels = patches.shape[-1]
        patches = ops.reshape(patches, (-1, size[0] * size[1], channels))
        batch, dtype = ops.shape(patches)[0], patches.dtype
        tokens = [ops.cast(token, dtype) for token in self.tokens]
        if self.positions is not None:
            positions = ops.cast(self.positions, dtype)
            positions = ops.reshape(positions, (1, -1, channels))
            before = positions.shape[1] - self.grid[0] * self.grid[1]
            # Not in place, which PyTorch refuses for weights.
            patches = patches + resample_positions(
                positions[:, before:], self.grid, size
            )
            # Register tokens have no position: they follow those which have.
            for number in range(before):
                position = positions[:, number : number + 1]
                tokens[number] = tokens[number] + position
        tokens = [ops.tile(token, (batch, 1, 1)) for token in tokens]
        return ops.concatenate([*tokens, patches], axis=1)


def _grid(network):
    height, width = network.image_shape[:2]
    return height // _side(network), width // _side(network)


def _side(network):
    patch = network.patch_size
    return patch if isinstance(patch, int) else patch[0]


def _layer(network, name):
    """The layer of a class; names can be a user's."""
    return next(x for x in network.layers if type(x).__name__ == name)


def _vit(network):
    stem = _layer(network, "ViTPatchingAndEmbedding")
    encoder = _layer(network, "ViTEncoder")
    return VisionTransformer(
        _side(network),
        stem.patch_embedding,
        encoder.encoder_layers,
        encoder.layer_norm,
        [stem.class_token] if stem.use_class_token else [],
        positions=stem.position_embedding.embeddings,
        grid=_grid(network),
        dropout=encoder.dropout,
    )


def _deit(network):
    stem = _layer(network, "DeiTEmbeddings")
    encoder = _layer(network, "DeiTEncoder")
    return VisionTransformer(
        _side(network),
        stem.patch_embedding,
        encoder.encoder_layers,
        encoder.layer_norm,
        [stem.class_token, stem.distillation_token],
        positions=stem.position_embedding,
        grid=_grid(network),
        dropout=stem.dropout,
    )


def _dino(network):
    stem = network.embeddings
    tokens = [stem.cls_token]
    if network.num_register_tokens:
        tokens.append(stem.register_tokens)
    return VisionTransformer(
        _side(network),
        stem.patch_embeddings,
        network.encoder.layers,
        network.layernorm,
        tokens,
        positions=getattr(stem, "interpolated_position_embeddings", None),
        grid=_grid(network) if network.image_shape[0] else None,
        dropout=getattr(stem, "dropout", None),
        rope=getattr(network, "rope_embedding", None),
    )


_FAMILIES = {
    "ViTBackbone": _vit,
    "DeiTBackbone": _deit,
    "DINOV2Backbone": _dino,
    "DINOV3Backbone": _dino,
    "SwinTransformerBackbone": Swin,
    "MiTBackbone": MiT,
}


def find(network: keras.Model):
    """Returns the blocks of a network of KerasHub, or None of another."""
    for parent in type(network).__mro__:
        if parent.__module__.startswith("keras_hub."):
            make = _FAMILIES.get(parent.__name__)
            if make is not None:
                return make(network)
    return None
