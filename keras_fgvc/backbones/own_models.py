"""Checks of a user's own model: its channels, its size, its pixels."""

import re
import warnings

import keras

from keras_fgvc.backbones.nested import find_nested
from keras_fgvc.backbones.presets import is_hub
from keras_fgvc.backbones.registry import FAMILIES

PIXELS = {
    "caffe": "BGR values less the ImageNet mean",
    "tf": "values from -1 to 1",
    "torch": "values from 0 to 1, less the ImageNet mean, over its deviation",
    "included": "what `include_preprocessing=True` makes of them",
}
# Change no pixel, or only where the image ends.
NEUTRAL = (keras.layers.InputLayer, keras.layers.ZeroPadding2D)


def check(model, warns: bool) -> None:
    """Raises unless a backbone that is no name can be one.

    Args:
        model: What the user gave.
        warns: Whether to warn of a preprocessing that is missing.
    """
    hint = "a name of backbones.available() or a keras.Model"
    check_is_image_model("backbone", model, hint)
    check_channels(model)
    if warns:
        warn_of_pixels(model)


def check_is_image_model(argument: str, model, wanted: str) -> None:
    """Raises unless a value is a built model with one image input.

    Args:
        argument: What the caller calls the value.
        model: What the user gave.
        wanted: What the argument takes, for the message.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`{argument}` must be {wanted}. Received: {model!r} "
            f"(of type {type(model).__name__})."
        )
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise ValueError(
            f"`{argument}` must be a functional or Sequential model with one "
            "image input (batch, height, width, channels), and must be built. "
            f"Received: model {model.name!r} with input shapes "
            f"{[tuple(tensor.shape) for tensor in inputs]}."
        )


def check_channels(model: keras.Model) -> None:
    """Raises unless a model takes RGB images."""
    channels = model.inputs[0].shape[-1]
    if channels not in (3, None):
        raise ValueError(
            "`backbone` must take RGB images (batch, height, width, 3). "
            f"Received: model {model.name!r}, which takes {channels} "
            "channel(s). Begin it with a layer that makes them of three, such "
            "as keras.layers.RandomGrayscale(1.0, output_channels) or a 1x1 "
            "convolution."
        )


def check_takes(model: keras.Model, size: int, argument: str) -> None:
    """Raises if a model works at another image size only.

    Args:
        model: A model that `build` or `clone_stem` returned.
        size: Side in pixels of the squares that it will see.
        argument: What the caller calls this side.
    """
    sides = tuple(model.inputs[0].shape[1:3])
    if any(side not in (None, size) for side in sides):
        raise ValueError(
            f"`{argument}` must be the size that the backbone works at, "
            f"because one of its layers takes no other. Received: {argument}="
            f"{size} and model {model.name!r} for {sides[0]} x {sides[1]} "
            "pixels. Build the backbone with input_shape=(None, None, 3), or "
            "for this size."
        )


def image_input(model: keras.Model) -> keras.KerasTensor:
    """Returns an input for raw images of the sizes that a model takes."""
    sides = model.inputs[0].shape[1:3]
    return keras.Input((*sides, 3), name="image", dtype="float32")


def check_images(model: keras.Model, images) -> None:
    """Raises if images are not of the only size that a model takes."""
    sides = model.inputs[0].shape[1:3]
    given = tuple(getattr(images, "shape", ()))[1:3]
    if len(given) < 2 or None in (*sides, *given) or given == tuple(sides):
        return
    raise ValueError(
        f"Images must be {sides[0]} x {sides[1]} pixels, because a layer of "
        f"the backbone takes no other size. Received: {given[0]} x {given[1]} "
        f"pixels. Resize them (image_size={sides[0]} in a recipe), or build "
        "the backbone with input_shape=(None, None, 3)."
    )


def without_fixed_size(model: keras.Model) -> keras.Model:
    """Returns the same layers for images of any size, where these allow it.

    Args:
        model: A functional model with one image input.

    Returns:
        A model that shares the layers, or `model` itself if its size is free
        or a layer works at one size only.
    """
    _, height, width, channels = model.inputs[0].shape
    if height is None and width is None:
        return model
    image = keras.Input(
        (None, None, channels),
        dtype=model.inputs[0].dtype,
        name=model.inputs[0].name,
    )
    try:
        free = keras.models.clone_model(
            model,
            input_tensors=keras.tree.pack_sequence_as(model.input, [image]),
            clone_function=_freed,
        )
        free = keras.Model(image, free.output, name=model.name)
        return free if _scales(free, height or width) else model
    except Exception:  # whatever a layer of the user's raises
        return model


def _freed(layer):
    """A nested model has a size of its own."""
    is_functional = isinstance(layer, keras.Model) and layer.inputs
    if is_functional and len(layer.inputs) == 1:
        return without_fixed_size(layer)
    return layer


def _scales(model, size):
    """Tells whether twice the size gives twice the maps, and no more images."""
    small, large = (_shapes_at(model, factor * size) for factor in (1, 2))
    return all(
        len(a) == len(b)
        and a[0] == b[0] == 1
        and a[-1] == b[-1]
        # A border that is cut off is not doubled.
        and (len(a) < 4 or b[1] >= 2 * a[1] - 1)
        for a, b in zip(small, large, strict=True)
    )


def _shapes_at(model, size):
    image = model.inputs[0]
    probe = keras.KerasTensor((1, size, size, image.shape[-1]), image.dtype)
    return [
        x.shape for x in keras.tree.flatten(model.compute_output_spec(probe))
    ]


def warn_of_pixels(model: keras.Model) -> None:
    """Warns of a model of `keras.applications` without its preprocessing."""
    first = _first_layers(model)
    if first is None or not (family := _family(first)):
        return
    warnings.warn(
        f"Backbone {model.name!r} looks like a model of keras.applications "
        "without its preprocessing: it will see raw pixels 0..255 and expects "
        f"{PIXELS[family]}. Give its name instead of the model, or put "
        "a keras.layers.Rescaling before it.",
        stacklevel=2,
    )


def changes_pixels(model: keras.Model) -> bool:
    """Tells whether a model begins with a preprocessing of its own.

    Args:
        model: A network as a method keeps it, with nothing put before it.
    """
    nested = find_nested(model)
    network = model if nested is None else nested.family.network
    return not is_hub(network) and _first_layers(network) is None


def _first_layers(model):
    """Names of the models around the first layer with weights, or `None`.

    `None` where something changes the pixels before that layer.
    """
    for operation in getattr(model, "operations", model.layers):
        if isinstance(operation, keras.Model):
            names = _first_layers(operation)
            return names and (*names, model.name)
        if isinstance(operation, NEUTRAL):
            continue
        is_layer = isinstance(operation, keras.layers.Layer)
        if not is_layer or not operation.weights or _normalizes(operation):
            return None
        return (model.name,)
    return None


def _normalizes(layer):
    kinds = (keras.layers.Normalization, keras.layers.BatchNormalization)
    return isinstance(layer, kinds)


def _family(names):
    """Returns how the network of a name expects pixels, or `None`."""
    for name in names:
        plain = _plain(name)
        for family, known in FAMILIES.items():
            # The longest first: "resnet50" begins "resnet50_v2".
            for key in known:
                if plain == _plain(key) or plain == "nasnet" == _plain(key)[:6]:
                    return family
        match = re.match(r"(mobilenet(?:v2)?)\d", plain)  # width and size
        if match:
            return "tf"
    return None


def _plain(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())
