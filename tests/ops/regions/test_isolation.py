import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import isolate_boxes
from tests.gradients import gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

RNG = np.random.default_rng(3)
IMAGES = RNG.uniform(0, 255, (2, 7, 11, 3)).astype("float32")
NOISE = RNG.normal(0, 64, IMAGES.shape).astype("float32")
BLURRED = RNG.uniform(0, 255, IMAGES.shape).astype("float32")
# The first two overlap, the third stands apart; then three that do not.
BOXES = np.float32(
    [
        [[0, 0, 0.6, 0.5], [0.3, 0.2, 1, 0.7], [0.1, 0.8, 0.4, 1]],
        [[0, 0, 0.5, 0.3], [0.5, 0, 1, 0.3], [0.2, 0.5, 0.8, 0.9]],
    ]
)


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def holds(box, y, x):
    return box[0] <= y < box[2] and box[1] <= x < box[3]


def reference(images, boxes, noise, blurred):
    """Each pixel of each view by the first rule that fits."""
    batch, height, width, channels = images.shape
    views = np.zeros((batch, boxes.shape[1], height, width, channels))
    for b, n, i, j in np.ndindex(views.shape[:-1]):
        y, x = (i + 0.5) / height, (j + 0.5) / width
        if holds(boxes[b, n], y, x):
            pixel = images[b, i, j]
        elif any(holds(box, y, x) for box in boxes[b]):
            pixel = images[b, i, j] + noise[b, i, j]
        else:
            pixel = blurred[b, i, j]
        views[b, n, i, j] = np.clip(pixel, 0, 255)
    return views


def test_matches_the_three_rules():
    views = isolate_boxes(IMAGES, BOXES, NOISE, BLURRED)
    expected = reference(IMAGES, BOXES, NOISE, BLURRED)
    assert {0.0, 255.0} < set(expected.ravel())  # the noise is cut off
    np.testing.assert_allclose(
        to_numpy(views), expected, **TOLERANCES["float32"]
    )


def test_the_same_noise_in_each_image():
    noise = NOISE[:1]
    np.testing.assert_allclose(
        to_numpy(isolate_boxes(IMAGES, BOXES, noise, BLURRED)),
        reference(IMAGES, BOXES, np.repeat(noise, 2, axis=0), BLURRED),
        **TOLERANCES["float32"],
    )


def test_one_box_alone_meets_no_noise():
    views = isolate_boxes(IMAGES, BOXES[:, :1], 1000 + NOISE, BLURRED)
    expected = reference(IMAGES, BOXES[:, :1], 0 * NOISE, BLURRED)
    np.testing.assert_allclose(
        to_numpy(views), expected, **TOLERANCES["float32"]
    )


def test_the_whole_image_and_an_empty_box():
    boxes = np.float32(2 * [[[0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5]]])
    whole, none = np.moveaxis(
        to_numpy(isolate_boxes(IMAGES, boxes, NOISE, BLURRED)), 1, 0
    )
    np.testing.assert_array_equal(whole, IMAGES)
    np.testing.assert_array_equal(none, np.clip(IMAGES + NOISE, 0, 255))


def test_boxes_have_no_order():
    views = isolate_boxes(IMAGES, BOXES, NOISE, BLURRED)
    order = [2, 0, 1]
    moved = isolate_boxes(IMAGES, BOXES[:, order], NOISE, BLURRED)
    np.testing.assert_array_equal(to_numpy(moved), to_numpy(views)[:, order])


def test_gradient_reaches_the_pixels_and_not_the_boxes():
    """Each pixel's gradient is the number of views that show it."""
    noise, blurred = np.zeros_like(NOISE), BLURRED

    def total(images, boxes, noise, blurred):
        views = isolate_boxes(images, boxes, noise, blurred)
        # The boxes take part, by nothing: where they reach nothing at all
        # some backends give no gradient.
        return ops.sum(views) + 0.0 * ops.cast(ops.sum(boxes), views.dtype)

    found = gradient(total, IMAGES, BOXES, noise, blurred)
    one = np.ones_like(IMAGES)
    shows = [
        reference(image * one, BOXES, other * one, rest * one).sum(axis=1)
        for image, other, rest in ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    ]
    for slopes, expected in zip(
        found, (shows[0], np.zeros_like(BOXES), *shows[1:]), strict=True
    ):
        np.testing.assert_allclose(slopes, expected, **TOLERANCES["float32"])


def test_integer_images():
    pixels = IMAGES.astype("uint8")
    views = isolate_boxes(pixels, BOXES, NOISE, BLURRED)
    assert ops.dtype(views) == "float32"
    np.testing.assert_allclose(
        to_numpy(views),
        reference(pixels.astype("float32"), BOXES, NOISE, BLURRED),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    views = isolate_boxes(ops.cast(IMAGES, dtype), BOXES, NOISE, BLURRED)
    assert ops.dtype(views) == dtype
    half = to_numpy(ops.cast(IMAGES, dtype))
    np.testing.assert_allclose(
        to_numpy(views),
        reference(half, BOXES, NOISE, BLURRED),
        rtol=TOLERANCES[dtype]["rtol"],
    )


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("jit", [False, True])
def test_unknown_sizes_and_jit(jit):
    import tensorflow as tf

    images = tf.TensorSpec([None, None, None, 3])

    @tf.function(
        autograph=False,
        jit_compile=jit,
        input_signature=[
            images,
            tf.TensorSpec([None, None, 4]),
            images,
            images,
        ],
    )
    def fn(*inputs):
        return isolate_boxes(*inputs)

    np.testing.assert_allclose(
        fn(IMAGES, BOXES, NOISE, BLURRED),
        reference(IMAGES, BOXES, NOISE, BLURRED),
        **TOLERANCES["float32"],
    )


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`images` must have 4 axes"):
        isolate_boxes(IMAGES[0], BOXES, NOISE, BLURRED)
    with pytest.raises(ValueError, match="`boxes` must have shape"):
        isolate_boxes(IMAGES, BOXES[:1], NOISE, BLURRED)
    with pytest.raises(ValueError, match="`boxes` must have shape"):
        isolate_boxes(IMAGES, BOXES[:, 0], NOISE, BLURRED)
    with pytest.raises(ValueError, match="`noise` must have shape"):
        isolate_boxes(IMAGES, BOXES, NOISE[:, :5], BLURRED)
    with pytest.raises(ValueError, match="`blurred` must have shape"):
        isolate_boxes(IMAGES, BOXES, NOISE, BLURRED[:1])
