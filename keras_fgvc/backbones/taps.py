"""Finds the tensor that a tap (a stride or a layer name) stands for.

Layer names such as `activation_94` come from a counter of the whole process
and differ in the second build, so a stride is found from the shapes in the
graph: the last feature map of that stride. Where that map is not the one the
literature taps (a branch of Inception, the 1x1 convolution of a DenseNet
transition), the family's own fixed layer names narrow the choice.
"""

import difflib
import math
import numbers
import re
from typing import NamedTuple

import keras

STRIDES = (4, 8, 16, 32)

# Two probes: the map grows by exactly (512 - 256) / stride from one to the
# other, whatever the padding took off.
_PROBE_SIZES = (256, 512)
# Attribute of a dilated model: strides of its layers' maps before, by name.
OWN_STRIDES = "own_strides"

# A layer that only this family has -> the names its taps may have.
_FAMILY_TAPS = {
    "conv2_block1_concat": r"pool\d_relu|relu",  # DenseNet
    "block1a_dwconv": r"block\d[a-z]_add|top_activation",  # EfficientNet
    "layer1_0_conv1": r"layer\d_\d+_out",  # wide ResNet
    "mixed0": r"mixed\d+",  # InceptionV3
    "mixed_5b": r"block\d+_\d+_ac|conv_7b_ac",  # InceptionResNetV2
    "reduction_concat_stem_1": r"(normal|reduction)_concat_\w+",  # NASNet
}


class _FeatureMap(NamedTuple):
    """One 4-D tensor of the graph, the layer that made it, its stride."""

    name: str
    tensor: keras.KerasTensor
    stride: int | None


def resolve(model: keras.Model, tap: int | str):
    """Returns the symbolic tensor of `model` at `tap`.

    Args:
        model: functional or Sequential model with one image input.
        tap: a stride of `STRIDES` or the name of a layer.

    Raises:
        TypeError: if `tap` is neither an integer nor a string.
        ValueError: if the model has no such stride or layer.
    """
    if isinstance(tap, str):
        return _by_name(model, tap)
    check_stride(tap)
    return _by_stride(model, tap)


def check_stride(tap) -> None:
    """Raises unless a tap that is no name is one of `STRIDES`."""
    if isinstance(tap, bool) or not isinstance(tap, numbers.Integral):
        raise TypeError(
            "A tap must be a stride (4, 8, 16 or 32) or a layer's name. "
            f"Received: {tap!r} (of type {type(tap).__name__})."
        )
    if tap not in STRIDES:
        raise ValueError(
            f"A tap's stride must be one of {STRIDES}. Received: {tap}. "
            "Other maps are reached by their layer's name."
        )


def _by_name(model: keras.Model, name: str):
    tensors = dict(_named_tensors(model))
    if name not in tensors:
        near = difflib.get_close_matches(name, tensors, n=3)
        hint = f" Nearest names: {', '.join(near)}." if near else ""
        raise ValueError(
            f"Model {model.name!r} has no layer {name!r} to tap.{hint} "
            "Layers inside a nested model cannot be tapped."
        )
    return tensors[name]


def _by_stride(model: keras.Model, stride: int):
    level = _pyramid(model).get(stride)
    if level is not None:
        return level
    maps = _feature_maps(model)
    candidates = [item for item in maps if item.stride == stride]
    if not candidates:
        strides = sorted({item.stride for item in maps if item.stride})
        raise ValueError(
            f"Model {model.name!r} has no feature map of stride {stride}. "
            f"Its strides are {strides}; other maps can be tapped by their "
            "layer's name."
        )
    preferred = _preferred(maps, candidates)
    return (preferred or candidates)[-1].tensor


def _pyramid(model: keras.Model) -> dict:
    """KerasHub's own choice of maps, by their strides.

    Not by their names: "P3" is stride 8 in most families, in MiT stride 16.
    """
    levels = getattr(model, "pyramid_outputs", {}).values()
    maps = [level for level in levels if len(level.shape) == 4]
    return dict(zip(_strides(model, maps), maps, strict=True)) if maps else {}


def _preferred(maps: list, candidates: list) -> list:
    """The candidates that the family's table names, or the last map."""
    names = {item.name for item in maps}
    patterns = [p for marker, p in _FAMILY_TAPS.items() if marker in names]
    return [
        item
        for item in candidates
        if item is maps[-1]
        or any(re.fullmatch(pattern, item.name) for pattern in patterns)
    ]


