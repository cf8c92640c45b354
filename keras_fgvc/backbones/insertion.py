"""Puts layers behind the taps of a backbone that is there already."""

import keras

from keras_fgvc.backbones import taps as tap_finder
from keras_fgvc.backbones.own_models import check_is_image_model


def insert(model: keras.Model, layers: dict) -> keras.Model:
    """Makes the same model with a layer of yours behind some of its maps.

    Everything downstream of a tap, and the model's own output there, sees
    what the layer gives. With a layer that starts as the identity, such as
    `DeepBilinearTransformation`, a pretrained network keeps its outputs and
    learns from there.

    The layers of `model` are shared with the result, not copied: the weights
    are the same, and frozen batch normalisation stays frozen. `model` itself
    still computes what it did.

    Args:
        model: what `build` returned, or another functional or Sequential
            `keras.Model` with one image input.
        layers: a `keras.layers.Layer` for each stride (4, 8, 16 or 32) or
            layer name, from one feature map to one of the same shape.

    Returns:
        A functional `keras.Model` with the input, the outputs and the name
        of `model`.

    Raises:
        TypeError: if `model`, `layers` or one of its values is not as
            described.
        ValueError: if the model has no graph, no such tap or calls the layer
            there more than once, two taps are one map, or a layer changes
            the shape.

    Example:

    ```python
    from keras_fgvc import backbones
    from keras_fgvc.layers import DeepBilinearTransformation

    backbone = backbones.build("mobilenet_v2", taps=(16, 32), weights=None)
    backbone = backbones.insert(backbone, {16: DeepBilinearTransformation()})
    middle, last = backbone.output
    ```

    Name the maps you want when you `build`: in the result a stride may stand
    for the map before or behind the new layer, depending on the family, and
    `get_layer(name).output` is a tensor of `model`. `build` or `set_trainable`
    with `batch_norm="frozen"` freezes the new layer's batch normalisation
    with the rest.
    """
    check_is_image_model(
        "model", model, "a keras.Model, such as backbones.build returns"
    )
    _check_layers(layers)
    places = _places(model, layers)
    seen = set()

    def call(operation, *args, **kwargs):
        output = operation(*args, **kwargs)
        if operation not in places:
            return output
        tap, layer = places[operation]
        if operation in seen:
            raise ValueError(
                f"Tap {tap!r} must be a layer that is called once. Received: "
                f"{operation.name!r}, which model {model.name!r} calls again."
            )
        seen.add(operation)
        return _apply(layer, output, tap)

    plain = keras.Model(model.inputs[0], _outputs(model), name=model.name)
    result = keras.models.clone_model(
        plain, clone_function=lambda layer: layer, call_function=call
    )
    return tap_finder.keep_own_strides(model, result)


def _places(model: keras.Model, layers: dict) -> dict:
    """The operation that makes the map at each tap -> (tap, its layer)."""
    places = {}
    for tap, layer in layers.items():
        tensor = tap_finder.resolve(model, tap)
        operation = tensor._keras_history.operation
        if isinstance(operation, keras.layers.InputLayer):
            raise ValueError(
                "A layer can be put behind a feature map only. Received: tap "
                f"{tap!r}, the input of model {model.name!r}."
            )
        if operation in places:
            raise ValueError(
                "Each tap must be another map. Received: "
                f"{places[operation][0]!r} and {tap!r}, both of which are "
                f"{operation.name!r} of model {model.name!r}."
            )
        places[operation] = tap, layer
    return places


def _apply(layer, feature_map, tap):
    """The layer's output, checked to be a map like its input."""
    if not keras.backend.is_keras_tensor(feature_map):
        raise ValueError(
            f"Tap {tap!r} must be a layer with one output. "
            f"Received: one with {len(feature_map)}."
        )
    output = layer(feature_map)
    shape = getattr(output, "shape", None)
    if shape != feature_map.shape:
        what = "several outputs" if shape is None else f"shape {shape}"
        raise ValueError(
            f"The layer at tap {tap!r} must keep the shape "
            f"{feature_map.shape}. Received: {what} from {layer.name!r}."
        )
    return output


def _outputs(model: keras.Model):
    """One tensor, or the structure that a functional model returns."""
    return model.outputs[0] if len(model.outputs) == 1 else model.output


def _check_layers(layers) -> None:
    if not isinstance(layers, dict) or not layers:
        raise TypeError(
            "`layers` must be a dict from strides or layer names to layers, "
            f"with at least one entry. Received: layers={layers!r}."
        )
    for tap, layer in layers.items():
        if not isinstance(layer, keras.layers.Layer):
            raise TypeError(
                f"The value at {tap!r} must be a keras.layers.Layer. "
                f"Received: {layer!r} (of type {type(layer).__name__})."
            )
