import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import PartCrop
from keras_fgvc.ops import crop_and_resize, roi_align
from tests.tolerances import TOLERANCES

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (2, 11, 13, 3)).astype("float32")
BOXES = np.float32([[[0.1, 0.2, 0.7, 0.9]], [[0.3, 0.0, 1.0, 0.6]]])
WHOLE = np.tile(np.float32([0, 0, 1, 1]), (2, 1, 1))


def test_the_whole_image_at_its_own_size_is_the_image():
    crops = to_numpy(PartCrop((11, 13))([IMAGES, WHOLE]))
    np.testing.assert_array_equal(crops[:, 0], IMAGES)


@pytest.mark.parametrize(
    ("source", "function"),
    [("image", crop_and_resize), ("features", roi_align)],
)
def test_source_chooses_the_sampling(source, function):
    found = to_numpy(PartCrop((5, 7), source=source)([IMAGES, BOXES]))
    np.testing.assert_allclose(
        found, to_numpy(function(IMAGES, BOXES, (5, 7))), rtol=1e-5
    )
    others = {crop_and_resize, roi_align} - {function}
    other = to_numpy(others.pop()(IMAGES, BOXES, (5, 7)))
    assert np.abs(found - other).max() > 1


def test_integer_images():
    pixels = IMAGES.astype("uint8")
    crops = to_numpy(PartCrop((11, 13))([pixels, WHOLE]))
    np.testing.assert_allclose(crops[:, 0], pixels, **TOLERANCES["float32"])


def test_unknown_height_and_width():
    inputs = [keras.Input((None, None, 3)), keras.Input((None, 4))]
    model = keras.Model(inputs, PartCrop((5, 7))(inputs))
    np.testing.assert_allclose(
        model.predict([IMAGES, BOXES], verbose=0),
        to_numpy(crop_and_resize(IMAGES, BOXES, (5, 7))),
        rtol=1e-4,
        atol=1e-3,
    )


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`source` must be one of 'image'"):
        PartCrop((5, 7), source="pixels")
    with pytest.raises(ValueError, match="`images` must have 4 axes"):
        PartCrop((5, 7))([IMAGES[0], BOXES])


def test_one_integer_is_a_square():
    assert PartCrop(7).get_config()["output_size"] == (7, 7)
