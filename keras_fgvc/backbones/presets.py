"""Backbones without a name: the user's models, KerasHub's, its presets."""

import inspect
import os
import warnings

import keras

from keras_fgvc.backbones import preprocessing as pixels
from keras_fgvc.backbones import (
    registry,
    token_families,
    torch_names,
)
from keras_fgvc.backbones import weights as weight_files
from keras_fgvc.backbones.families import ends_in_tokens
from keras_fgvc.backbones.nested import (
    HUB,
    NestedNetwork,
    find_nested,
    import_hub,
    make_family,
)
from keras_fgvc.backbones.taps import STRIDES

PREFIX = "hub:"
UNSAID = (
    "`preprocessing` was not given for the KerasHub network {name!r}, which "
    "holds none: raw pixels 0..255 go in. Give the preprocessing that the "
    'network was trained with: "imagenet" (ImageNet\'s mean and deviation), '
    '"tf" (-1..1), a layer or function of your own, or "none" for raw pixels.'
)


def settle(backbone, weights, preprocessing="own", tokens=None):
    """Makes one model out of a backbone that has no name, and its options.

    Args:
        backbone: Name, `"hub:NAME"`, folder of a preset, or `keras.Model`.
        weights: `None` leaves a preset's weights random. A file of PyTorch
            fills a ViT, DeiT or DINOv2 of KerasHub here.
        preprocessing: See `backbones.build`.
        tokens: See `backbones.build`.

    Returns:
        The name of a named backbone, a `keras.Model` of everything else. A
        saved file can hold that model, also when the preset is gone. What is
        no image model is returned as it is.
    """
    network, own = backbone, None
    if isinstance(backbone, (str, os.PathLike)):
        backbone = os.fspath(backbone)
        if not is_preset(backbone):
            _check_named(backbone, preprocessing, tokens)
            if registry.is_torch_file(weights):
                return registry.for_torch_file(backbone)
            return backbone
        network, own = _load_preset(backbone, weights, preprocessing)
    elif is_hub(backbone, "Task"):
        network = backbone.backbone
        own = _converter_layer(getattr(backbone, "preprocessor", None))
    if not isinstance(network, keras.Model) or not _has_one_image(network):
        return network
    _check_channels_last(network)
    if weights not in (None, "imagenet"):
        _load_file(network, weights)
    step = pixels.as_step(preprocessing, own)
    if is_hub(network) and preprocessing == "own" and own is None:
        warnings.warn(UNSAID.format(name=network.name), stacklevel=4)
    if _must_be_nested(network, step):
        return _nest(network, step, tokens)
    if tokens is not None:
        raise ValueError(
            "`tokens` is of a network that ends in tokens (batch, tokens, "
            f"channels). Received: tokens={tokens} for model "
            f"{network.name!r}. Omit it."
        )
    return _in_front(network, step) if step else network


def settle_arguments(arguments: dict, weights) -> dict:
    """Returns the arguments of a method with its backbone as one model.

    Args:
        arguments: Holds `"backbone"`, `"preprocessing"` and `"tokens"`.
        weights: See `settle`.
    """
    names = ("backbone", "preprocessing", "tokens")
    backbone, preprocessing, tokens = (arguments[name] for name in names)
    settled = settle(backbone, weights, preprocessing, tokens)
    if isinstance(settled, str):
        return dict(zip(names, (settled, "own", None), strict=True))
    said = preprocessing if preprocessing == "none" else "own"
    if settled is backbone:
        # "none" says that KerasHub's network was warned of already.
        said = "none" if is_hub(backbone) else preprocessing
    result = dict(zip(names, (settled, said, None), strict=True))
    # A file has been read. `weights` is no argument that a model keeps.
    return result if weights is None else {**result, "weights": None}


def is_preset(backbone: str) -> bool:
    """Tells whether a string is a preset of KerasHub and no backbone's name."""
    return backbone.startswith(PREFIX) or (
        backbone not in registry.available() and os.path.isdir(backbone)
    )


def is_hub(model, kind: str = "Backbone") -> bool:
    """Tells whether an object is a backbone (or task) of KerasHub."""
    return any(
        parent.__module__.startswith(HUB + ".") and parent.__name__ == kind
        for parent in type(model).__mro__
    )


