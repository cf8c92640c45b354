"""Raw pixels inside the model equal preprocess_input outside of it."""

import keras
import numpy as np
import pytest

from keras_fgvc.backbones import preprocessing

MODULES = {
    "caffe": keras.applications.resnet,
    "tf": keras.applications.mobilenet_v2,
    "torch": keras.applications.densenet,
    "included": keras.applications.efficientnet,
}


def preprocessing_model(pixels):
    images = keras.Input((None, None, 3))
    outputs = preprocessing.preprocess(images, pixels)
    return keras.Model(images, keras.layers.Identity()(outputs))


@pytest.mark.parametrize("pixels", MODULES)
def test_equals_keras_applications(pixels):
    images = np.random.default_rng(2).uniform(0, 255, (2, 3, 5, 3))
    images = images.astype("float32")
    expected = MODULES[pixels].preprocess_input(images.copy())
    result = preprocessing_model(pixels)(images)
    result = keras.ops.convert_to_numpy(result)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pixels", MODULES)
def test_uint8_equals_float(pixels):
    images = np.random.default_rng(3).integers(0, 256, (2, 3, 5, 3), "uint8")
    model = preprocessing_model(pixels)
    as_float = keras.ops.convert_to_numpy(model(images.astype("float32")))
    as_bytes = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_array_equal(as_bytes, as_float)


def test_stays_in_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        images = keras.Input((None, None, 3))
        outputs = preprocessing.preprocess(images, "torch")
    finally:
        keras.config.set_dtype_policy("float32")
    assert outputs.dtype == "float32"
