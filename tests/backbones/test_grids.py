import numpy as np
import pytest
from keras import ops

from keras_fgvc.backbones import grids


@pytest.mark.parametrize(
    ("stride", "wanted", "levels"),
    [
        (16, 16, 0),
        (16, 8, -1),
        (16, 4, -2),
        (14, 16, 0),
        (14, 32, 1),
        (8, 32, 2),
    ],
)
def test_levels_between(stride, wanted, levels):
    assert grids.levels_between(stride, wanted) == levels


@pytest.mark.parametrize(("size", "levels"), [((5, 7), 1), ((6, 4), 2)])
def test_a_coarser_grid_is_the_maximum_of_its_cells(size, levels):
    rng = np.random.default_rng(2)
    grid = rng.normal(size=(2, *size, 3)).astype("float32")
    result = ops.convert_to_numpy(grids.scale_grid(grid, levels))
    cells = 2**levels
    sides = [grids.scaled_side(side, levels) for side in size]
    assert result.shape == (2, *sides, 3)
    # A window that is cut off lies at the border: half of it, rounded down,
    # before the first cell.
    before = [
        (side * cells - s) // 2 for side, s in zip(sides, size, strict=True)
    ]
    for i in range(sides[0]):
        for j in range(sides[1]):
            top, left = i * cells - before[0], j * cells - before[1]
            window = grid[
                :, max(top, 0) : top + cells, max(left, 0) : left + cells
            ]
            np.testing.assert_array_equal(
                result[:, i, j], window.max(axis=(1, 2))
            )


def test_a_finer_grid_is_bilinear():
    ramp = np.arange(4, dtype="float32").reshape(1, 1, 4, 1)
    result = ops.convert_to_numpy(grids.scale_grid(ramp, -1))
    assert result.shape == (1, 2, 8, 1)
    expected = [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    np.testing.assert_allclose(result[0, 0, :, 0], expected, atol=1e-6)


def test_resize_pixels():
    images = np.ones((1, 6, 4, 3), "float32")
    assert grids.resize_pixels(images, 1) is images
    assert grids.resize_pixels(images, 3.5).shape == (1, 21, 14, 3)