def _load_preset(backbone, weights, preprocessing):
    """The network of a preset, and its preprocessing as a layer or None."""
    hub = import_hub(f"The backbone {backbone!r} needs")
    name = backbone.removeprefix(PREFIX)
    try:
        network = hub.models.Backbone.from_preset(
            name, load_weights=weights == "imagenet"
        )
    except Exception as error:  # KerasHub, Kaggle, Hugging Face raise their own
        raise ValueError(
            "`backbone` must be a preset of KerasHub, such as "
            '"hub:dinov2_small", or a folder that `save_to_preset` wrote. '
            f"Received: backbone={backbone!r}, which cannot be loaded: "
            f"{str(error).splitlines()[0]}"
        ) from error
    if preprocessing != "own":
        return network, None
    try:
        converter = hub.layers.ImageConverter.from_preset(name)
    except Exception:  # the preset was saved without one
        return network, None
    return network, pixels.scale_and_offset(converter.scale, converter.offset)


def _load_file(network, weights):
    """Fills a network that has no name with a file of PyTorch."""
    is_known = is_hub(network) and torch_names.is_known(network)
    if not (is_known and registry.is_torch_file(weights)):
        raise ValueError(
            "`weights` must be None where `backbone` is a keras.Model: load "
            "the weights into the model first. Only KerasHub's ViT, DeiT and "
            "DINOv2 take a file here, PyTorch's (.pth or .safetensors). "
            f"Received: weights={weights!r} for {network.name!r}."
        )
    weight_files.load_torch_file(network, weights)


def _converter_layer(preprocessor):
    converter = getattr(preprocessor, "image_converter", None)
    if converter is None:
        return None
    return pixels.scale_and_offset(converter.scale, converter.offset)


def _nest(network, step, tokens):
    """Images, preprocessing, and the network as one layer."""
    image = keras.Input((None, None, network.inputs[0].shape[-1]), name="image")
    layer = NestedNetwork(
        network, _any_tap(network, tokens), tokens=tokens, name=network.name
    )
    return keras.Model(
        image, layer(step(image) if step else image), name=network.name
    )


def _in_front(network, step):
    """The network behind its preprocessing, on the same layers."""
    image = keras.Input(network.inputs[0].shape[1:], name="image")
    graph = network
    if isinstance(network, keras.Sequential):
        graph = keras.Function(network.inputs, network.outputs[0])
    outputs = graph._run_through_graph(
        [step(image)], operation_fn=lambda operation: operation
    )
    return keras.Model(image, outputs, name=network.name)


def _any_tap(network, tokens):
    """A tap that the network has: its coarsest stride, or its last layer."""
    family = make_family(network, tokens)
    for stride in sorted(STRIDES, reverse=True):
        try:
            family.find(stride)
        except ValueError:
            continue
        return (stride,)
    return (network.outputs[-1]._keras_history.operation.name,)


def _must_be_nested(network, step) -> bool:
    """Tells whether a network must be one layer to be loaded again.

    Others are not, so that their layers can be dilated. Those of KerasHub are
    behind a preprocessing, so that they know their feature maps.
    """
    if find_nested(network) is not None:
        return False
    if ends_in_tokens(network):
        return True
    if not is_hub(network):
        return False
    if token_families.find(network) is not None:
        return True
    if not _can_be_copied(network):
        return True
    return step is not None and _knows_its_arguments(network)


def _knows_its_arguments(network) -> bool:
    """Tells whether a config has all arguments; EfficientNet's has not."""
    config = network.get_config()
    parameters = inspect.signature(type(network).__init__).parameters.values()
    return all(
        each.name in (*config, "self", "dtype", "data_format")
        for each in parameters
        if each.kind is not each.VAR_KEYWORD
    )


def _can_be_copied(network) -> bool:
    """Tells whether each layer can be made again from its config."""
    for layer in network.layers:
        try:
            type(layer).from_config(layer.get_config())
        except Exception:  # whatever a constructor raises
            return False
    return True


def _check_named(backbone, preprocessing, tokens) -> None:
    registry.find(backbone)
    if preprocessing != "own" or tokens is not None:
        raise ValueError(
            "`preprocessing` and `tokens` are of a keras.Model or a preset: a "
            "named backbone brings its own preprocessing and has no tokens. "
            f"Received: preprocessing={preprocessing!r}, tokens={tokens} for "
            f"{backbone!r}. Omit them."
        )


def _has_one_image(model) -> bool:
    """Tells whether a model takes one batch of images, channels last."""
    inputs = getattr(model, "inputs", None) or []
    return len(inputs) == 1 and len(inputs[0].shape) == 4


def _check_channels_last(network) -> None:
    if getattr(network, "data_format", None) == "channels_first":
        raise ValueError(
            f"The network {network.name!r} must be channels last. Received: "
            'data_format="channels_first". Build it with '
            'data_format="channels_last".'
        )
