"""Boxes in pixels to normalised ones, worked out by hand."""

import numpy as np
import pytest

from keras_fgvc.data.pipeline.geometry import normalize_box

SIZE = (50, 80)  # height, width


def test_by_hand():
    box, is_clipped = normalize_box((8, 10, 40, 35), SIZE)
    # y: 10 / 50 and 35 / 50, x: 8 / 80 and 40 / 80.
    np.testing.assert_allclose(box, [0.2, 0.1, 0.7, 0.5], rtol=1e-6)
    assert box.dtype == np.float32
    assert not is_clipped


def test_the_whole_image_is_not_clipped():
    box, is_clipped = normalize_box((0, 0, 80, 50), SIZE)
    assert box.tolist() == [0, 0, 1, 1]
    assert not is_clipped


def test_reaching_beyond_is_clipped():
    box, is_clipped = normalize_box((-8, 10, 88, 60), SIZE)
    np.testing.assert_allclose(box, [0.2, 0, 1, 1], rtol=1e-6)
    assert is_clipped


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((40, 10, 8, 35), "turned round or empty: x 40 to 8, y 10 to 35"),
        ((8, 35, 40, 10), "turned round or empty"),
        ((8, 10, 8, 35), "turned round or empty"),
        ((80, 10, 90, 35), "outside the image of 80 x 50 pixels: x 80 to 90"),
        ((8, -9, 40, 0), "outside the image"),
    ],
)
def test_impossible_boxes_raise(box, message):
    with pytest.raises(ValueError, match=message):
        normalize_box(box, SIZE)
