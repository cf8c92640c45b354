import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import ROIAlign
from keras_fgvc.ops import roi_align
from tests.tolerances import TOLERANCES

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, 5, 7, 3)).astype("float32")
BOXES = np.float32([[[0.1, 0.2, 0.7, 0.9]], [[0.0, 0.0, 1.0, 1.0]]])


def test_is_the_op():
    np.testing.assert_allclose(
        to_numpy(ROIAlign((3, 2), samples=3)([FEATURES, BOXES])),
        to_numpy(roi_align(FEATURES, BOXES, (3, 2), 3)),
        **TOLERANCES["float32"],
    )


def test_boxes_keep_their_digits_under_half_precision():
    """In bfloat16 0.501, 0.5015 and 0.5 are one number."""
    ramp = np.tile(np.arange(64, dtype="float32") - 32, (1, 2, 1))[..., None]
    layer = ROIAlign((1, 1), dtype="mixed_bfloat16")
    boxes = np.float32([[[0, 0.501, 1, 0.5015]]])
    out = to_numpy(keras.ops.cast(layer([ramp, boxes]), "float32"))
    # Pixel i has its centre at (i + 0.5) / 64.
    expected = 0.50125 * 64 - 0.5 - 32
    np.testing.assert_allclose(out.item(), expected, atol=0.02)


def test_unknown_height_and_width():
    inputs = [keras.Input((None, None, 3)), keras.Input((None, 4))]
    output = ROIAlign((3, 2))(inputs)
    assert output.shape == (None, None, 3, 2, 3)
    model = keras.Model(inputs, output)
    np.testing.assert_allclose(
        model.predict([FEATURES, BOXES], verbose=0),
        to_numpy(roi_align(FEATURES, BOXES, (3, 2))),
        **TOLERANCES["float32"],
    )


def test_one_integer_is_a_square():
    layer = ROIAlign(3)
    assert layer.get_config()["output_size"] == (3, 3)
    np.testing.assert_array_equal(
        to_numpy(layer([FEATURES, BOXES])),
        to_numpy(ROIAlign((3, 3))([FEATURES, BOXES])),
    )


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"must be a pair.*or an integer"):
        ROIAlign((7, 7, 7))
    with pytest.raises(ValueError, match="`samples` must be at least 1"):
        ROIAlign((7, 7), samples=0)
    with pytest.raises(ValueError, match="`boxes` must have shape"):
        ROIAlign((7, 7))([FEATURES, BOXES[:, 0]])
    with pytest.raises(ValueError, match="fractions of the image's sides"):
        ROIAlign((7, 7))([FEATURES, 100 * BOXES])
    with pytest.raises(ValueError, match=r"`boxes` must have.*, 5\)"):
        ROIAlign((7, 7))([keras.Input((5, 7, 3)), keras.Input((2, 5))])
