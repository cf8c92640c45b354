"""The dtype in which positions, distances and means are computed."""

import keras
from keras import ops


def wide_dtype(dtype) -> str:
    """Returns "float64" for float64, "float32" for all other dtypes."""
    is_float64 = keras.backend.standardize_dtype(dtype) == "float64"
    return "float64" if is_float64 else "float32"


def at_least_float32(x):
    """Casts half precision and integers to float32, keeps float64."""
    x = ops.convert_to_tensor(x)
    return ops.cast(x, wide_dtype(x.dtype))


def cast_back(result, source):
    """Casts `result` to the dtype of `source`, unless that is an integer."""
    dtype = keras.backend.standardize_dtype(source.dtype)
    return ops.cast(result, dtype) if "float" in dtype else result