def _feature_maps(model: keras.Model) -> list:
    """Every 4-D tensor in the order of the graph, with its stride."""
    named = [
        (name, tensor)
        for name, tensor in _named_tensors(model)
        if len(tensor.shape) == 4
    ]
    strides = _strides(model, [tensor for _, tensor in named])
    before = getattr(model, OWN_STRIDES, {})
    strides = [
        before.get(name, stride)
        for (name, _), stride in zip(named, strides, strict=True)
    ]
    return [
        _FeatureMap(name, tensor, stride)
        for (name, tensor), stride in zip(named, strides, strict=True)
    ]


def _strides(model: keras.Model, tensors: list) -> list:
    """Input pixels per cell; None for a map that does not scale with them."""
    graph = keras.Function(model.inputs[0], tensors)
    try:
        small, large = (_heights_at(graph, size) for size in _PROBE_SIZES)
    except Exception as error:  # whatever a layer of the user's model raises
        return _strides_at_fixed_size(model, tensors, error)
    growth = _PROBE_SIZES[1] - _PROBE_SIZES[0]
    return [
        growth // (b - a) if b > a else None
        for a, b in zip(small, large, strict=True)
    ]


def _heights_at(graph: keras.Function, size: int) -> list:
    """Heights of the graph's outputs for square images of `size`."""
    return [shape[1] for shape in shapes_at(graph, size, size)]


def shapes_at(graph: keras.Function, height: int, width: int) -> list:
    """Shapes of the graph's outputs for images of a size."""
    image = graph.inputs[0]
    probe = keras.KerasTensor((1, height, width, image.shape[-1]), image.dtype)
    # As compute_output_spec, which insists on the size a model was built for.
    outputs = graph._run_through_graph(
        [probe], operation_fn=lambda operation: operation.compute_output_spec
    )
    return [output.shape for output in keras.tree.flatten(outputs)]


def _strides_at_fixed_size(model: keras.Model, tensors: list, error) -> list:
    """Rounds strides to a power of two, for graphs of one size only."""
    height = model.inputs[0].shape[1]
    if height is None:
        raise ValueError(
            f"The strides of model {model.name!r} cannot be computed for "
            f"images of {_PROBE_SIZES} pixels. Tap it by layer names."
        ) from error
    ratios = [height / max(tensor.shape[1], 1) for tensor in tensors]
    return [2 ** round(math.log2(ratio)) for ratio in ratios]


def _named_tensors(model: keras.Model) -> list:
    """(name, tensor) of each operation, padding and cropping left out."""
    padding = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)
    return [
        (operation.name, tensor)
        for operation, node in nodes(model)
        if not isinstance(operation, padding)
        for tensor in node.output_tensors
    ]


def nodes(model: keras.Model) -> list:
    """Pairs (operation, node) of each call in the graph of a model."""
    graph = keras.Function(model.inputs, model.outputs)
    # Only nodes of this graph: a layer may be shared with another one.
    depths = graph._nodes_by_depth.values()
    inside = {node for same_depth in depths for node in same_depth}
    return [
        (operation, node)
        for operation in graph.operations
        for node in operation._inbound_nodes
        if node in inside
    ]


def ordered_nodes(model: keras.Model) -> list:
    """Each call in the graph of a model, in the order of execution."""
    graph = keras.Function(model.inputs, model.outputs)
    by_depth = sorted(graph._nodes_by_depth.items(), reverse=True)
    return [
        node
        for _, same_depth in by_depth
        for node in same_depth
        if not node.is_input
    ]


def input_of(model: keras.Model, layer):
    """The tensor that a layer is called with in the graph of a model."""
    return next(
        node.input_tensors[0]
        for operation, node in nodes(model)
        if operation is layer
    )


def strides_of_tensors(model: keras.Model) -> dict:
    """Maps the id of each 4-D tensor of the graph to its stride or None."""
    tensors = [
        tensor
        for _, node in nodes(model)
        for tensor in node.output_tensors
        if len(tensor.shape) == 4
    ]
    strides = _strides(model, tensors)
    return {id(t): s for t, s in zip(tensors, strides, strict=True)}


def keep_own_strides(source: keras.Model, target: keras.Model) -> keras.Model:
    """Lets the taps of a dilated model hold in what was made from it.

    What was made from a `RematModel` becomes one as well.
    """
    if hasattr(source, "made_like"):
        target = source.made_like(target)
    if hasattr(source, OWN_STRIDES):
        setattr(target, OWN_STRIDES, dict(getattr(source, OWN_STRIDES)))
    return target


def check_taps(taps) -> None:
    """Raises unless taps are a tuple or list with an entry."""
    if not isinstance(taps, (tuple, list)) or not taps:
        raise TypeError(
            "`taps` must be a tuple of strides or layer names with at least "
            f"one entry, such as (8, 16, 32). Received: taps={taps!r}."
        )
