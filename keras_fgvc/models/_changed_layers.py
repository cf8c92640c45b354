"""Changes of a model's layers after its constructor made them.

A saved model is rebuilt by its constructor, which knows nothing of a later
`quantize`, `enable_lora`, dtype policy or attribute. The differences between
a layer's config now and right after construction are saved beside the
arguments, and are made again when the model is loaded.
"""

import contextlib
import json
import warnings

import keras

# A name is no setting; what is frozen is never part of a config here.
IGNORED = ("name", "trainable", "frozen")
QUANTIZATION = "quantization_config"
LORA = ("lora_rank", "lora_alpha")
# Modes whose weights follow from `quantize` alone, without data.
MODES = ("int8", "int4", "float8")


def configs_of_layers(model) -> dict:
    """Returns the config of each layer as it would be unquantised.

    Keys are paths of positions, such as `"3/0"`: names repeat among copies of
    a backbone, and Keras numbers some of them anew in each process.
    """
    return {
        path: without_quantization(_config(layer))
        for path, layer in _walk(model)
    }


def changes(model, before: dict) -> dict:
    """Returns what differs from `before`, by path and by key.

    Raises:
        ValueError: If a difference cannot be made again after loading.
    """
    found = {}
    for path, layer in _walk(model):
        old = before.get(path)
        if old is None:  # added by the user: no part of the graph
            continue
        config = _config(layer)
        changed = {
            key: value for key, value in config.items() if old.get(key) != value
        }
        for key in changed:
            _check_restorable(layer, key, changed[key])
        _check_saved_exactly(layer)
        if changed:
            found[path] = changed
    return found


def change_again(model, found: dict) -> None:
    """Makes the differences that `changes` found in a new model."""
    layers = dict(_walk(model))
    for path, changed in found.items():
        if path not in layers:
            raise ValueError(
                "The file was saved from a model with other layers: it "
                f"changes {sorted(changed)} of layer {path}, which "
                f"{model.name!r} lacks. Load it with the class that saved it."
            )
        _change(layers[path], dict(changed))


def plain_json(value):
    """Returns a config as a file holds it, by itself.

    While a model is saved or loaded, Keras marks objects that occur twice by
    numbers, which mean nothing elsewhere.
    """
    serialized = keras.saving.serialize_keras_object(value)
    return json.loads(json.dumps(serialized), object_hook=_without_marks)


def _without_marks(config):
    config.pop("shared_object_id", None)
    return config


def without_quantization(config):
    """Returns a config with quantisation and LoRA taken out, at any depth."""
    if isinstance(config, list):
        return list(map(without_quantization, config))
    if not isinstance(config, dict):
        return config
    if "source_name" in config.get("config", ()):  # a quantised policy
        return _serialized_policy(config["config"]["source_name"])
    return {
        key: None if key == QUANTIZATION else without_quantization(value)
        for key, value in config.items()
        if key not in LORA
    }


def _serialized_policy(name):
    return keras.saving.serialize_keras_object(keras.DTypePolicy(name))


def _walk(layer, path="", seen=None):
    """Pairs of a path and a layer, each layer once; models are passed over."""
    seen = {id(layer)} if seen is None else seen
    for position, child in enumerate(layer._layers):
        if id(child) in seen:
            continue
        seen.add(id(child))
        place = f"{path}{position}"
        if not isinstance(child, keras.Model):
            yield place, child
        yield from _walk(child, f"{place}/", seen)


def _config(layer) -> dict:
    """The layer's config as JSON, without layers inside it."""
    try:
        config = layer.get_config()
    # A piece of a graph has no config, and KerasHub's Swin cannot write its.
    except (NotImplementedError, TypeError):
        config = {"dtype": layer.dtype_policy}
    found = {}
    for key, value in config.items():
        if key in IGNORED or holds_layers(getattr(layer, key, None)):
            continue
        with contextlib.suppress(TypeError):  # a class, such as a norm's
            found[key] = plain_json(value)
    return found


def holds_layers(value) -> bool:
    """Tells whether a value is a layer or a container of layers."""
    return any(
        isinstance(leaf, keras.layers.Layer)
        for leaf in keras.tree.flatten(value)
    )


def _check_restorable(layer, key, value):
    if key == "dtype":
        mode = value.get("config", {}).get("mode", MODES[0])
        if mode.split("/")[0] in MODES:
            return
        problem = f"is quantised with {mode!r}, which needs data to be made"
    elif key in (*LORA, QUANTIZATION) or key in vars(layer):
        return
    else:
        problem = f"has another {key!r} than its constructor gave it"
    raise ValueError(
        "A saved model is built again by its constructor, so that a layer "
        "must be as it was made, or changed by `quantize` "
        f"({', '.join(MODES)}), `enable_lora` or a plain attribute. "
        f"Received: layer {layer.name!r}, which {problem}. Undo this, or "
        "save the weights alone with `save_weights`."
    )


def _check_saved_exactly(layer):
    """Refuses LoRA in a quantised layer, which Keras merges and rounds anew."""
    mode = getattr(layer, "quantization_mode", None)
    if mode is None or not getattr(layer, "lora_enabled", False):
        return
    raise ValueError(
        "A quantised layer must be saved without LoRA, because Keras adds its "
        "weights to the others and rounds the sum, so that the loaded model "
        f"answers otherwise. Received: layer {layer.name!r}, quantised with "
        f"{mode!r}, with LoRA of rank {layer.lora_rank}. Save the model "
        "before `quantize`, and quantise the loaded model."
    )


def config_of_model(model):
    """Returns the config of a backbone, `None` where Keras cannot write it."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return without_quantization(plain_json(model))
    except Exception:  # whatever a user's layer raises: saving will tell
        return None


def with_trainable(built, now):
    """Returns the config `built` with what trains as in `now`."""
    if isinstance(built, list) and isinstance(now, list):
        pairs = zip(built, now, strict=True)
        return [with_trainable(*pair) for pair in pairs]
    if not isinstance(built, dict) or not isinstance(now, dict):
        return built
    return {
        key: now.get(key, value)
        if key == "trainable"
        else with_trainable(value, now.get(key))
        for key, value in built.items()
    }


def _change(layer, changed):
    policy = keras.saving.deserialize_keras_object(changed.pop("dtype", None))
    quantization = keras.saving.deserialize_keras_object(
        changed.pop(QUANTIZATION, None)
    )
    rank, alpha = (changed.pop(key, None) for key in LORA)
    if policy is not None:
        _set_policy(layer, policy, quantization)
    if rank is not None:
        layer.enable_lora(rank, lora_alpha=alpha)
    if changed:
        # A config names what an attribute may hold as a function or object.
        alike = type(layer).from_config({**layer.get_config(), **changed})
        for key in changed:
            setattr(layer, key, getattr(alike, key))


def _set_policy(layer, policy, quantization):
    mode = policy.quantization_mode
    if mode is None:
        layer.dtype_policy = policy
        return
    source = policy.get_config()["source_name"]
    if layer.dtype_policy.name != source:
        layer.dtype_policy = source
    if quantization is not None:
        layer.quantize(config=quantization)
    else:
        layer.quantize(mode)
