import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import gaussian_blur
from tests.gradients import check_gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

IMAGES = np.random.default_rng(3).uniform(size=(2, 5, 7, 3)).astype("float32")


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def reference(images, sigma):
    """Weighted mean of all pixels, weighed by their distance alone."""
    _, height, width, _ = images.shape
    result = np.zeros(images.shape)
    for y in range(height):
        for x in range(width):
            total = 0.0
            for i in range(height):
                for j in range(width):
                    squared = (y - i) ** 2 + (x - j) ** 2
                    weight = np.exp(-squared / (2 * sigma**2))
                    result[:, y, x] += weight * images[:, i, j]
                    total += weight
            result[:, y, x] /= total
    return result


@pytest.mark.parametrize("sigma", [0.5, 1.7, 6.0])
def test_is_the_mean_weighted_by_distance(sigma):
    expected = reference(IMAGES, sigma)
    np.testing.assert_allclose(
        to_numpy(gaussian_blur(IMAGES, sigma)),
        expected,
        **TOLERANCES["float32"],
    )
    tensor = ops.convert_to_tensor(sigma, "float32")
    np.testing.assert_allclose(
        to_numpy(gaussian_blur(IMAGES, tensor)),
        expected,
        **TOLERANCES["float32"],
    )


def test_limits():
    for sigma in (0, 1e-9, 0.01):
        np.testing.assert_array_equal(
            to_numpy(gaussian_blur(IMAGES, sigma)), IMAGES
        )
    mean = IMAGES.mean(axis=(1, 2), keepdims=True)
    for sigma in (1e4, float("inf")):
        np.testing.assert_allclose(
            to_numpy(gaussian_blur(IMAGES, sigma)),
            np.broadcast_to(mean, IMAGES.shape),
            **TOLERANCES["float32"],
        )


def test_borders_do_not_darken():
    white = np.full((1, 11, 13, 3), 255, "uint8")
    blurred = gaussian_blur(white, 3.0)
    assert ops.dtype(blurred) == "float32"
    np.testing.assert_allclose(to_numpy(blurred), 255.0, rtol=1e-5)


def test_a_dot_keeps_its_light_and_gets_its_width():
    dot = np.zeros((1, 41, 53, 1), "float32")
    dot[0, 20, 26] = 100.0
    blurred = to_numpy(gaussian_blur(dot, 2.5))[0, ..., 0]
    np.testing.assert_allclose(blurred.sum(), 100.0, rtol=1e-5)
    rows, columns = np.indices(blurred.shape)
    for distance in (rows - 20, columns - 26):
        variance = (blurred * distance**2).sum() / 100
        np.testing.assert_allclose(variance, 2.5**2, rtol=1e-3)


def test_height_and_width_are_alike():
    turned = np.swapaxes(IMAGES, 1, 2)
    np.testing.assert_allclose(
        to_numpy(gaussian_blur(turned, 1.7)),
        np.swapaxes(to_numpy(gaussian_blur(IMAGES, 1.7)), 1, 2),
        **TOLERANCES["float32"],
    )


def test_gradient():
    weights = np.random.default_rng(1).normal(size=IMAGES.shape)

    def loss(images, sigma):
        blurred = gaussian_blur(images, sigma)
        return ops.sum(blurred * ops.cast(weights, blurred.dtype))

    check_gradient(loss, IMAGES, 1.3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    blurred = gaussian_blur(ops.cast(255 * IMAGES, dtype), 1.7)
    assert ops.dtype(blurred) == dtype
    np.testing.assert_allclose(
        to_numpy(blurred),
        reference(255 * IMAGES, 1.7),
        rtol=TOLERANCES[dtype]["rtol"],
    )


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("jit", [False, True])
def test_unknown_sizes_and_jit(jit):
    import tensorflow as tf

    @tf.function(
        autograph=False,
        jit_compile=jit,
        input_signature=[tf.TensorSpec([None, None, None, 3])],
    )
    def fn(images):
        height = ops.cast(ops.shape(images)[1], "float32")
        return gaussian_blur(images, 0.34 * height)

    np.testing.assert_allclose(
        fn(IMAGES), reference(IMAGES, 1.7), **TOLERANCES["float32"]
    )


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`sigma` must be between 0 and inf"):
        gaussian_blur(IMAGES, -0.5)
    with pytest.raises(ValueError, match="`images` must have 4 axes"):
        gaussian_blur(IMAGES[0], 1.0)
