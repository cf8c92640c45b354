"""Rematerialization: less memory in training, for a second forward pass.

Only what goes from one block to the next is kept for the gradient; what a
block computes inside is computed again when its gradient is (Chen et al.,
"Training Deep Nets with Sublinear Memory Cost", 2016,
https://arxiv.org/abs/1604.06174). `keras.RematScope` does so layer by layer,
which keeps the input of every convolution and so saves next to nothing in a
convolutional network.
"""

import functools
import itertools

import keras
from keras import ops

from keras_fgvc.backbones import blocks
from keras_fgvc.backbones.nested import RematModel
from keras_fgvc.backbones.taps import keep_own_strides, ordered_nodes

TRAINING = {"training": True}


def rematerialize(model: keras.Model) -> keras.Model:
    """Returns a backbone on the same layers that needs less memory to train.

    Args:
        model: a functional `keras.Model` with one image input.
    """
    end = model.outputs[0]._keras_history.operation
    if hasattr(end, "remat"):  # a network that is one layer does it inside
        end.remat = True
        return model
    return keep_own_strides(model, RematModel.made_like(model))


def run(model: keras.Model, inputs) -> list:
    """Computes the outputs of a functional model in training, by blocks."""
    known = dict(zip(map(id, model.inputs), inputs, strict=True))
    for needed, made, piece in _pieces(model):
        values = [known[key] for key in needed]
        if blocks.is_graph(piece):  # with blocks of its own
            outputs = run(piece, values)
        else:
            outputs = compute_again(
                functools.partial(_run_piece, piece), piece.operations, *values
            )
        known |= zip(made, outputs, strict=True)
    return [known[id(tensor)] for tensor in model.outputs]


def _run_piece(piece, *values):
    return piece._run_through_graph(values, operation_fn=_in_training)


def call_again(layer, tensor, **options):
    """Calls a layer in training, see `compute_again`."""
    layer_in_training = functools.partial(_in_training(layer), **options)
    return compute_again(layer_in_training, [layer], tensor)


def _in_training(operation):
    """Returns a function that calls an operation as in training.

    The second time is not inside the call of the model, which says so.
    """
    if "training" not in getattr(operation, "_call_context_args", ()):
        return operation
    # A call in a graph may have recorded that it was no training.
    return lambda *args, **kwargs: operation(*args, **kwargs | TRAINING)


def compute_again(function, layers, *tensors):
    """Calls a function, and once more when its gradient is computed.

    State that the function changes, such as moving statistics or the seed of
    dropout, changes once, and both calls begin with the same state.

    Args:
        function: From tensors to a tensor or a list of them.
        layers: What the function calls, a list.
        *tensors: Its arguments, a gradient goes through each.

    Returns:
        What the function returns.
    """
    states = _states(layers)
    # A copy, because TensorFlow and PyTorch change a variable in place.
    copy = ops.copy if keras.backend.backend() != "jax" else lambda x: x
    before = [(state, copy(state.value)) for state in states]
    changed = []

    def compute(*values):
        with keras.StatelessScope(before) as scope:
            old = [scope.get_current_value(state) for state in states]
            outputs = function(*values)
            new = [scope.get_current_value(state) for state in states]
        pairs = zip(states, old, new, strict=True)
        pairs = [(state, b) for state, a, b in pairs if b is not a]
        changed[:] = [state for state, _ in pairs]
        return outputs, [value for _, value in pairs]

    outputs, values = keras.remat(compute)(*tensors)
    for state, value in zip(changed, values, strict=True):
        state.assign(value)
    return outputs


def _states(layers):
    """The variables of layers that a call may change, or all with JAX.

    There a variable outside of the scope is not the one being trained.
    """
    layers = [each for each in layers if isinstance(each, keras.layers.Layer)]
    states = {id(v): v for layer in layers for v in layer.variables}
    if keras.backend.backend() != "jax":
        for layer in [x for each in layers for x in each._flatten_layers()]:
            for weight in layer._trainable_variables:  # frozen or not
                states.pop(id(weight), None)
    return list(states.values())


def _pieces(model):
    """Cuts a graph at its blocks: pairs of ids around each piece.

    Returns:
        List of (ids of what it needs, ids of what it makes, piece), where a
        piece is a `keras.Function`, or a nested functional model.
    """
    runs = _nodes_by_block(model)
    uses = {id(t): n for n, r in enumerate(runs) for t in _inputs(r)}
    uses |= {id(tensor): len(runs) for tensor in model.outputs}
    pieces = []
    for number, group in enumerate(runs):
        outputs = [t for node in group for t in node.output_tensors]
        made = [t for t in outputs if uses.get(id(t), 0) > number]
        own = {id(tensor) for tensor in outputs}
        needed = {id(t): t for t in _inputs(group) if id(t) not in own}
        piece = group[0].operation
        if not blocks.is_graph(piece):
            piece = keras.Function(list(needed.values()), made)
        pieces.append((list(needed), [id(t) for t in made], piece))
    return pieces


def _nodes_by_block(model):
    numbers, number, keyed = blocks.number_layers(model), 0, []
    for node in ordered_nodes(model):
        number = numbers.get(node.operation, number)
        key = id(node) if blocks.is_graph(node.operation) else number
        keyed.append((key, node))
    return [
        [node for _, node in group]
        for _, group in itertools.groupby(keyed, lambda pair: pair[0])
    ]


def _inputs(nodes):
    return [tensor for node in nodes for tensor in node.input_tensors]
