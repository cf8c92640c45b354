import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import LocalizationModule
from keras_fgvc.ops import heatmap_to_box, minmax_normalize

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 31, 37, 3))
IMAGES = IMAGES.astype("float32")


def test_boxes_follow_the_heatmap():
    layer = LocalizationModule(
        (5, 4), threshold=0.95, min_size=0.02, enabled=True
    )
    heatmap, boxes = layer(IMAGES)
    assert heatmap.shape == (2, 5, 4)
    expected = heatmap_to_box(minmax_normalize(heatmap), 0.95, layer.min_size)
    np.testing.assert_allclose(to_numpy(boxes[:, 0]), to_numpy(expected))
    assert not np.allclose(to_numpy(boxes), [0, 0, 1, 1])


def test_whole_image_until_enabled():
    layer = LocalizationModule((5, 4), threshold=0.95, min_size=0.02)
    _, boxes = layer(IMAGES)
    np.testing.assert_array_equal(to_numpy(boxes), [[[0, 0, 1, 1]]] * 2)
    layer.enable()
    _, found = layer(IMAGES)
    assert not np.allclose(to_numpy(found), to_numpy(boxes))
    layer.enable(False)
    np.testing.assert_array_equal(to_numpy(layer(IMAGES)[1]), to_numpy(boxes))


def test_bytes_are_pixels_like_floats():
    layer = LocalizationModule((5, 4))
    images = np.random.default_rng(0).integers(0, 256, (2, 90, 70, 3), "uint8")
    as_floats, _ = layer(images.astype("float32"))
    as_bytes, _ = layer(images)
    np.testing.assert_array_equal(to_numpy(as_bytes), to_numpy(as_floats))


def test_min_size_gives_the_whole_image():
    layer = LocalizationModule((5, 4), threshold=0.95, min_size=1.0)
    layer.enable()
    boxes = to_numpy(layer(IMAGES)[1])
    np.testing.assert_array_equal(boxes, [[[0, 0, 1, 1]]] * 2)


@pytest.mark.parametrize(("size", "acts"), [(14, True), (70, False)])
def test_min_size_in_pixels_is_of_the_image_that_comes(size, acts):
    layer = LocalizationModule((7, 7), threshold=1.0, min_size=10)
    layer.enable()
    image = np.zeros((1, size, size, 3), "float32")
    image[:, size // 2 :, size // 2 :] = 255.0
    heatmap, boxes = layer(image)
    boxes = to_numpy(boxes[:, 0])
    tight = to_numpy(heatmap_to_box(minmax_normalize(heatmap), 1.0))
    sides = size * (tight[:, 2:] - tight[:, :2])
    assert (sides.min() < 9.9) == acts  # one cell is 2 pixels, or 10
    np.testing.assert_allclose(boxes, [[0, 0, 1, 1]] if acts else tight)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_any_stem_of_stride_4(padding):
    """A stem that does not pad leaves fewer cells; the size is the same."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(5, 3, strides=2, padding=padding)(image)
    x = keras.layers.Conv2D(7, 3, strides=2, padding=padding)(x)
    layer = LocalizationModule((6, 5), stem=keras.Model(image, x))
    heatmap, boxes = layer(IMAGES)
    assert heatmap.shape == (2, 6, 5)
    assert boxes.shape == (2, 1, 4)
    again = LocalizationModule.from_config(layer.get_config())
    again(IMAGES)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(to_numpy(again(IMAGES)[0]), to_numpy(heatmap))


def test_paper_size():
    """64x64 pixels make a 16x16 map, and that one of 14x14."""
    assert LocalizationModule().working_size == (64, 64)


def test_unknown_height_and_width():
    inputs = keras.Input((None, None, 3))
    layer = LocalizationModule((5, 4), enabled=True)
    model = keras.Model(inputs, layer(inputs))
    for found, expected in zip(
        model.predict(IMAGES, verbose=0), layer(IMAGES), strict=True
    ):
        np.testing.assert_allclose(found, to_numpy(expected), atol=1e-5)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"`threshold` must be between"):
        LocalizationModule(threshold=-0.1)
    with pytest.raises(ValueError, match=r"`output_size` must be a pair"):
        LocalizationModule(14.0)
    with pytest.raises(ValueError, match="`images` must have 4 axes"):
        LocalizationModule()(IMAGES[0])


def test_one_integer_is_a_square():
    assert LocalizationModule(14).output_size == (14, 14)
