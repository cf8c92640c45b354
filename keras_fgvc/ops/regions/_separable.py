"""Bilinear sampling one axis at a time, in the form that is fastest.

Which rows a sample reads depends on its row alone, so RoIAlign is separable.
As matrices it is `rows @ map @ columns^T` for each channel: two matrix
products, fastest for feature maps. As gathers, of whole rows and then of single
cells, it costs nothing for what is not read: fastest for images, with their
many pixels and few channels.
"""

import keras
import numpy as np
from keras import ops

from keras_fgvc.ops._precision import at_least_float32, cast_back

# Below this the rows of a matrix product are too short to pay.
FEWEST_CHANNELS_FOR_MATMUL = 16
# Multiplications per output value above which the gathers are faster.
MOST_PRODUCTS_FOR_MATMUL = 600
# Cells up to which XLA is faster with one product over the whole map.
MOST_CELLS_FOR_ONE_PRODUCT = 784


class Axis:
    """Positions of the samples of boxes on one axis of a map.

    Attributes:
        first, second: (b, n, size * samples) int32, the two cells that a
            sample lies between.
        first_weight, second_weight: Their weights; both 0 for a sample
            outside the map.
        length, size, samples: Cells of the map, bins, samples per bin.
    """

    def __init__(self, low, high, length, size, samples):
        self.length, self.size, self.samples = length, size, samples
        dtype = low.dtype
        limit = ops.cast(length, dtype)
        offsets = (np.arange(size * samples) + 0.5) / samples
        offsets = ops.convert_to_tensor(offsets, dtype)
        bins = (high - low) * (limit / size)
        position = low * limit + offsets * bins - 0.5
        inside = ops.logical_and(position >= -1, position <= limit)
        inside = ops.cast(inside, dtype)
        position = ops.minimum(ops.maximum(position, 0.0), limit - 1)
        # The cell below and its fraction, not a hat function: that has no
        # gradient on whole positions, where the whole image's samples fall.
        first = ops.floor(ops.stop_gradient(position))
        first = ops.maximum(ops.minimum(first, limit - 2), 0.0)
        fraction = position - first
        self.first = ops.cast(first, "int32")
        # Only a map of a single cell has no second one.
        self.second = ops.minimum(self.first + 1, length - 1)
        self.first_weight = (1 - fraction) * inside
        self.second_weight = fraction * inside


def sample(features, rows, columns):
    """(b, h, w, c) at two axes -> (b, n, rows.size, columns.size, c)."""
    if _matmul_is_faster(features.shape, columns.size):
        return _sample_by_matmul(features, rows, columns)
    return _sample_by_gather(features, rows, columns)


def _matmul_is_faster(shape, output_width: int) -> bool:
    _, height, width, channels = shape
    if channels < FEWEST_CHANNELS_FOR_MATMUL:
        return False
    if height is None or width is None:
        return True
    products = height * width / output_width + width
    return products < MOST_PRODUCTS_FOR_MATMUL


def _sample_by_matmul(features, rows, columns):
    """Rows first, so that no operand needs a transposition."""
    batch, height, width, channels = ops.shape(features)
    row_matrix = cast_back(_matrix(rows), features)  # (b, n, oh, h)
    column_matrix = cast_back(_matrix(columns), features)  # (b, n, ow, w)
    boxes, bins = ops.shape(rows.first)[1], (rows.size, columns.size)
    if _one_product_is_faster(features.shape):
        weights = ops.einsum("bnph,bnqw->bnpqhw", row_matrix, column_matrix)
        weights = ops.reshape(weights, (batch, -1, height * width))
        cells = ops.reshape(features, (batch, height * width, channels))
        result = ops.matmul(weights, cells)  # (b, n * oh * ow, c)
        return ops.reshape(result, (batch, boxes, *bins, channels))
    row_matrix = ops.reshape(row_matrix, (batch, -1, height))
    stripes = ops.reshape(features, (batch, height, width * channels))
    stripes = ops.matmul(row_matrix, stripes)  # (b, n * oh, w * c)
    stripes = ops.reshape(stripes, (batch, boxes, bins[0], width, channels))
    # XLA is slower when it has to broadcast inside the product.
    column_matrix = ops.broadcast_to(
        ops.expand_dims(column_matrix, 2), (batch, boxes, *bins, width)
    )
    return ops.matmul(column_matrix, stripes)  # (b, n, oh, ow, c)


def _one_product_is_faster(shape) -> bool:
    _, height, width, _ = shape
    if keras.backend.backend() != "jax":
        return False
    return height * width <= MOST_CELLS_FOR_ONE_PRODUCT


def _matrix(axis):
    """(b, n, size, length): the share of each cell in each bin."""
    cells = ops.arange(axis.length, dtype="int32")
    matrix = ops.where(
        ops.expand_dims(axis.first, -1) == cells,
        ops.expand_dims(axis.first_weight, -1),
        0.0,
    )
    # Added, as both are the same cell where the map has only one.
    matrix = matrix + ops.where(
        ops.expand_dims(axis.second, -1) == cells,
        ops.expand_dims(axis.second_weight, -1),
        0.0,
    )
    return _mean_of_samples(matrix, axis)


def _sample_by_gather(features, rows, columns):
    """Gathers the rows that are read, and of those the columns."""
    batch, height, width, channels = ops.shape(features)
    boxes, bins = ops.shape(rows.first)[1], (rows.size, columns.size)
    table = ops.reshape(features, (batch * height, width * channels))
    starts = ops.arange(batch, dtype="int32") * height
    starts = ops.reshape(starts, (batch, 1, 1))
    stripes = _interpolate(table, starts, rows)  # (b, n, oh, w * c)
    # Columns become rows, to be gathered as a whole and not pixel by pixel.
    stripes = ops.reshape(stripes, (batch, boxes, bins[0], width, channels))
    stripes = ops.transpose(stripes, (0, 1, 3, 2, 4))  # (b, n, w, oh, c)
    table = ops.reshape(stripes, (batch * boxes * width, bins[0] * channels))
    starts = ops.arange(batch * boxes, dtype="int32") * width
    starts = ops.reshape(starts, (batch, boxes, 1))
    result = _interpolate(table, starts, columns)  # (b, n, ow, oh * c)
    result = ops.reshape(result, (batch, boxes, bins[1], bins[0], channels))
    return cast_back(ops.transpose(result, (0, 1, 3, 2, 4)), features)


def _interpolate(table, starts, axis):
    """Bins (b, n, size, d) of a table (cells, d) with maps from `starts` on."""
    first = at_least_float32(ops.take(table, axis.first + starts, axis=0))
    second = at_least_float32(ops.take(table, axis.second + starts, axis=0))
    first_weight = ops.cast(axis.first_weight, first.dtype)
    second_weight = ops.cast(axis.second_weight, first.dtype)
    values = first * ops.expand_dims(first_weight, -1)
    values = values + second * ops.expand_dims(second_weight, -1)
    return _mean_of_samples(values, axis)


def _mean_of_samples(values, axis):
    """(b, n, size * samples, d) -> (b, n, size, d)."""
    if axis.samples == 1:
        return values
    batch, boxes, _, depth = ops.shape(values)
    bins = (batch, boxes, axis.size, axis.samples, depth)
    return ops.sum(ops.reshape(values, bins), axis=3) / axis.samples
