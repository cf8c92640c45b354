from math import floor

import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import (
    box_masks,
    crop_and_resize,
    roi_align,
    saliency_map,
)
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

# Few channels are gathered; 17 channels go through matrix products, of which
# JAX takes one for a small map and two for the larger.
FORMS = {"gather": (5, 7, 3), "matmul": (5, 7, 17), "two": (29, 31, 17)}
BOXES = np.array(
    [
        [[0.0, 0.0, 1.0, 1.0], [0.11, 0.23, 0.87, 0.71]],
        [[-0.3, 0.4, 0.6, 1.9], [0.7, 0.6, 0.2, 0.9]],  # outside; inverted
    ]
)


def bilinear(feature_map, y, x):
    height, width = feature_map.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = max(y, 0.0), max(x, 0.0)
    y_low, x_low = min(floor(y), height - 1), min(floor(x), width - 1)
    y_high, x_high = min(y_low + 1, height - 1), min(x_low + 1, width - 1)
    y, x = min(y, height - 1.0), min(x, width - 1.0)
    total = 0.0
    for row, row_weight in ((y_low, y_low + 1 - y), (y_high, y - y_low)):
        for column, weight in ((x_low, x_low + 1 - x), (x_high, x - x_low)):
            total += row_weight * weight * feature_map[row, column]
    return total


def reference(features, boxes, output_size, samples):
    """torchvision's roi_align(aligned=True), for normalised boxes."""
    batch, height, width, channels = features.shape
    result = np.zeros((batch, boxes.shape[1], *output_size, channels))
    boxes = boxes * [height, width, height, width] - 0.5
    for b, n, i, j, c in np.ndindex(result.shape):
        y_min, x_min, y_max, x_max = boxes[b, n]
        bin_height = (y_max - y_min) / output_size[0]
        bin_width = (x_max - x_min) / output_size[1]
        for s, t in np.ndindex(samples, samples):
            y = y_min + (i + (s + 0.5) / samples) * bin_height
            x = x_min + (j + (t + 0.5) / samples) * bin_width
            value = bilinear(features[b, :, :, c], y, x)
            result[b, n, i, j, c] += value / samples**2
    return result


def random_features(shape, dtype="float32"):
    return np.random.default_rng(3).normal(size=(2, *shape)).astype(dtype)


def align(features, boxes, output_size, samples=2):
    """roi_align in a compiled graph, as an array."""
    fn = compiled(lambda x, b: roi_align(x, b, output_size, samples))
    result = fn(ops.convert_to_tensor(features), ops.convert_to_tensor(boxes))
    return ops.convert_to_numpy(ops.cast(result, "float32"))


def crop(images, boxes, output_size):
    """crop_and_resize in a compiled graph, as an array."""
    fn = compiled(lambda x, b: crop_and_resize(x, b, output_size))
    boxes = ops.convert_to_tensor(boxes, "float32")
    return ops.convert_to_numpy(fn(ops.convert_to_tensor(images), boxes))


@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_matches_torchvision_loops(form, samples):
    features = random_features(FORMS[form])
    np.testing.assert_allclose(
        align(features, BOXES.astype("float32"), (2, 3), samples),
        reference(features, BOXES, (2, 3), samples),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("channels", [3, 17])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1)])
def test_maps_of_one_cell(shape, channels):
    features = random_features((*shape, channels))
    np.testing.assert_allclose(
        align(features, BOXES.astype("float32"), (2, 3)),
        reference(features, BOXES, (2, 3), 2),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("form", ["gather", "matmul"])
def test_linear_maps_are_sampled_exactly(form):
    height, _, channels = FORMS[form]
    rows = (np.arange(height) + 0.5) / height
    features = np.broadcast_to(rows[None, :, None, None], (1, *FORMS[form]))
    boxes = np.array([[[0.2, 0.3, 0.8, 0.7]]], "float32")
    result = align(features.astype("float32"), boxes, (3, 2))
    expected = np.array([0.3, 0.5, 0.7])[:, None, None]
    expected = np.broadcast_to(expected, (1, 1, 3, 2, channels))
    np.testing.assert_allclose(result, expected, **TOLERANCES["float32"])


@pytest.mark.parametrize("form", ["gather", "matmul"])
def test_gradient_matches_finite_differences(form):
    channels = FORMS[form][2]
    features = random_features((3, 5, channels))[:1]
    upstream = np.random.default_rng(1).normal(size=(1, 4, 2, 3, channels))

    def loss(features, boxes):
        result = roi_align(features, boxes, (2, 3))
        return ops.sum(result * ops.convert_to_tensor(upstream))

    # Off the kinks, where samples meet cells.
    check_gradient(loss, features, BOXES.reshape(1, 4, 4) + 0.013)


@pytest.mark.parametrize("box", [(0.0, 0.0, 1.0, 1.0), (0.75, 0.875, 1.0, 1.0)])
def test_samples_on_cells_have_a_gradient(box):
    # Where a hat function has none: on every cell, and on the last alone.
    features = random_features((4, 8, 17), "float64")[:1]
    size = (4, 8) if box[0] == 0 else (1, 1)
    (result,) = gradient(
        lambda boxes: ops.sum(roi_align(features, boxes, size, 1)),
        np.array([[box]]),
    )
    assert np.all(np.abs(result) > 1e-3)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("form", ["gather", "matmul"])
def test_unknown_shapes(form):
    import tensorflow as tf

    channels = FORMS[form][2]

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, None, None, channels]),
            tf.TensorSpec([None, None, 4]),
        ],
    )
    def fn(features, boxes):
        with tf.GradientTape() as tape:
            tape.watch([features, boxes])
            result = roi_align(features, boxes, (2, 3))
        return result, tape.gradient(result, [features, boxes])

    features, boxes = random_features(FORMS[form]), BOXES.astype("float32")
    result, gradients = fn(features, boxes)
    expected = roi_align(features, boxes, (2, 3))
    np.testing.assert_allclose(result, expected, **TOLERANCES["float32"])
    expected = gradient(
        lambda x, b: ops.sum(roi_align(x, b, (2, 3))), features, boxes
    )
    for ours, other in zip(gradients, expected, strict=True):
        ours = tf.convert_to_tensor(ours)
        np.testing.assert_allclose(ours, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", ["gather", "matmul"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype, form):
    features = random_features(FORMS[form])
    result = roi_align(ops.cast(features, dtype), BOXES, (2, 3))
    assert ops.dtype(result) == dtype
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(result, "float32")),
        reference(features, BOXES, (2, 3), 2),
        **TOLERANCES[dtype],
    )


