"""The blocks of a backbone, in order from its input to its output.

Freezing, the decay of the learning rate with depth, and rematerialization
all count these blocks.
"""

import re

import keras

from keras_fgvc.backbones.taps import ordered_nodes

_STEM = ""
_KNOWN = "transformer block "  # begins no name that a pattern finds
# From the name of a layer to its block. The first pattern that matches counts.
_NAMES = (
    # NASNet: the cell is the last number
    r"(?:separable_conv|normal|reduction|adjust)_.*?((?:stem_|reduce_)?\d+)$",
    r"conv_[dp]w_(\d+)",  # MobileNet
    r"(expanded_conv(?:_\d+)?)_[a-z]",  # MobileNetV3
    # ResNet, DenseNet, ConvNeXt, wide ResNet, most of KerasHub
    r"(.*?(?:conv|stage|stack|layer)_?\d+_(?:block_?)?\d+)(?:_|$)",
    r"(mixed_?\d+[a-z]?)(?:_|$)",  # Inception
    # EfficientNet, MobileNetV2, Xception, VGG, and many a user's network
    r"(?!.*downsampl)"
    r"(.*?(?:block|stage|stack|layer|cell|unit)_?\d+[a-z]?(?:_\d+)*)(?:_|$)",
    r"(.*(?:block|stage|cell|unit))$",  # the first of a class, by Keras
)


def find_blocks(model: keras.Model) -> list[list]:
    """Returns the stem and the blocks of a backbone as lists of layers.

    Layers belong to a block by their names, such as `block_3_expand`. A layer
    without such a name belongs to the block whose layers surround it, or to
    the next one; behind the last block it belongs to that. In a network
    without such names, each stretch between two points that everything
    passes through is a block if it has a kernel: a convolution with its norm
    and activation, or a residual branch as a whole.

    Args:
        model: a functional or Sequential `keras.Model`, such as `build`
            returns.

    Returns:
        List of lists of layers: what comes before the first block, then each
        block. A layer that is called several times is listed once.
    """
    numbered = number_layers(model)
    blocks = [[] for _ in range(1 + max(numbered.values(), default=0))]
    for layer, number in numbered.items():
        blocks[number].append(layer)
    return blocks


def number_weights(model: keras.Model) -> dict:
    """Maps the id of each weight of a backbone to the number of its block.

    A weight that no block has belongs to the stem.
    """
    numbers = {id(weight): 0 for weight in model.weights}
    for layer, number in number_layers(model).items():
        numbers |= {id(weight): number for weight in layer.weights}
    return numbers


def number_layers(model: keras.Model) -> dict:
    """Maps each layer of a graph to the number of its block; 0 is the stem."""
    keyed = list(_keyed(model))
    keys = [key for _, key, _ in keyed]
    found = set(keys) - {None}
    if len(found) > 1 or any(key.startswith(_KNOWN) for key in found):
        keys = _filled(keys)
    else:
        keys = _numbers_by_kernel(keyed)
    order = dict.fromkeys(key for key in keys if key != _STEM)
    numbers = {key: number for number, key in enumerate(order, start=1)}
    numbered = {}
    for (layer, _, _), key in zip(keyed, keys, strict=True):
        numbered.setdefault(layer, numbers.get(key, 0))
    return numbered


def _filled(keys):
    """Gives each layer without a key that of the next layer with one."""
    first = next(n for n, key in enumerate(keys) if key)
    filled = list(keys)
    following = next(key for key in reversed(keys) if key)
    for place in range(len(keys) - 1, first, -1):
        following = filled[place] = keys[place] or following
    return [key or _STEM for key in filled]


def _numbers_by_kernel(keyed):
    """A number for each section with a kernel; norms join it."""
    with_kernel = {
        section
        for layer, _, section in keyed
        if any(len(w.shape) > 1 for w in layer.weights)
    }
    order = {section: None for _, _, section in keyed}
    numbers, number = {}, 0
    for section in order:
        number += section in with_kernel
        numbers[section] = number or _STEM
    return [numbers[section] for _, _, section in keyed]


def _keyed(model, place=()):
    """Yields (layer, key or None, section) of each layer of a graph."""
    for number, operations in enumerate(_sections(model)):
        section = (*place, number)
        layers = [x for x in operations if isinstance(x, keras.layers.Layer)]
        if len(layers) == 1 and _is_network(layers[0]):
            yield from _keyed_inside(layers[0], section)
            continue
        layers = [each for layer in layers for each in _unpacked(layer)]
        keys = [_key(layer.name) for layer in layers]
        own = next((key for key in reversed(keys) if key), None)
        for layer, key in zip(layers, keys, strict=True):
            yield layer, key or own, section


def _keyed_inside(network, section):
    if isinstance(network, keras.Model):
        yield from _keyed(network, section)
    elif hasattr(network.family, "graph"):
        yield from _keyed(network.family.graph, section)
    else:
        key = None
        for name, layer in network.named_parts():
            part, *numbers = name.split("_")
            if part != "norm":  # which belongs to the block before it
                key = _KNOWN + numbers[0] if part == "block" else None
            yield layer, key, (*section, key)


def is_graph(operation) -> bool:
    """Tells whether an operation is a functional or Sequential model."""
    is_model = isinstance(operation, keras.Model)
    return is_model and bool(getattr(operation, "inputs", None))


def _is_network(layer):
    return is_graph(layer) or hasattr(layer, "named_parts")  # or nested


def _unpacked(layer):
    """The blocks that a layer of layers consists of, or the layer itself."""
    inner = [x for x in getattr(layer, "_layers", ()) if x.weights]
    if is_graph(layer):
        return [each for x in inner for each in _unpacked(x)]
    count = sum(len(x.weights) for x in inner)
    is_all = count == len(layer.weights) and len(inner) > 1
    if is_all and not _key(layer.name) and all(_key(x.name) for x in inner):
        return inner
    return [layer]


def _key(name):
    for pattern in _NAMES:
        match = re.match(pattern, name)
        if match:
            return match[1]
    return None


def _sections(model):
    """Yields the operations between two tensors that everything crosses."""
    nodes = ordered_nodes(model)
    last_use = {
        id(tensor): place
        for place, node in enumerate(nodes)
        for tensor in node.input_tensors
    }
    section = []
    open_until = max(last_use.get(id(x), 0) for x in model.inputs)
    for place, node in enumerate(nodes):
        section.append(node.operation)
        # What earlier nodes made is still needed, or two things of this one.
        own = [last_use.get(id(x), place) for x in node.output_tensors]
        if open_until <= place and len(own) == 1:
            yield section
            section = []
        open_until = max(open_until, *own)
    if section:
        yield section
