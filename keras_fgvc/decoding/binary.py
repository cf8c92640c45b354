"""Reads bytes of a scalar string tensor inside a graph."""

import functools


def starts_with(encoded, signature: bytes):
    """Tells whether a scalar string tensor starts with these bytes."""
    import tensorflow as tf

    return tf.strings.substr(encoded, 0, len(signature)) == signature


def part(encoded, at, count):
    """`count` bytes from a position, fewer at the end of the string."""
    import tensorflow as tf

    # Behind the end TensorFlow's error would hold the bytes of the file.
    size = tf.cast(tf.strings.length(encoded), tf.int64)
    at = tf.clip_by_value(tf.cast(at, tf.int64), 0, size)
    count = tf.maximum(tf.cast(count, tf.int64), 0)
    return tf.strings.substr(encoded, at, count)


def number(encoded, at, count: int, big_endian=False):
    """Reads the unsigned number of `count` bytes at a position, int64.

    Raises:
        tf.errors.InvalidArgumentError: Bytes are missing there.
    """
    import tensorflow as tf

    codes = tf.io.decode_raw(part(encoded, at, count), tf.uint8)
    codes = tf.ensure_shape(codes, (count,))  # Raises where bytes are missing.
    powers = [256**place for place in range(count)]
    powers = powers[::-1] if big_endian else powers
    return tf.reduce_sum(tf.cast(codes, tf.int64) * powers)


def contains(encoded, text: str):
    """Tells whether ASCII `text` lies anywhere in the bytes; one fast search.

    The text is a regular expression without special characters.
    """
    import tensorflow as tf

    without = tf.strings.regex_replace(encoded, text, "", replace_global=False)
    return tf.strings.length(without) != tf.strings.length(encoded)


@functools.cache
def shared(function):
    """A function of tensors as one node of a graph, traced once per process.

    A data set's graph is prepared anew for each epoch, and in serving for
    each image: what is inlined there, taken or not, costs time by its number
    of operations. Called eagerly, each operation costs a hundred
    microseconds.
    """
    import tensorflow as tf

    return tf.function(
        function,
        autograph=False,
        reduce_retracing=True,
        experimental_attributes={"_noinline": True},
    )
