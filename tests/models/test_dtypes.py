"""Every tensor of a method's graph has the dtype that the graph was told."""

import keras
import pytest

from tests import tiny
from tests.models.test_changed_layers import MAKE, make

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16", "float64")


@pytest.fixture(params=POLICIES)
def policy(request):
    if request.param == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless it is told so")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("method", MAKE)
def test_symbolic_dtypes_are_those_of_the_values(method, policy):
    images, _ = tiny.images_and_labels(2)
    model = make(method)
    tensors = {
        id(tensor): (operation.name, tensor)
        for operation in model.operations
        for node in operation._inbound_nodes
        if node in _nodes(model)
        for tensor in node.output_tensors
    }
    names, told = zip(*tensors.values(), strict=True)
    graph = keras.Function(model.inputs, list(told))
    real = graph([keras.ops.cast(images, "float32")])
    wrong = [
        (name, tensor.dtype, keras.backend.standardize_dtype(values.dtype))
        for name, tensor, values in zip(names, told, real, strict=True)
        if tensor.dtype != keras.backend.standardize_dtype(values.dtype)
    ]
    assert not wrong
    assert {o.dtype for n, o in model.output.items() if "boxes" in n} <= {
        "float32"
    }


def _nodes(model):
    return [n for same in model._nodes_by_depth.values() for n in same]
