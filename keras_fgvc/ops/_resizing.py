"""Bilinear resize of maps to a size that may be unknown until it runs."""

from keras import ops

from keras_fgvc.ops._precision import at_least_float32


def resize_maps(maps, height, width):
    """Bilinear resize (b, i, j) -> (b, h, w), pixel centres at half integers.

    Two matrix products: `ops.image.resize` wants to know the size when the
    graph is built.
    """
    _, rows, columns = ops.shape(maps)
    rows = _interpolation_matrix(rows, height, maps.dtype)  # (h, i)
    columns = _interpolation_matrix(columns, width, maps.dtype)  # (w, j)
    return ops.matmul(ops.matmul(rows, maps), ops.transpose(columns))


def resize_channels(maps, height, width):
    """Bilinear resize (b, i, j, c) -> (b, h, w, c), in float32 at least."""
    _, rows, columns, channels = ops.shape(maps)
    # Positions in half precision would miss the pixels of a large map.
    folded = at_least_float32(ops.transpose(maps, (0, 3, 1, 2)))
    folded = ops.reshape(folded, (-1, rows, columns))  # (b * c, i, j)
    folded = resize_maps(folded, height, width)
    resized = ops.reshape(folded, (-1, channels, height, width))
    return ops.transpose(resized, (0, 2, 3, 1))


def _interpolation_matrix(cells, size, dtype):
    """(size, cells): the share of each cell in each pixel."""
    scale = ops.cast(cells, dtype) / ops.cast(size, dtype)
    position = (ops.cast(ops.arange(size), dtype) + 0.5) * scale - 0.5
    # Beyond the outermost centres their value goes on.
    position = ops.clip(position, 0, ops.cast(cells - 1, dtype))
    distance = ops.expand_dims(position, 1) - ops.cast(ops.arange(cells), dtype)
    return ops.maximum(1 - ops.abs(distance), 0)


def resize_nearest(features, height, width):
    """Nearest resize (b, i, j, c) -> (b, h, w, c), in exact whole numbers.

    Pixel r takes the cell that holds its centre, (r + 1/2) / h of the way;
    on the edge of two cells, the later one. Two matrix products, as a gather
    is slow in the backward pass.
    """
    _, rows, columns, channels = ops.shape(features)
    pick_rows = _nearest_matrix(rows, height, features.dtype)  # (h, i)
    pick_columns = _nearest_matrix(columns, width, features.dtype)  # (w, j)
    flat = ops.reshape(features, (-1, rows, columns * channels))
    flat = ops.matmul(pick_rows, flat)  # (b, h, j * c)
    flat = ops.reshape(flat, (-1, columns, channels))  # (b * h, j, c)
    flat = ops.matmul(pick_columns, flat)  # (b * h, w, c)
    return ops.reshape(flat, (-1, height, width, channels))


def _nearest_matrix(cells, size, dtype):
    """(size, cells): 1 at the cell each pixel takes, else 0."""
    pixels = ops.arange(size, dtype="int32")
    chosen = (2 * pixels + 1) * cells // (2 * size)
    picked = ops.expand_dims(chosen, 1) == ops.arange(cells, dtype="int32")
    return ops.cast(picked, dtype)
