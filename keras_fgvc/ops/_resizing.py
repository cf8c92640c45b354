"""Bilinear resize of maps to a size that may be unknown until it runs."""

from keras import ops


def resize_maps(maps, height, width):
    """Bilinear resize (b, i, j) -> (b, h, w), pixel centres at half integers.

    Two matrix products: `ops.image.resize` wants to know the size when the
    graph is built.
    """
    _, rows, columns = ops.shape(maps)
    rows = _interpolation_matrix(rows, height, maps.dtype)  # (h, i)
    columns = _interpolation_matrix(columns, width, maps.dtype)  # (w, j)
    return ops.matmul(ops.matmul(rows, maps), ops.transpose(columns))


def _interpolation_matrix(cells, size, dtype):
    """(size, cells): the share of each cell in each pixel."""
    scale = ops.cast(cells, dtype) / ops.cast(size, dtype)
    position = (ops.cast(ops.arange(size), dtype) + 0.5) * scale - 0.5
    # Beyond the outermost centres their value goes on.
    position = ops.clip(position, 0, ops.cast(cells - 1, dtype))
    distance = ops.expand_dims(position, 1) - ops.cast(ops.arange(cells), dtype)
    return ops.maximum(1 - ops.abs(distance), 0)
