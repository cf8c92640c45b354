import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import GlobalKMaxPooling
from tests.tolerances import TOLERANCES

FEATURES = np.random.default_rng(0).normal(size=(2, 3, 5, 7)).astype("float32")


def sorted_values():
    return -np.sort(-FEATURES.reshape(2, 15, 7), axis=1)


def test_limits_are_max_and_average_pooling():
    for k, pooling in (
        (1, keras.layers.GlobalMaxPooling2D()),
        (15, keras.layers.GlobalAveragePooling2D()),
    ):
        np.testing.assert_allclose(
            to_numpy(GlobalKMaxPooling(k)(FEATURES)),
            to_numpy(pooling(FEATURES)),
            **TOLERANCES["float32"],
        )


def test_rank_weights_start_at_equation_3_and_are_equation_4():
    layer = GlobalKMaxPooling(3, weighted=True)
    top = sorted_values()[:, :3]
    np.testing.assert_allclose(
        to_numpy(layer(FEATURES)), top.mean(1), **TOLERANCES["float32"]
    )
    weights = np.float32([0.5, -2.0, 3.0])
    layer.set_weights([weights])
    np.testing.assert_allclose(
        to_numpy(layer(FEATURES)),
        (top * weights[:, None]).sum(1) / 3,
        **TOLERANCES["float32"],
    )


def test_height_and_width_may_be_unknown():
    inputs = keras.Input((None, None, 7))
    model = keras.Model(inputs, GlobalKMaxPooling(3)(inputs))
    np.testing.assert_allclose(
        model.predict(FEATURES, verbose=0),
        sorted_values()[:, :3].mean(1),
        **TOLERANCES["float32"],
    )


def test_k_too_large_is_told_when_the_model_is_built():
    with pytest.raises(
        ValueError,
        match=r"`k` must be between 1 and height \* width \(15\)\. "
        r"Received: k=16 for input shape \(None, 3, 5, 7\)",
    ):
        GlobalKMaxPooling(16)(keras.Input((3, 5, 7)))


def test_wrong_arguments():
    with pytest.raises(TypeError, match=r"`k` must be an integer.*k=2\.5"):
        GlobalKMaxPooling(2.5)
    with pytest.raises(ValueError, match="`k` must be at least 1"):
        GlobalKMaxPooling(0)
    with pytest.raises(ValueError, match="`inputs` must have 4 axes"):
        GlobalKMaxPooling(2)(keras.Input((5, 7)))
