"""Grids of other strides from one grid, without weights.

The simple feature pyramid of ViTDet (Li et al., "Exploring Plain Vision
Transformer Backbones for Object Detection", 2022,
https://arxiv.org/abs/2203.16527, section 3): a finer grid is the grid enlarged,
a coarser one the grid pooled. Bilinear interpolation stands for the paper's
learned deconvolution, so that nothing must be learned.
"""

import math

from keras import ops


def levels_between(stride: float, wanted: int) -> int:
    """Counts halvings (negative: doublings) of a grid to fit a stride.

    A patch of 14 pixels counts as one of 16.
    """
    return round(math.log2(wanted)) - round(math.log2(stride))


def scale_grid(grid, levels: int):
    """Pools `(b, h, w, c)` by `2 ** levels`, or enlarges it."""
    if levels == 0:
        return grid
    if levels > 0:
        cells = 2**levels
        return ops.max_pool(
            grid, cells, cells, padding="same", data_format="channels_last"
        )
    height, width = ops.shape(grid)[1:3]
    cells = 2**-levels
    return ops.image.resize(
        grid,
        (height * cells, width * cells),
        interpolation="bilinear",
        data_format="channels_last",
    )


def scaled_side(side: int, levels: int) -> int:
    """The side of the grid that `scale_grid` returns."""
    if levels <= 0:
        return side * 2**-levels
    return -(-side // 2**levels)


def resize_pixels(images, zoom: float):
    """Enlarges images by a factor."""
    if zoom == 1:
        return images
    size = [int(side * zoom) for side in images.shape[1:3]]
    return ops.image.resize(
        images, size, interpolation="bilinear", data_format="channels_last"
    )
