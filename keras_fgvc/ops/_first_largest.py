"""The largest value of a row and where it is, the same on every backend."""

from keras import ops


def first_largest(values):
    """Finds the largest value of each row and its first position.

    Neither `argmax`, which does not export, nor `top_k`, which on PyTorch
    takes any of several equal values.

    Args:
        values: Tensor of shape `(batch, n)`.

    Returns:
        `(largest, position)`, both `(batch, 1)`, the position int32. Neither
        has a gradient.
    """
    values = ops.stop_gradient(values)
    largest = ops.max(values, axis=1, keepdims=True)
    count = ops.shape(values)[1]
    positions = ops.arange(count, dtype="int32")
    # `count - 1` where nothing is equal: in a row with NaN.
    candidates = ops.where(values >= largest, positions, count - 1)
    return largest, ops.min(candidates, axis=1, keepdims=True)
