import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc import ops
from keras_fgvc.layers import ROIAlign
from tests.tolerances import TOLERANCES

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, 5, 7, 3)).astype("float32")
BOXES = np.float32([[[0.1, 0.2, 0.7, 0.9]], [[0.0, 0.0, 1.0, 1.0]]])


def test_is_the_op():
    np.testing.assert_allclose(
        to_numpy(ROIAlign((3, 2), samples=3)([FEATURES, BOXES])),
        to_numpy(ops.roi_align(FEATURES, BOXES, (3, 2), 3)),
        **TOLERANCES["float32"],
    )


def test_boxes_keep_their_digits_under_half_precision():
    """In bfloat16 0.501 and 0.5 are one number; the cut-outs must differ."""
    ramp = np.arange(64, dtype="float32").reshape(1, 1, 64, 1)
    ramp = np.tile(ramp, (1, 2, 1, 1)) / 64
    layer = ROIAlign((1, 1), dtype="mixed_bfloat16")
    boxes = np.float32([[[0, 0.5, 1, 0.52], [0, 0.501, 1, 0.561]]])
    out = keras.ops.cast(layer([ramp, boxes]), "float32")
    values = keras.ops.convert_to_numpy(out).reshape(-1)
    assert values[1] - values[0] > 0.01


def test_unknown_height_and_width():
    inputs = [keras.Input((None, None, 3)), keras.Input((None, 4))]
    output = ROIAlign((3, 2))(inputs)
    assert output.shape == (None, None, 3, 2, 3)
    model = keras.Model(inputs, output)
    np.testing.assert_allclose(
        model.predict([FEATURES, BOXES], verbose=0),
        to_numpy(ops.roi_align(FEATURES, BOXES, (3, 2))),
        **TOLERANCES["float32"],
    )


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"`output_size` must be a pair"):
        ROIAlign(7)
    with pytest.raises(ValueError, match="`samples` must be at least 1"):
        ROIAlign((7, 7), samples=0)
    with pytest.raises(ValueError, match="`boxes` must have 3 axes"):
        ROIAlign((7, 7))([FEATURES, BOXES[:, 0]])
