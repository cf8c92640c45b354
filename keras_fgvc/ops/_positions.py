"""Position embeddings of a patch grid for another grid."""

from keras import ops

# Keys's cubic kernel with this parameter is what Pillow and, when it
# antialiases, PyTorch resample with.
CUBIC = -0.5


def resample_positions(positions, grid, new_grid):
    """Resamples position embeddings to another grid of patches.

    Antialiased bicubic interpolation, as timm's `resample_abs_pos_embed`:
    along each axis a new cell is the mean of the old cells, weighted by
    Keys's cubic kernel, which is stretched where the grid shrinks.

    Args:
        positions: `(batch, rows * columns, channels)`, without those of class
            and register tokens.
        grid: Pair of integers, rows and columns of `positions`.
        new_grid: Pair, rows and columns of the result; integers or, where the
            size is unknown until the graph runs, scalar tensors.

    Returns:
        `(batch, new_rows * new_columns, channels)`.
    """
    is_known = all(isinstance(side, int) for side in new_grid)
    if is_known and tuple(grid) == tuple(new_grid):
        return positions
    channels = positions.shape[-1]
    cells = ops.reshape(ops.cast(positions, "float32"), (-1, *grid, channels))
    rows, columns = (
        _cubic_matrix(old, new) for old, new in zip(grid, new_grid, strict=True)
    )
    # (b, h, w, c) -> (b, i, j, c)
    cells = ops.einsum("ih,bhwc->biwc", rows, cells)
    cells = ops.einsum("jw,biwc->bijc", columns, cells)
    cells = ops.reshape(cells, (-1, new_grid[0] * new_grid[1], channels))
    return ops.cast(cells, positions.dtype)


def _cubic_matrix(old, new):
    """(new, old): the share of each old cell in each new one."""
    scale = ops.cast(old, "float32") / ops.cast(new, "float32")
    position = (ops.cast(ops.arange(new), "float32") + 0.5) * scale - 0.5
    distance = ops.expand_dims(position, 1) - ops.arange(old, dtype="float32")
    weights = _cubic(ops.abs(distance) / ops.maximum(scale, 1.0))
    return weights / ops.sum(weights, axis=1, keepdims=True)


def _cubic(x):
    """Keys's kernel of a distance; 0 from a distance of 2 on."""
    near = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
    far = CUBIC * (((x - 5) * x + 8) * x - 4)
    return ops.where(x < 1, near, ops.where(x < 2, far, 0.0))