@pytest.mark.parametrize("channels", [3, 17])
def test_crop_of_the_whole_image_is_the_image(channels):
    images = random_features((11, 13, channels))
    whole = np.array([[0.0, 0.0, 1.0, 1.0]] * 2)
    np.testing.assert_array_equal(crop(images, whole, (11, 13)), images)


def test_crop_takes_whole_pixels():
    images = random_features((10, 20, 3))
    boxes = np.array([[0.2, 0.25, 0.7, 0.75]] * 2)
    np.testing.assert_allclose(
        crop(images, boxes, (5, 10)),
        images[:, 2:7, 5:15],
        **TOLERANCES["float32"],
    )


def test_crop_of_several_boxes():
    images = random_features((11, 13, 3))
    together = crop(images, BOXES, (5, 7))
    assert together.shape == (2, 2, 5, 7, 3)
    for n in range(2):
        alone = crop(images, BOXES[:, n], (5, 7))
        np.testing.assert_allclose(
            together[:, n], alone, **TOLERANCES["float32"]
        )


def test_flipping_the_image_flips_the_crop():
    images = random_features((11, 13, 3))
    y_min, x_min, y_max, x_max = BOXES[:, 1].T
    flipped_boxes = np.stack([y_min, 1 - x_max, y_max, 1 - x_min], axis=-1)
    flipped = crop(images[:, :, ::-1].copy(), flipped_boxes, (5, 7))
    np.testing.assert_allclose(
        flipped[:, :, ::-1],
        crop(images, BOXES[:, 1], (5, 7)),
        **TOLERANCES["float32"],
    )


def test_crop_of_integers_is_float32():
    images = np.random.default_rng(3).integers(0, 256, (2, 11, 13, 3), "uint8")
    result = crop(images, BOXES, (5, 7))
    assert result.dtype == "float32"
    expected = crop(images.astype("float32"), BOXES, (5, 7))
    np.testing.assert_allclose(result, expected, **TOLERANCES["float32"])


def test_wrong_arguments():
    features = np.zeros((2, 5, 7, 3), "float32")
    with pytest.raises(ValueError, match="`output_size` must be a pair"):
        roi_align(features, BOXES, True)
    with pytest.raises(ValueError, match="`samples` must be at least 1"):
        roi_align(features, BOXES, (2, 3), samples=0)
    with pytest.raises(ValueError, match="`features` must have 4 axes"):
        roi_align(features[0], BOXES, (2, 3))
    with pytest.raises(ValueError, match="`boxes` must have shape"):
        roi_align(features, BOXES[0], (2, 3))
    with pytest.raises(ValueError, match="`images` must have 4 axes"):
        crop_and_resize(features[0], BOXES, (2, 3))
    with pytest.raises(ValueError, match="`boxes` must have 2 axes"):
        crop_and_resize(features, BOXES[0, 0], (2, 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda boxes: roi_align(np.zeros((2, 5, 7, 3)), boxes, 2),
        lambda boxes: crop_and_resize(np.zeros((2, 5, 7, 3)), boxes, 2),
        lambda boxes: box_masks(boxes, 5, 7),
        lambda boxes: saliency_map(boxes, 5, 7),
    ],
)
def test_boxes_in_pixels_and_of_five_columns_are_told(call):
    boxes = np.tile(np.float32([[10, 20, 100, 120]]), (2, 3, 1))
    with pytest.raises(ValueError, match=r"fractions.*120.*normalize_boxes"):
        call(boxes)
    call(boxes / 60)  # outside the image, which may be
    with pytest.raises(ValueError, match=r"shape.*\(2, 3, 5\)"):
        call(np.zeros((2, 3, 5), "float32"))


def test_boxes_without_any_are_taken():
    assert box_masks(np.zeros((2, 0, 4)), 5, 7).shape == (2, 0, 5, 7)


@pytest.mark.parametrize("cut", [roi_align, crop_and_resize])
def test_one_integer_is_a_square(cut):
    features = np.random.default_rng(3).random((2, 5, 7, 3), "float32")
    boxes = np.tile(np.float32([[0.1, 0.2, 0.7, 0.9]]), (2, 1, 1))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(cut(features, boxes, 3)),
        ops.convert_to_numpy(cut(features, boxes, (3, 3))),
    )
