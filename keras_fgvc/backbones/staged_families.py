"""KerasHub's transformers of several scales, tapped behind their blocks."""

from typing import NamedTuple

import keras
from keras import ops


class Block(NamedTuple):
    """One block: its layers, pixels per cell, channels, names it goes by."""

    layers: tuple
    stride: int
    channels: int
    names: tuple


class Swin:
    """Swin: four scales, one token per cell and no others."""

    any_size = False

    def __init__(self, network):
        self.network, self.norm = network, network.norm
        self.blocks, self.before = [], []  # of each block: is it downsampled?
        self.window = network.window_size
        for index, stage in enumerate(network.stages):
            stride = network.patch_size * 2**index
            for number, block in enumerate(stage.blocks):
                layers, names = (block,), ()
                if number == 0 and index > 0:
                    layers = (network.stages[index - 1].downsample, block)
                if number == len(stage.blocks) - 1:
                    names = (stage.name,)
                self.blocks.append(Block(layers, stride, stage.dim, names))

    def stem(self):
        """The layers before the first block."""
        return [self.network.patch_embedding, self._dropout()]

    def _dropout(self):
        return self.network.get_layer("pos_drop")

    def states(self, pixels, count, call):
        """Yields the grid `(b, h, w, c)` behind each of the first blocks."""
        size = [side // self.network.patch_size for side in pixels.shape[1:3]]
        x = self._dropout()(self.network.patch_embedding(pixels))
        number = 0
        for block in self.blocks[:count]:
            *downsample, attention = block.layers
            for layer in downsample:
                x = layer(x, H=size[0], W=size[1])
                size = [(side + 1) // 2 for side in size]
                number = 0
            self._fit(attention, size, number)
            number += 1
            x = call(attention, x)
            yield ops.reshape(x, (-1, *size, block.channels))

    def cells(self, side, number):
        """Cells of a grid behind a block along a side of the image."""
        cells, patch = side // self.network.patch_size, self.network.patch_size
        while patch < self.blocks[number - 1].stride:
            cells, patch = (cells + 1) // 2, patch * 2
        return cells

    def _fit(self, block, size, number):
        """Tells a block the grid that it has for these images."""
        if min(size) < self.window:
            smallest = self.window * self.blocks[-1].stride
            raise ValueError(
                "The images must have at least one window of "
                f"{self.window} x {self.window} cells in each stage of the "
                f"Swin {self.network.name!r}. Received: {size[0]} x {size[1]} "
                f"cells. Give images of at least {smallest} pixels, or a "
                "Swin with a smaller `window_size`."
            )
        block.input_resolution = tuple(size)
        block.window_size = self.window
        shifted = number % 2 and min(size) > self.window
        block.shift_size = self.window // 2 if shifted else 0


class MiT:
    """SegFormer's encoder: four scales, square images, no other tokens."""

    any_size = False
    norm = None  # each scale has its own, behind its last block

    def __init__(self, network):
        self.network, self.blocks = network, []
        norms = [
            layer
            for layer in network.layers
            if isinstance(layer, keras.layers.LayerNormalization)
        ]
        stride = 1
        for level, depth in enumerate(network.layerwise_depths):
            embed = network.get_layer(f"patch_and_embed_{level}")
            stride *= embed.stride
            for number in range(depth):
                name = f"hierarchical_encoder_{level}_{number}"
                layers = [network.get_layer(name)]
                if number == 0:
                    layers.insert(0, embed)
                if number == depth - 1:
                    layers.append(norms[level])
                names = (name, f"stage_{level}")[: 1 + (number == depth - 1)]
                self.blocks.append(
                    Block(tuple(layers), stride, embed.project_dim, names)
                )

    def stem(self):
        """The layers before the first block."""
        return []

    def states(self, pixels, count, call):
        """Yields the grid `(b, h, w, c)` behind each of the first blocks."""
        height, width = pixels.shape[1:3]
        if height != width:
            raise ValueError(
                f"The images must be square for the MiT {self.network.name!r}. "
                f"Received: {height} x {width} pixels. Resize them."
            )
        grid = pixels
        for number, block in enumerate(self.blocks[:count], start=1):
            # A scale begins on the grid of the one before.
            starts = hasattr(block.layers[0], "proj")
            x = (
                grid
                if starts
                else ops.reshape(
                    grid, (-1, grid.shape[1] * grid.shape[2], grid.shape[3])
                )
            )
            for layer in block.layers:
                x = call(layer, x)
            side = self.cells(height, number)
            grid = ops.reshape(x, (-1, side, side, block.channels))
            yield grid

    def cells(self, side, number):
        """Cells of a grid behind a block along a side of the image."""
        for block in self.blocks[:number]:
            embed = block.layers[0]
            if hasattr(embed, "proj"):
                padding = 2 * (embed.patch_size // 2) - embed.patch_size
                side = (side + padding) // embed.stride + 1
        return side
