"""The contract every public layer keeps, as one function.

A case says how to make the layer and what to call it on; `check_layer` then
holds it against everything a user of Keras takes for granted.
"""

import dataclasses
import inspect
import itertools
import json
from collections.abc import Callable

import keras
import numpy as np
import pytest

from tests.tolerances import TOLERANCES

BACKEND = keras.backend.backend()
# Not settings of the layer: Keras's own, or free-form.
IGNORED = {"self", "kwargs", "args"}
POLICIES = ("float32", "float16", "mixed_float16", "mixed_bfloat16")
if BACKEND != "jax":  # which has no float64 unless it is told so
    POLICIES = (*POLICIES, "float64")


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer and its inputs.

    Args:
        layer: The class.
        arguments: Constructor arguments.
        inputs: Makes the NumPy inputs of one call, a tuple.
        trains: Names of the weights one step of `fit` must move, with the
            sublayer in front where the name alone would be of several.
        takes_list: Whether the inputs are one list argument.
        dtype_kept: Whether outputs have the compute dtype.
        switches: Names of the call arguments that add outputs.
    """

    layer: type
    arguments: dict
    inputs: Callable[[np.random.Generator], tuple]
    trains: tuple = ()
    takes_list: bool = False
    dtype_kept: bool = True
    switches: tuple = ()


def check_switches(case) -> None:
    """Each call argument `return_...` is a switch of the case."""
    names = inspect.signature(case.layer.call).parameters
    switches = {name for name in names if name.startswith("return_")}
    assert switches == set(case.switches)


def check_layer(case: Case, tmp_path) -> None:
    """Raises an AssertionError where the layer breaks the contract."""
    check_switches(case)
    check_config(case)
    check_numbers_of_numpy(case)
    check_same_weights_same_output(case)
    check_channels_last(case)
    check_shapes(case)
    for policy in ("mixed_float16", "mixed_bfloat16"):
        check_policy(case, policy)
    for policy in POLICIES:
        check_dtypes(case, policy)
    check_fit(case)
    check_saved_file(case, tmp_path)
    if BACKEND == "tensorflow":
        check_export(case, tmp_path)


def check_config(case):
    layer = case.layer(**case.arguments)
    config = layer.get_config()
    names = set(inspect.signature(case.layer.__init__).parameters) - IGNORED
    missing = names - set(config)
    assert not missing, f"get_config lacks {missing}"
    for name, value in case.arguments.items():
        found = getattr(layer, name)
        if not isinstance(value, keras.Model):
            assert found == value, f"{name} is {found!r}, not {value!r}"
    again = _from_json(case, layer)
    assert again.get_config().keys() == config.keys()
    assert again.get_config()["name"] == config["name"]


def check_numbers_of_numpy(case):
    """Arguments of NumPy give the same layer, whose config is JSON."""
    arguments = {name: _of_numpy(v) for name, v in case.arguments.items()}
    layer, inputs = case.layer(**arguments), _draw(case)
    outputs = _call(case, layer, inputs)
    json.dumps(layer.get_config())
    plain = case.layer(**case.arguments)
    expected = _call(case, plain, inputs)
    for name in case.arguments:
        value = getattr(plain, name)
        assert getattr(layer, name) == pytest.approx(value), name
    for output, reference in zip(_flat(outputs), _flat(expected), strict=True):
        assert output.shape == reference.shape


def _of_numpy(value):
    if isinstance(value, tuple):
        return tuple(map(_of_numpy, value))
    kinds = {int: np.int64, float: np.float32}
    return kinds.get(type(value), lambda value: value)(value)


def check_same_weights_same_output(case):
    layer, inputs = case.layer(**case.arguments), _draw(case)
    expected = _call(case, layer, inputs)
    again = _from_json(case, layer)
    _call(case, again, inputs)
    again.set_weights(layer.get_weights())
    _assert_equal(_call(case, again, inputs), expected)


def check_channels_last(case):
    """Maps are channels-last whatever format Keras is set to."""
    layer, inputs = case.layer(**case.arguments), _draw(case)
    expected = _call(case, layer, inputs)
    keras.config.set_image_data_format("channels_first")
    try:
        again = _from_json(case, layer)
        _call(case, again, inputs)
        again.set_weights(layer.get_weights())
        _assert_equal(_call(case, again, inputs), expected)
    finally:
        keras.config.set_image_data_format("channels_last")


def check_shapes(case):
    """Static, symbolic and eager shapes agree, with the batch unknown."""
    inputs = _draw(case)
    outputs = _call(case, case.layer(**case.arguments), inputs)
    symbolic = [keras.Input(x.shape[1:], dtype=str(x.dtype)) for x in inputs]
    layer = case.layer(**case.arguments)
    found = _call(case, layer, symbolic, convert=False)
    for tensor, output in zip(_flat(found), _flat(outputs), strict=True):
        assert len(tensor.shape) == len(output.shape)
        for symbolic_side, side in zip(
            tensor.shape[1:], output.shape[1:], strict=True
        ):
            assert symbolic_side in (None, side)  # None: training differs
    shapes = [x.shape for x in inputs]
    static = _call_with(case, layer.compute_output_shape, shapes)
    if isinstance(outputs, tuple):
        assert [tuple(s) for s in static] == [o.shape for o in outputs]
    else:
        assert tuple(static) == outputs.shape


def check_policy(case, policy):
    layer = case.layer(**case.arguments, dtype=policy)
    outputs = _flat(_call(case, layer, _draw(case), convert=False))
    compute = layer.compute_dtype
    for output in outputs:
        values = keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
        assert np.all(np.isfinite(values)), policy
    dtype = keras.backend.standardize_dtype(outputs[0].dtype)
    assert dtype == (compute if case.dtype_kept else "float32"), policy
    for weight in layer.weights:
        assert weight.dtype == "float32", weight.path


def check_dtypes(case, policy):
    """Every output has the dtype that the graph was told, boxes float32.

    With and without each switch, on inputs in float32 and in the layer's own
    precision.
    """
    wide = _draw(case)
    narrow = tuple(_in_precision(x, policy) for x in wide)
    switches = [{}, *({name: True} for name in case.switches)]
    for inputs, switch in itertools.product((wide, narrow), switches):
        layer = case.layer(**case.arguments, dtype=policy)
        symbolic = [
            keras.KerasTensor((None, *x.shape[1:]), _dtype(x)) for x in inputs
        ]
        told = _flat(_call_with(case, layer, symbolic, **switch))
        real = _flat(_call_with(case, layer, inputs, **switch))
        place = f"{policy}, {switch}, {_dtype(inputs[0])}"
        assert [_dtype(x) for x in told] == [_dtype(x) for x in real], place
        for tensor, output in zip(told, real, strict=True):
            assert len(tensor.shape) == len(output.shape), place


def _in_precision(values, policy):
    """An input in the compute dtype, as the layer before gives it.

    Boxes and labels keep theirs, because they need the digits.
    """
    is_boxes = values.shape[-1] == 4 and values.ndim == 3
    if is_boxes or values.dtype != "float32":
        return values
    dtype = keras.dtype_policies.get(policy).compute_dtype
    return keras.ops.cast(values, dtype)


def _dtype(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


def check_fit(case):
    """One step is finite and moves the weights it should."""
    inputs = _draw(case)
    model, layer = _model(case, inputs)
    before = {w.path: keras.ops.convert_to_numpy(w) for w in layer.weights}
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    targets = np.full((len(inputs[0]), 1), 3.0, "float32")
    history = model.fit(list(inputs), targets, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    trains = tuple(f"/{name}" for name in case.trains)
    for weight in layer.weights:
        moved = not np.array_equal(
            before[weight.path], keras.ops.convert_to_numpy(weight)
        )
        should = f"/{weight.path}".endswith(trains)
        assert moved == should, f"{weight.path} moved: {moved}"


def check_saved_file(case, tmp_path):
    """A .keras file under safe mode, with a negative control.

    What was saved runs eagerly and what was loaded compiled: that agrees too.
    """
    inputs = _draw(case)
    model, layer = _model(case, inputs)
    _randomize(model)
    expected = _run(model, inputs)
    other, _ = _model(case, inputs)
    if layer.weights:
        _randomize(other, seed=1)
        assert not np.allclose(_run(other, inputs), expected)
    path = tmp_path / f"{case.layer.__name__}.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    _assert_equal(loaded.predict(list(inputs), verbose=0), expected)


def check_export(case, tmp_path):
    import tensorflow as tf

    inputs = _draw(case)
    model, _ = _model(case, inputs)
    path = str(tmp_path / f"{case.layer.__name__}-saved-model")
    model.export(path, verbose=False)
    loaded = tf.saved_model.load(path)  # held: its variables die with it
    served = loaded.serve(list(map(tf.constant, inputs)))
    _assert_equal(served, _run(model, inputs))


def _draw(case):
    return case.inputs(np.random.default_rng(20110))


def _from_json(case, layer):
    text = keras.saving.serialize_keras_object(layer)
    return keras.saving.deserialize_keras_object(text, safe_mode=True)


def _call_with(case, function, values, **switches):
    if case.takes_list:
        return function(list(values), **switches)
    return function(*values, **switches)


def _call(case, layer, inputs, convert=True):
    outputs = _call_with(case, layer, inputs)
    if not convert:
        return outputs
    if isinstance(outputs, tuple):
        return tuple(map(keras.ops.convert_to_numpy, outputs))
    return keras.ops.convert_to_numpy(outputs)


def _flat(outputs):
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


def _model(case, inputs):
    """A functional model `(batch, 1)` on the layer's floating outputs."""
    symbolic = [keras.Input(x.shape[1:], dtype=str(x.dtype)) for x in inputs]
    layer = case.layer(**case.arguments)
    outputs = _flat(_call(case, layer, symbolic, convert=False))
    outputs = [x for x in outputs if "float" in x.dtype]
    if len(outputs[0].shape) == 0:  # a loss: the same number for every image
        outputs = [outputs[0] + 0.0 * keras.ops.sum(symbolic[0], axis=-1)]
    flat = [keras.layers.Reshape((-1,))(x) for x in outputs]
    output = flat[0] if len(flat) == 1 else keras.ops.concatenate(flat, axis=1)
    return keras.Model(symbolic, keras.layers.Dense(1)(output)), layer


def _run(model, inputs):
    """The model's output, not compiled."""
    return keras.ops.convert_to_numpy(model(list(inputs)))


def _randomize(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights(
        [w + rng.uniform(0.1, 0.9, w.shape) for w in model.get_weights()]
    )


def _assert_equal(found, expected):
    for a, b in zip(_flat(found), _flat(expected), strict=True):
        np.testing.assert_allclose(
            np.asarray(a), np.asarray(b), **TOLERANCES["float32"]
        )
