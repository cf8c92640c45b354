"""Reads a .safetensors file without the package of that name.

The format is a length in eight bytes, a JSON header that names each tensor's
type, shape and place, and the values.
"""

import json
import math

import numpy as np

_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}
_DTYPES |= {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}


def read(path: str) -> dict:
    """Returns the arrays of a file by name, bfloat16 as float32.

    Raises:
        ValueError: If the file is cut short or no such file.
        KeyError: If a tensor has a type that no weights have.
    """
    with open(path, "rb") as file:
        content = file.read()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    values = memoryview(content)[8 + length :]
    header.pop("__metadata__", None)
    return {name: _array(values, entry) for name, entry in header.items()}


def _array(values, entry):
    start, end = entry["data_offsets"]
    count = math.prod(entry["shape"])
    array = np.frombuffer(values[start:end], _DTYPES[entry["dtype"]], count)
    if entry["dtype"] == "BF16":  # the upper half of a float32
        array = (array.astype("uint32") << 16).view("float32")
    return array.reshape(entry["shape"])
