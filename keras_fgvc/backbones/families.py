"""Taps of a nested network: by its blocks, or at the layers of its graph."""

import difflib
from typing import NamedTuple

import keras
from keras import ops

from keras_fgvc.backbones import taps as tap_finder
from keras_fgvc.backbones.grids import levels_between

# Class, distillation and register tokens: DINOv2 has five, DeiT two.
MOST_TOKENS = 8
_PATCHES = range(2, 65)


class Place(NamedTuple):
    """Place of a tap in a network.

    key: number of blocks, or index of a tensor.
    is_last: whether it is the network's output, behind the last norm.
    levels: how often the grid there is halved (negative: doubled).
    """

    key: int
    is_last: bool
    levels: int


class BlockFamily:
    """Taps of a transformer of KerasHub.

    Args:
        network: The `keras.Model`, for messages.
        blocks: What `token_families.find` returned.
    """

    has_maps = False  # whether early layers give maps

    def __init__(self, network, blocks):
        self.network, self.blocks = network, blocks
        self.first_stride = blocks.blocks[0].stride
        self.names = {}
        for number, block in enumerate(blocks.blocks, start=1):
            for name in (f"block_{number}", *block.names):
                self.names[name] = number

    def find(self, tap) -> Place:
        """Returns the place of a tap."""
        count = len(self.blocks.blocks)
        if isinstance(tap, str):
            if tap not in self.names:
                raise ValueError(self._no_block(tap))
            return Place(self.names[tap], False, 0)  # as the block gives it
        tap_finder.check_stride(tap)
        levels = [levels_between(b.stride, tap) for b in self.blocks.blocks]
        exact = [n for n, level in enumerate(levels, start=1) if level == 0]
        number = exact[-1] if exact else count
        is_last = number == count and self.blocks.norm is not None
        return Place(number, is_last, levels[number - 1])

    def _no_block(self, tap):
        near = difflib.get_close_matches(tap, self.names, n=1)
        hint = f" Nearest name: {near[0]}." if near else ""
        others = [n for n in self.names if not n.startswith("block_")]
        return (
            f"Model {self.network.name!r} has no block {tap!r} to tap.{hint} "
            f"Its blocks are block_1 to block_{len(self.blocks.blocks)}; it "
            f"also knows {', '.join(others)}, and strides (4, 8, 16 or 32)."
        )

    def parts(self, places) -> list:
        """Pairs (key, layer) of the layers that the places need."""
        last = max(place.key for place in places)
        parts = [(f"stem_{n}", x) for n, x in enumerate(self.blocks.stem())]
        for number, block in enumerate(self.blocks.blocks[:last], start=1):
            for n, layer in enumerate(block.layers):
                parts.append((f"block_{number}_{n}", layer))
        if any(place.is_last for place in places):
            parts.append(("norm", self.blocks.norm))
        return parts

    def maps(self, images, places, again=False) -> list:
        """The grid at each place, not scaled yet.

        With `again` each block is computed once more for the gradient.
        """
        if not self.blocks.any_size:
            images = at_known_size(images, self.network)
        last = max(place.key for place in places)
        call = _call
        if again:  # a rare thing, imported where it is used
            from keras_fgvc.backbones.remat import call_again as call
        grids = list(self.blocks.states(images, last, call))
        return [
            self.blocks.norm(grids[place.key - 1])
            if place.is_last
            else grids[place.key - 1]
            for place in places
        ]

    def shape(self, place, height, width):
        """Height, width, channels of the grid at a place."""
        block = self.blocks.blocks[place.key - 1]
        sides = (
            None if side is None else self.blocks.cells(side, place.key)
            for side in (height, width)
        )
        return (*sides, block.channels)


def _call(layer, tensor, **options):
    return layer(tensor, **options)


def at_known_size(images, network):
    """Resizes images to the network's size, if theirs is not known yet."""
    if None not in images.shape[1:3]:
        return images
    return ops.image.resize(
        images, network.inputs[0].shape[1:3], data_format="channels_last"
    )


