"""Which images of a batch share a class."""

from keras import ops


def same_label(labels):
    """(n,) -> (n, n) boolean, True where two images share their class."""
    return ops.expand_dims(labels, 1) == ops.expand_dims(labels, 0)
