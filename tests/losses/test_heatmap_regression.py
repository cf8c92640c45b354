import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.losses import heatmap_regression
from tests.gradients import gradient
from tests.tolerances import TOLERANCES

RNG = np.random.default_rng(0)
HEATMAP = RNG.normal(scale=2, size=(2, 3, 5)).astype("float32")
TARGET = RNG.normal(scale=2, size=(2, 3, 5)).astype("float32")


def reference(heatmap, target):
    losses = []
    for image in range(len(heatmap)):
        total = 0.0
        for row in range(heatmap.shape[1]):
            for column in range(heatmap.shape[2]):
                d = abs(
                    heatmap[image, row, column] - target[image, row, column]
                )
                total += d * d / 2 if d < 1 else d - 0.5
        losses.append(total / heatmap[0].size)
    return losses


def test_against_a_plain_loop():
    np.testing.assert_allclose(
        to_numpy(heatmap_regression(TARGET, HEATMAP)),
        reference(HEATMAP, TARGET),
        **TOLERANCES["float32"],
    )


def test_zero_for_equal_maps_and_target_is_resized():
    constant = np.full((2, 7, 11), 1.5, "float32")
    loss = heatmap_regression(constant, np.full((2, 3, 5), 1.5, "float32"))
    np.testing.assert_allclose(to_numpy(loss), [0, 0], atol=1e-6)


def test_gradient_is_the_clipped_difference_and_spares_the_target():
    def total(heatmap, target):
        return ops.sum(heatmap_regression(target, heatmap))

    found, to_target = gradient(total, HEATMAP, TARGET)
    expected = np.clip(HEATMAP - TARGET, -1, 1) / HEATMAP[0].size
    np.testing.assert_allclose(found, expected, **TOLERANCES["float32"])
    np.testing.assert_array_equal(to_target, np.zeros_like(TARGET))


def test_half_precision_is_computed_in_float32():
    loss = heatmap_regression(TARGET, HEATMAP.astype("float16"))
    assert "float32" in str(loss.dtype)


def test_wrong_shapes():
    with pytest.raises(ValueError, match="`heatmap` must have 3 axes"):
        heatmap_regression(TARGET, HEATMAP[0])
    with pytest.raises(ValueError, match="`target` must have 3 axes"):
        heatmap_regression(TARGET[..., None], HEATMAP)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other graphs are not built"
)
def test_sizes_may_be_unknown_until_it_runs():
    import tensorflow as tf

    unknown = tf.TensorSpec((None, None, None), tf.float32)
    loss = tf.function(heatmap_regression, input_signature=[unknown, unknown])
    larger = RNG.normal(size=(2, 7, 11)).astype("float32")
    small = tf.image.resize(larger[..., None], (3, 5))[..., 0].numpy()
    np.testing.assert_allclose(
        loss(larger, HEATMAP),
        reference(HEATMAP, small),
        **TOLERANCES["float32"],
    )
