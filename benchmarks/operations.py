"""Floating-point operations of a prediction, as the backend counts them."""

import keras


def operations(model, shape):
    """Of one prediction; PyTorch's are convolutions and matrix products alone.

    Args:
        model: `keras.Model` of one input.
        shape: Of the batch.

    Returns:
        Number; a multiply-add is two.
    """
    count = {
        "tensorflow": _tensorflow_operations,
        "jax": _jax_operations,
        "torch": _torch_operations,
    }[keras.backend.backend()]
    return count(model, shape)


def _tensorflow_operations(model, shape):
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    graph = tf.function(lambda x: model(x, training=False))
    frozen = convert_to_constants.convert_variables_to_constants_v2(
        graph.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    )
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    profile = profiler.profile(frozen.graph, cmd="op", options=options)
    return profile.total_float_ops


def _jax_operations(model, shape):
    import jax

    states = [
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
        )
    ]

    def predict(states, image):
        return model.stateless_call(*states, image, training=False)[0]

    image = jax.ShapeDtypeStruct(shape, "float32")
    compiled = jax.jit(predict).lower(states, image).compile()
    return compiled.cost_analysis()["flops"]


def _torch_operations(model, shape):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(keras.ops.zeros(shape), training=False)
    return counter.get_total_flops()
