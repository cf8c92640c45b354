"""Locates the features of a serialized `tf.train.Example`.

To know the label of a photograph, parsing a record would read all of its
pixels too. Walking along the record and stepping over what is not wanted
touches a few bytes of each: a data set of 190 GB is indexed without reading
it. The protocol buffer's wire format, as far as it is needed:

    Example  { Features features = 1; }
    Features { map<string, Feature> feature = 1; }  // entries: key 1, value 2
    Feature  { BytesList = 1; FloatList = 2; Int64List = 3; }  // one of them
    BytesList, FloatList, Int64List { repeated value = 1; }

where each field is a key (number and kind as a varint) and a value; bytes and
messages start with their length, and numbers may be packed into one field.
"""

import numpy as np

# Kinds of a field.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3


def find_features(buffer, start: int, stop: int, names) -> dict:
    """Finds some features of one record; steps over all others.

    Args:
        buffer: bytes, or what is indexed like bytes, such as mmap.
        start: First byte of the serialized `tf.train.Example`.
        stop: The byte behind it.
        names: Collection of the names (bytes) of features.

    Returns:
        Dictionary from the names that were found to the kind of list (1 for
        bytes, 2 for floats, 3 for integers) and where it starts and stops.

    Raises:
        ValueError: The bytes are no `tf.train.Example`.
    """
    found = {}
    try:
        for _, _, first, last in _fields(buffer, start, stop):
            for _, _, entry, entry_stop in _fields(buffer, first, last):
                parts = list(_fields(buffer, entry, entry_stop))
                spans = {number: span for number, _, *span in parts}
                name = bytes(buffer[slice(*spans[1])])
                if name in names:
                    for kind, _, *span in _fields(buffer, *spans[2]):
                        found[name] = (kind, *span)
    except (IndexError, KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"bytes {start} to {stop} are no serialized tf.train.Example"
        ) from error
    return found


def bytes_span(buffer, feature) -> tuple[int, int]:
    """Offset and length of the only value of a list of bytes."""
    kind, start, stop = feature
    if kind != BYTES_LIST and start < stop:
        raise ValueError("expected a text, found something else")
    spans = [span for _, _, *span in _fields(buffer, start, stop)]
    if len(spans) != 1:
        raise ValueError(f"expected one text, found {len(spans)} values")
    first, last = spans[0]
    return first, last - first


def integers(buffer, feature) -> list[int]:
    """The values of a list of integers."""
    kind, start, stop = feature
    if kind != INT64_LIST and start < stop:
        raise ValueError("expected integers, found something else")
    values = []
    for _, _, first, last in _fields(buffer, start, stop):
        while first < last:
            value, first = _varint(buffer, first)
            values.append(value - (1 << 64) if value >> 63 else value)
    return values


def floats(buffer, feature) -> np.ndarray:
    """The values of a list of floats, float32 `(n,)`."""
    kind, start, stop = feature
    if kind != FLOAT_LIST and start < stop:
        raise ValueError("expected floats, found something else")
    packed = b"".join(
        bytes(buffer[first:last])
        for _, _, first, last in _fields(buffer, start, stop)
    )
    return np.frombuffer(packed, "<f4").astype(np.float32)


def _fields(buffer, start: int, stop: int):
    """Yields number, kind, start and stop of the value of each field."""
    at = start
    while at < stop:
        key, at = _varint(buffer, at)
        kind = key & 7
        if kind == BYTES:
            length, at = _varint(buffer, at)
            end = at + length
        elif kind == VARINT:
            _, end = _varint(buffer, at)
        elif kind in (FIXED32, FIXED64):
            end = at + (4 if kind == FIXED32 else 8)
        else:
            raise ValueError(f"a field of kind {kind}")
        if end > stop:
            raise ValueError("a field ends beyond its message")
        yield key >> 3, kind, at, end
        at = end


def _varint(buffer, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first; and its end."""
    value = shift = 0
    while True:
        byte = buffer[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
