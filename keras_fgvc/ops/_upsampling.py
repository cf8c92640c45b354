"""Transposed convolution of maps that share one kernel, any number of them."""

import numpy as np
from keras import ops


def smallest_kernel_size(factor: int) -> int:
    """Taps of the bilinear kernel: 2 factor, or one less where that is odd."""
    return 2 * factor - factor % 2


def bilinear_kernel(factor: int, kernel_size: int) -> np.ndarray:
    """(kernel_size, kernel_size), with which `upsample` is a bilinear resize.

    A pixel whose centre is d cells from a cell's centre gets the share
    1 - |d| of it, in each direction.
    """
    pixels = np.arange(kernel_size) - (kernel_size - 1) / 2
    hat = np.maximum(1 - np.abs(pixels) / factor, 0)
    return np.outer(hat, hat)


def upsample(maps, kernel, factor: int):
    """(b, h, w, m) -> (b, h * factor, w * factor, m), each map alone.

    Computed as the convolution and reordering that equal the transposed
    convolution: all pixels at one place of their cell form a channel. So
    nothing is multiplied by the zeros between the cells, and the small maps
    are moved into the batch, not the large result.

    Args:
        maps: `(b, h, w, m)`; beyond the border the outermost cells go on.
        kernel: `(size, size)`; size at least `smallest_kernel_size(factor)`,
            and even or odd as that is.
        factor: Pixels a cell, in height and in width.
    """
    _, height, width, count = ops.shape(maps)
    cells = ops.transpose(maps, (0, 3, 1, 2))
    cells = ops.reshape(cells, (-1, height, width, 1))  # (b * m, h, w, 1)
    before = (kernel.shape[0] - factor) // 2  # taps before a cell's own pixels
    reach = -(-before // factor)  # the same in cells, rounded up
    rows = [cells[:, :1]] * reach, [cells[:, -1:]] * reach
    cells = ops.concatenate([*rows[0], cells, *rows[1]], axis=1)
    columns = [cells[:, :, :1]] * reach, [cells[:, :, -1:]] * reach
    cells = ops.concatenate([*columns[0], cells, *columns[1]], axis=2)
    pixels = ops.conv(
        cells,
        _channel_kernel(kernel, factor, before, reach),
        padding="valid",
        data_format="channels_last",
    )  # (b * m, h, w, factor^2)
    shape = (-1, count, height, width, factor, factor)
    pixels = ops.transpose(ops.reshape(pixels, shape), (0, 2, 4, 3, 5, 1))
    return ops.reshape(pixels, (-1, height * factor, width * factor, count))


def _channel_kernel(kernel, factor, before, reach):
    """(size, size) -> (cells, cells, 1, factor^2), cells = 2 reach + 1.

    The taps over each cell's pixels, in reverse order of the cells: a
    transposed convolution spreads a cell to pixels, a convolution collects
    the cells for a pixel.
    """
    cells = 2 * reach + 1
    start = reach * factor - before
    end = cells * factor - start - kernel.shape[0]
    kernel = ops.pad(kernel, [(start, end), (start, end)])
    kernel = ops.reshape(kernel, (cells, factor, cells, factor))
    kernel = ops.flip(ops.transpose(kernel, (0, 2, 1, 3)), axis=(0, 1))
    return ops.reshape(kernel, (cells, cells, 1, factor**2))
