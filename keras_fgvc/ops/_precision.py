"""The dtype in which positions, distances and means are computed."""

import keras
from keras import ops


def at_least_float32(x):
    """Casts half precision and integers to float32, keeps float64."""
    x = ops.convert_to_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    return x if dtype in ("float32", "float64") else ops.cast(x, "float32")


def cast_back(result, source):
    """Casts `result` to the dtype of `source`, unless that is an integer."""
    dtype = keras.backend.standardize_dtype(source.dtype)
    return ops.cast(result, dtype) if "float" in dtype else result