class GraphFamily:
    """Taps at the layers of a network's graph, or at its tokens.

    Args:
        network: The `keras.Model`.
        tokens: Number of tokens before the patches, or `None`.
    """

    def __init__(self, network, tokens=None):
        self.network, self.tokens = network, tokens
        self.tensors = []
        self.ends_in_tokens = ends_in_tokens(network)
        self.has_maps, self.first_stride = not self.ends_in_tokens, None
        if self.ends_in_tokens:
            self.tensors.append(network.outputs[0])
            self.grid = token_grid(network, tokens)

    def find(self, tap) -> Place:
        """Returns the place of a tap."""
        levels = 0
        if self.ends_in_tokens and not isinstance(tap, str):
            tap_finder.check_stride(tap)
            stride = self.network.inputs[0].shape[1] / self.grid[0]
            return Place(0, True, levels_between(stride, tap))
        tensor = tap_finder.resolve(self.network, tap)
        if len(tensor.shape) == 3 and not self.ends_in_tokens:
            self.grid = token_grid(self.network, self.tokens, tensor)
        self.tensors.append(tensor)
        return Place(len(self.tensors) - 1, False, levels)

    def parts(self, places) -> list:
        """Pairs (key, layer) of the layers that the places need."""
        used = [self.tensors[place.key] for place in places]
        self.graph = keras.Model(self.network.inputs, used)
        needed = {id(layer) for layer in self.graph.layers}
        # By number: names can come from a counter of the process.
        return [
            (f"layer_{number}", layer)
            for number, layer in enumerate(self.network.layers)
            if id(layer) in needed
            and not isinstance(layer, keras.layers.InputLayer)
        ]

    def maps(self, images, places, again=False) -> list:
        """The map at each place, not scaled yet, see `BlockFamily`."""
        if self.ends_in_tokens:
            images = at_known_size(images, self.network)
            self._check_size(images.shape[1:3])
        # Past `__call__`, which insists on the size a network was built for.
        if again:
            from keras_fgvc.backbones.remat import run

            outputs = run(self.graph, [images])
        else:
            outputs = keras.tree.flatten(self.graph.call(images))
        self._check_channels(images.shape[1:3], outputs, places)
        return [
            self._as_grid(output) if len(output.shape) == 3 else output
            for output in outputs
        ]

    def _as_grid(self, tokens):
        patches = tokens[:, tokens.shape[1] - self.grid[0] * self.grid[1] :]
        return ops.reshape(patches, (-1, *self.grid, tokens.shape[-1]))

    def _check_size(self, size):
        built = tuple(self.network.inputs[0].shape[1:3])
        if None not in size and tuple(size) != built:
            raise ValueError(
                f"The images must be {built[0]} x {built[1]} pixels, because "
                f"the network {self.network.name!r} ends in the tokens of such "
                f"images. Received: {size[0]} x {size[1]} pixels. Set "
                "`image_size`, or build the network for another size."
            )

    def _check_channels(self, size, outputs, places):
        """Raises if a network of fixed size computes nonsense at another.

        Of the maps themselves: Keras cannot infer shapes while JAX trains.
        """
        built = self.network.inputs[0].shape[1:3]
        for place, output in zip(places, outputs, strict=True):
            if output.shape[-1] != self.tensors[place.key].shape[-1]:
                raise ValueError(
                    f"The images must be {built[0]} x {built[1]} pixels, the "
                    f"size that the network {self.network.name!r} was built "
                    f"for. Received: {size[0]} x {size[1]} pixels. Set "
                    "`image_size`, or build the network for another size."
                )

    def shape(self, place, height, width):
        """Height, width, channels of the map at a place."""
        tensor = self.tensors[place.key]
        if len(tensor.shape) == 3:
            self._check_size((height, width))
            return (*self.grid, tensor.shape[-1])
        if None in (height, width):
            return (None, None, tensor.shape[-1])
        graph = keras.Function(self.network.inputs[0], tensor)
        return tap_finder.shapes_at(graph, height, width)[0][1:]


def ends_in_tokens(network) -> bool:
    """Tells whether a model's only output is `(batch, tokens, channels)`."""
    outputs = network.outputs
    return len(outputs) == 1 and len(outputs[0].shape) == 3


def token_grid(network, tokens, tensor=None):
    """Rows and columns of the patches of a network that gives tokens.

    Raises:
        ValueError: If the size is unknown or several grids fit.
    """
    height, width = network.inputs[0].shape[1:3]
    count = (network.outputs[0] if tensor is None else tensor).shape[1]
    given = f"{count} tokens for images of {height} x {width} pixels"
    if None in (height, width, count):
        raise ValueError(
            f"The network {network.name!r} gives tokens, so that it must have "
            f"a fixed input size. Received: {given}."
        )
    numbers = range(MOST_TOKENS + 1) if tokens is None else (tokens,)
    grids = {
        (height // side, width // side)
        for side in _PATCHES
        if (height // side) * (width // side) in {count - n for n in numbers}
        and height % side == 0
        and width % side == 0
    }
    if len(grids) != 1:
        found = ", ".join(f"{h} x {w}" for h, w in sorted(grids)) or "none"
        raise ValueError(
            f"The tokens of the network {network.name!r} must make one grid of "
            f"square patches. Received: {given}, `tokens`={tokens}; grids "
            f"that fit: {found}. Give `tokens=`, the number of class, register "
            "and distillation tokens before the patches."
        )
    return grids.pop()
