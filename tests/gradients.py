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


def gradient(fn, *arrays, compile=False):
    """Gradients of the scalar `fn(*arrays)`, one NumPy array for each."""
    backend = keras.backend.backend()
    take = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]
    with float64():
        return take(fn, arrays, compiled if compile else lambda fn: fn)


def numerical_gradient(fn, *arrays, step=1e-6):
    """Central differences of `fn(*arrays)` in float64."""
    fn = compiled(fn)
    arrays = [np.array(array, "float64") for array in arrays]
    gradients = []
    with float64():
        for array in arrays:
            slopes = np.zeros_like(array)
            for index in np.ndindex(array.shape):
                kept = array[index]
                array[index] = kept + step
                above = fn(*map(ops.convert_to_tensor, arrays))
                array[index] = kept - step
                below = fn(*map(ops.convert_to_tensor, arrays))
                array[index] = kept
                slopes[index] = float(above - below) / (2 * step)
            gradients.append(slopes)
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
