"""Pretrained weights into a backbone, and from one model to another."""

import contextlib
import contextvars
import os
import socket
import warnings

import keras
import numpy as np

from keras_fgvc.backbones import registry, torch_weights
from keras_fgvc.backbones.nested import is_nested

_IMAGENET_VARIANCE = np.square([0.229, 0.224, 0.225])
# Per blocking network call, so that a host that never answers is given up.
_NETWORK_TIMEOUT = 10.0
_LEAVES_OUT = contextvars.ContextVar("leaves_out_weights", default=False)


@contextlib.contextmanager
def left_out():
    """Makes `load` do nothing, while a saved model is built again.

    The weights of the file follow. Whatever its config asks for, or the
    constructor of a user's class, no other file is opened and nothing is
    downloaded.
    """
    token = _LEAVES_OUT.set(True)
    try:
        yield
    finally:
        _LEAVES_OUT.reset(token)


def load(model: keras.Model, backbone: str, weights: str) -> None:
    """Fills a named backbone with `weights`.

    Args:
        model: the whole backbone without its top, as constructed.
        backbone: its name, for the constructor and the messages.
        weights: "imagenet" or the path of a local file.

    Raises:
        ValueError: if the file is missing or does not fit.
        RuntimeError: if the ImageNet weights cannot be downloaded.
        ImportError: if the file is PyTorch's and PyTorch is missing.
    """
    if _LEAVES_OUT.get():
        return
    entry = registry.find(backbone)
    weights = os.fspath(weights)
    if weights == "imagenet":
        source = _imagenet_model(entry, backbone)
    else:
        source = _model_of_file(entry, backbone, weights)
    _check_fit(source, model, backbone, weights)
    model.set_weights(source.get_weights()[: len(model.weights)])
    _finish_normalization(model)


def copy_weights(source: keras.Model, target: keras.Model) -> int:
    """Copies the weights of layers that both models have.

    A layer is the same if its name and the shapes of its weights are,
    whatever model it is nested in; of several, the one that is nested in
    models of the same names. The moving statistics of batch
    normalisation are copied as well. Names that Keras's counter gave (most
    of an Inception's) agree only between a model and its own copies.

    Args:
        source: the `keras.Model` to read.
        target: the `keras.Model` to change; layers that `source` lacks stay
            as they are.

    Returns:
        How many layers were copied.

    Raises:
        ValueError: if the models share no layer, or it cannot be told which
            of several is meant.

    Example:

    ```python
    from keras_fgvc import backbones

    backbone = backbones.build("mobilenet_v2", taps=(32,), weights=None)
    stem = backbones.clone_stem(backbone, 4)
    assert backbones.copy_weights(backbone, stem) > 0
    ```
    """
    known = {}
    for path, layer in _weighted_layers(source):
        known.setdefault(_signature(path, layer), []).append((path[:-1], layer))
    pairs = [
        (_same(known[_signature(path, layer)], path[:-1], path[-1]), layer)
        for path, layer in _weighted_layers(target)
        if _signature(path, layer) in known
    ]
    if not pairs:
        raise ValueError(
            "`source` and `target` must share at least one layer with the "
            "same name and the same shapes. Received: models "
            f"{source.name!r} and {target.name!r}, which share none."
        )
    for source_layer, target_layer in pairs:
        target_layer.set_weights(source_layer.get_weights())
        _finalize(target_layer)
    return len(pairs)


def _weighted_layers(model: keras.Model, path: tuple = ()) -> list:
    """Pairs of the path to a layer with weights, names of models, and it."""
    layers = []
    for layer in model.layers:
        if isinstance(layer, keras.Model) and not _has_own_weights(layer):
            layers.extend(_weighted_layers(layer, (*path, layer.name)))
        elif is_nested(layer):
            layers.extend(
                ((*path, layer.name, key), part)
                for key, part in layer.named_parts()
                if part.weights
            )
        elif layer.weights:
            layers.append(((*path, layer.name), layer))
    return layers


def _has_own_weights(model: keras.Model) -> bool:
    """Tells whether a subclass added weights beside its layers' own."""
    inner = {id(w) for layer in model.layers for w in layer.weights}
    return any(id(weight) not in inner for weight in model.weights)


def _same(candidates: list, path: tuple, name: str):
    """The layer of the same name that is nested likewise."""
    if len(candidates) == 1:
        return candidates[0][1]
    exact = [layer for other, layer in candidates if other == path]
    # One of the two models may itself lie in another.
    alike = [
        layer
        for other, layer in candidates
        if _ends_with(path, other) or _ends_with(other, path)
    ]
    if len(exact or alike) != 1:
        raise ValueError(
            f"`source` has {len(candidates)} layers {name!r} of the same "
            "shapes in nested models, and it cannot be told which one is "
            "meant. Give the nested models other names, the same in "
            "`source` and `target`."
        )
    return (exact or alike)[0]


