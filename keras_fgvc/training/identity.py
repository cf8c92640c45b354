"""Digests that tell one data set, or one network, from another."""

import hashlib
import json
import sys
import types

import keras
import numpy as np

DIGITS = 16  # of a digest in run.json
PYTHON = f"python {sys.version_info.major}.{sys.version_info.minor}"
# Fields of a config that do not change what a trained layer computes, that
# depend on the version of Keras, on paths, on devices or on what was built
# before, or that training changes.
PASSED_OVER = (
    *("name", "module", "registered_name", "shared_object_id"),
    *("build_config", "compile_config", "trainable", "seed", "dtype"),
    *("stage", "loss_weights", "weights", "batch_shape", "batch_input_shape"),
    *("synchronized", "threshold", "enabled", "frozen", "remat"),
    # The rows of the graph have what was changed in a layer.
    "changed_layers",
)


def label_digests(data) -> dict:
    """Returns a digest of the labels of each split, in their order."""
    return {
        name: _digest(np.asarray(split.labels, "<i8").tobytes())
        for name, split in data.splits.items()
    }


def box_digests(data) -> dict:
    """Returns a digest of the boxes of each split that has any."""
    return {
        name: _digest(_plain(split.boxes))
        for name, split in data.splits.items()
        if split.boxes is not None
    }


def _plain(boxes):
    boxes = np.asarray(boxes, "<f4") + np.float32(0)  # no negative zero
    return np.where(np.isnan(boxes), np.float32(-1), boxes).tobytes()


def image_digests(data) -> dict:
    """Returns the identity of the images of each split."""
    return {
        name: split.source.identity() for name, split in data.splits.items()
    }


def architecture_of(model) -> str | None:
    """Returns a digest of what a model computes, whatever its weights are.

    It covers the operations of the graph in their order, their settings,
    what goes into which, and the shapes of their weights. It does not cover
    names, paths and precision, nor what is in functions of a user, which
    `functions_of` covers. Returns None where a layer cannot describe itself.
    """
    return _describe(model, [])


def functions_of(model) -> str | None:
    """Returns a digest of a user's functions in a model's layers.

    Such as that of a Lambda layer, or an activation. It covers their byte
    code, so that the version of Python stands before it. Returns None where
    there are none.
    """
    codes = []
    if _describe(model, codes) is None or not codes:
        return None
    return f"{PYTHON} {_digest(json.dumps(codes).encode())}"


def _describe(model, codes):
    """Returns the digest of an architecture; adds its functions to `codes`."""
    try:
        own = _settings_of(model, codes)
        rows = [type(model).__name__, own, _rows(model, codes)]
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return None
    text = json.dumps(rows, sort_keys=True, default=_type_name)
    return _digest(text.encode())


def layer_precisions(model) -> str:
    """Returns the dtype policies of a model's layers and how many have each."""
    names = [layer.dtype_policy.name for layer in model._flatten_layers()]
    return ", ".join(f"{n} x {names.count(n)}" for n in sorted(set(names)))


def _rows(model, codes):
    """Describes each operation of a functional model, in its order."""
    operations = list(model.operations)
    numbers = {id(each): n for n, each in enumerate(operations)}
    return [
        [
            type(each).__name__,
            _rows(each, codes)
            if hasattr(each, "operations")
            else _settings_of(each, codes),
            sorted(_inputs(each, numbers)),
            [list(w.shape) for w in getattr(each, "weights", ())],
        ]
        for each in operations
    ]


def _settings_of(operation, codes):
    if not isinstance(operation, keras.layers.Layer):
        # Of `keras.ops`: its arguments are its attributes.
        own = vars(operation).items()
        config = {name: v for name, v in own if not name.startswith("_")}
        return _cleaned(config, {})
    config = operation.get_config()
    for key in config:
        value = getattr(operation, key, None)
        if _is_of_user(value):
            codes.append(_code(value))
            config[key] = "function"
    return _cleaned(config, {})


def _is_of_user(value):
    """Tells whether a value is a function that neither Keras nor we wrote."""
    is_function = isinstance(value, (types.FunctionType, types.MethodType))
    package = str(getattr(value, "__module__", "")).partition(".")[0]
    return is_function and package not in ("keras", "keras_fgvc")


def _code(function, seen=()):
    """Describes what a function computes, by byte code and by values.

    The values are constants, defaults, and numbers and texts of the module or
    the function around it. Names of files and numbers of lines do not count.
    """
    function = getattr(function, "__func__", function)
    code, seen = function.__code__, (*seen, function)
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    around = [function.__globals__.get(name) for name in code.co_names]
    values = [*(function.__defaults__ or ()), *cells, *around]
    keywords = sorted((function.__kwdefaults__ or {}).items())
    return [
        PYTHON,
        _byte_code(code),
        [_value(each, seen) for each in (*values, *keywords)],
    ]


def _byte_code(code):
    constants = [
        _byte_code(each) if isinstance(each, types.CodeType) else repr(each)
        for each in code.co_consts
    ]
    return [code.co_code.hex(), code.co_names, constants]


def _value(value, seen):
    if _is_of_user(value) and value not in seen:
        return _code(value, seen)
    if isinstance(value, (bool, int, float, str, tuple, type(None))):
        return repr(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return repr(value.tolist())
    return type(value).__name__


def _inputs(operation, numbers):
    """Yields pairs (number of this use, number of the operation before)."""
    uses = getattr(operation, "_inbound_nodes", ())
    for use, node in enumerate([n for n in uses if _is_inside(n, numbers)]):
        for place, tensor in enumerate(node.input_tensors):
            before = tensor._keras_history
            number = numbers[id(before.operation)]
            yield [use, place, number, before.tensor_index]


def _is_inside(node, numbers):
    """Tells whether a layer is used by this model, not by another one."""
    return bool(node.input_tensors) and all(
        id(tensor._keras_history.operation) in numbers
        for tensor in node.input_tensors
    )


def _cleaned(value, names):
    """Drops what may differ between two builds of one network.

    Args:
        value: A config, or a part of one.
        names: From each layer's name that was met to its number, which takes
            its place where layers refer to one another.
    """
    if isinstance(value, dict):
        if value.get("class_name") == "__lambda__":
            return "function"  # its code has names of files
        if isinstance(value.get("name"), str):
            names.setdefault(value["name"], f"layer {len(names)}")
        return {
            str(name): _cleaned(entry, names)
            for name, entry in value.items()
            if name not in PASSED_OVER
            and not str(name).endswith("_initializer")
            and entry is not None
        }
    if isinstance(value, (list, tuple)):
        return [_cleaned(entry, names) for entry in value]
    if isinstance(value, str):
        return names.get(value, value)
    return value if isinstance(value, (int, float)) else _type_name(value)


def _type_name(value):
    if isinstance(value, np.generic):
        return value.item()
    return type(value).__name__


def _digest(content: bytes):
    return hashlib.sha256(content).hexdigest()[:DIGITS]
