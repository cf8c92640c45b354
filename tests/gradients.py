"""Gradients of a function of arrays, the same on every backend."""

import contextlib

import keras
import numpy as np
from keras import ops


def compiled(fn):
    """`fn` as a user's training step runs it: tf.function, jax.jit, eager."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(fn, autograph=False)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(fn)
    return fn


def gradient(fn, *arrays, compile=True):
    """Gradients of the scalar `fn(*arrays)`, one NumPy array for each."""
    backend = keras.backend.backend()
    take = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]
    with float64():
        return take(fn, arrays, compiled if compile else lambda fn: fn)


def check_gradient(fn, *arrays, float32_on=()):
    """Compares `gradient` with central differences, in float64.

    `float32_on` names backends on which Keras drops to float32 on the way:
    its maximum and matmul always do so on torch, its tanh does on JAX.
    """
    step, rtol, atol = 1e-6, 1e-5, 1e-6
    if keras.backend.backend() in ("torch", *float32_on):
        step, rtol, atol = 1e-4, 1e-2, 5e-2
    arrays = [np.array(array, "float64") for array in arrays]
    expected = _central_differences(compiled(fn), arrays, step)
    result = gradient(fn, *arrays)
    for ours, numerical in zip(result, expected, strict=True):
        np.testing.assert_allclose(ours, numerical, rtol=rtol, atol=atol)


def _central_differences(fn, arrays, step):
    gradients = [np.zeros_like(array) for array in arrays]
    for position, array in enumerate(arrays):
        for index in np.ndindex(array.shape):
            values = []
            for shift in (step, -step):
                moved = array.copy()
                moved[index] += shift
                moved = [*arrays[:position], moved, *arrays[position + 1 :]]
                with float64():
                    values.append(float(fn(*map(ops.convert_to_tensor, moved))))
            slope = (values[0] - values[1]) / (2 * step)
            gradients[position][index] = slope
    return gradients


def float64():
    """Context in which float64 arrays stay float64 (JAX halves them)."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.enable_x64(True)
    return contextlib.nullcontext()


def _tensorflow(fn, arrays, wrap):
    import tensorflow as tf

    @wrap
    def take(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = fn(*tensors)
        return tape.gradient(value, tensors, unconnected_gradients="zero")

    gradients = take(*map(tf.convert_to_tensor, arrays))
    return [tf.convert_to_tensor(g).numpy() for g in gradients]


def _jax(fn, arrays, wrap):
    import jax

    take = wrap(jax.grad(fn, argnums=tuple(range(len(arrays)))))
    return [np.asarray(g) for g in take(*map(jax.numpy.asarray, arrays))]


def _torch(fn, arrays, wrap):
    import torch

    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    gradients = torch.autograd.grad(
        wrap(fn)(*tensors), tensors, materialize_grads=True
    )
    return [g.numpy() for g in gradients]
