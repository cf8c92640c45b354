import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import denormalize_boxes, normalize_boxes

SIZE = (100, 200)  # height, width
PIXELS = {
    "yxyx": [10.0, 20.0, 50.0, 80.0],
    "xyxy": [20.0, 10.0, 80.0, 50.0],
    "xywh": [20.0, 10.0, 60.0, 40.0],
    "center_xywh": [50.0, 30.0, 60.0, 40.0],
}
FRACTIONS = [0.1, 0.1, 0.5, 0.4]


@pytest.mark.parametrize("format", PIXELS)
def test_one_box_in_each_format(format):
    received = normalize_boxes([PIXELS[format]], SIZE, format)
    np.testing.assert_allclose(ops.convert_to_numpy(received), [FRACTIONS])
    back = denormalize_boxes([FRACTIONS], SIZE, format)
    np.testing.assert_allclose(
        ops.convert_to_numpy(back), [PIXELS[format]], rtol=1e-6
    )


@pytest.mark.parametrize("format", PIXELS)
def test_as_keras_converts(format):
    """Keras's utility works on one image's or a batch's boxes."""
    boxes = np.float32([[PIXELS[format]] * 3])
    expected = keras.utils.bounding_boxes.convert_format(
        boxes, format, "rel_yxyx", height=100, width=200
    )
    received = normalize_boxes(boxes, SIZE, format)
    np.testing.assert_allclose(
        ops.convert_to_numpy(received),
        ops.convert_to_numpy(expected),
        rtol=1e-6,
    )


def test_any_leading_axes_and_an_integer_size():
    boxes = np.ones((2, 3, 5, 4), "int32")
    received = ops.convert_to_numpy(normalize_boxes(boxes, 8))
    assert received.shape == (2, 3, 5, 4)
    np.testing.assert_allclose(received, 1 / 8)


@pytest.mark.parametrize("convert", [normalize_boxes, denormalize_boxes])
def test_bad_input(convert):
    with pytest.raises(ValueError, match="`format` must be one of"):
        convert([[0, 0, 1, 1]], SIZE, "xxyy")
    with pytest.raises(ValueError, match=r"four numbers per box.*\(1, 5\)"):
        convert([[0, 0, 1, 1, 1]], SIZE)
    with pytest.raises(ValueError, match="`size` must be at least 1"):
        convert([[0, 0, 1, 1]], (0, 5))