def _ends_with(path: tuple, end: tuple) -> bool:
    return path[max(0, len(path) - len(end)) :] == end


def _signature(path, layer) -> tuple:
    return path[-1], tuple(tuple(weight.shape) for weight in layer.weights)


def _imagenet_model(entry, backbone: str) -> keras.Model:
    if entry.torchvision is not None:
        raise ValueError(
            f"There are no ImageNet weights of {backbone!r} for Keras to "
            f"download: give the path of torchvision's {entry.torchvision} "
            ".pth file, saved on this machine, as `weights`."
        )
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_TIMEOUT)
    try:
        return registry.construct(
            entry, weights="imagenet", input_shape=(224, 224, 3)
        )
    except Exception as error:  # Keras raises a bare Exception here
        raise RuntimeError(
            f"The ImageNet weights of {backbone!r} could not be downloaded: "
            "pass the path of a local weights file as `weights`, or "
            "weights=None to start from random weights."
        ) from error
    finally:
        socket.setdefaulttimeout(previous)


def load_torch_file(network: keras.Model, path) -> None:
    """Fills a vision transformer of KerasHub with a file of PyTorch.

    Args:
        network: a ViT, DeiT or DINOv2; its weights change.
        path: see `torch_weights.load`.

    Raises:
        ValueError: if the file is missing or does not fit.
        ImportError: if the file is PyTorch's and PyTorch is missing.
    """
    if not _LEAVES_OUT.get():
        _check_exists(path, network.name)
        torch_weights.load(network, path, network.name)


def _check_exists(path, backbone: str) -> None:
    if not os.path.isfile(path):
        raise ValueError(
            '`weights` must be None, "imagenet" or the path of an existing '
            f"file. Received: weights={path!r} for backbone {backbone!r}."
        )


def _model_of_file(entry, backbone: str, path: str) -> keras.Model:
    _check_exists(path, backbone)
    if registry.is_torch_file(path):
        if not entry.has_torch_files:
            raise ValueError(
                f"`weights` of {backbone!r} must be a file of Keras, because "
                "files of PyTorch are known for ResNets (not v2), wide "
                "ResNets and ConvNeXts, and for KerasHub's ViT, DeiT and "
                f"DINOv2. Received: weights={path!r}."
            )
        model = registry.construct(entry)
        torch_weights.load(model, path, backbone)
        return model
    with warnings.catch_warnings(record=True) as noted:
        try:
            if path.endswith(".keras"):
                model = keras.saving.load_model(path, compile=False)
            else:
                model = _read_weights(entry, path)
        except Exception as error:  # h5py, zipfile, Keras: each its own
            raise _misfit(backbone, path) from error
    # Of a file that does not fit Keras warns once per layer.
    for each in noted:
        warnings.warn_explicit(
            each.message, each.category, each.filename, each.lineno
        )
    return model


def _read_weights(entry, path: str) -> keras.Model:
    model = registry.construct(entry, input_shape=(224, 224, 3))
    try:
        model.load_weights(path)
    except ValueError:
        if path.endswith(".weights.h5"):
            raise
        # A legacy .h5 of the full model loads into the full model only.
        model = registry.construct(entry, include_top=True)
        model.load_weights(path)
    return model


def _check_fit(source, model, backbone: str, weights: str) -> None:
    """The backbone's weights must be the first of the source's."""
    wanted = [tuple(weight.shape) for weight in model.weights]
    given = [tuple(weight.shape) for weight in source.weights]
    if given[: len(wanted)] != wanted:
        raise _misfit(backbone, weights)


def _misfit(backbone: str, path: str) -> ValueError:
    entry = registry.find(backbone)
    torch_file = ""
    if entry.torchvision is not None:
        torch_file = f" or torchvision's {entry.torchvision} .pth file,"
    return ValueError(
        f"The file {path!r} does not hold the weights of backbone "
        f"{backbone!r}. Give a .weights.h5, .h5 or .keras file that was "
        f"saved from {entry.origin},{torch_file} or name the backbone that "
        "the file belongs to."
    )


def _finish_normalization(model: keras.Model) -> None:
    """Makes EfficientNet's input scaling independent of where it came from.

    `keras.applications` puts one more Rescaling, by 1 / sqrt(deviation),
    into the graph for weights="imagenet" only. The graph here is the same
    for all weights, so the factor goes into the variance; a file that has
    it there already is left alone.
    """
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Normalization):
            continue
        if layer.weights:
            mean, variance, count = layer.get_weights()
            if np.allclose(variance, _IMAGENET_VARIANCE, rtol=1e-3):
                variance = variance * np.sqrt(_IMAGENET_VARIANCE)
            layer.set_weights([mean, variance, count])
        _finalize(layer)


def _finalize(layer) -> None:
    # Normalization computes with a copy of its weights that only this call
    # refreshes.
    if isinstance(layer, keras.layers.Normalization):
        layer.finalize_state()
