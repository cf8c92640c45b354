"""Every method computes the same under XLA."""

import keras
import numpy as np
import pytest

from keras_fgvc.models import (
    DAF,
    FCAN,
    Baseline,
    Coarse2Fine,
    ELoPE,
    PainlessAttention,
)
from tests import tiny

SIZED = {"image_size": tiny.SIZE, "tap": 8}
METHODS = {
    "Baseline": (Baseline, {"tap": 8}),
    "ELoPE": (ELoPE, {**SIZED, "embedding_dim": 7}),
    "PainlessAttention": (PainlessAttention, {"taps": (4, 8), "tap": 8}),
    "FCAN": (
        FCAN,
        {
            "image_size": tiny.SIZE,
            "crop_size": 24,
            "part_sizes": (2,),
            "taps": (8, 8),
        },
    ),
    "Coarse2Fine": (Coarse2Fine, {**SIZED, "num_maps": 2}),
    "DAF": (
        DAF,
        {"image_size": tiny.SIZE, "taps": (4, 8), "groups": 11},
    ),
    "WS-DAN": (
        Coarse2Fine,
        {**SIZED, "num_maps": 2, "augment": "crop_drop"},
    ),
}

# In training, the others draw at random, and XLA draws other numbers.
WITHOUT_CHANCE = ("Baseline", "ELoPE", "PainlessAttention")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.compiled,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="about TensorFlow's compiler",
    ),
]


def train(model, images, labels, **options):
    model.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"], **options)
    return model.fit(
        images, labels, batch_size=3, epochs=2, shuffle=False, verbose=0
    ).history["loss"]


@pytest.mark.parametrize("name", METHODS)
def test_jit_compile_predicts_the_same_and_trains(name):
    method, options = METHODS[name]
    images, labels = tiny.images_and_labels()
    images = images.astype("float32")
    model = method(tiny.backbone(), tiny.NUM_CLASSES, **options)
    if name == "ELoPE":
        model.localizer.enable()
    start = model.get_weights()
    model.compile("sgd", run_eagerly=True)
    expected = model.predict(images, verbose=0)
    model.compile("sgd", jit_compile=True)
    for key, value in model.predict(images, verbose=0).items():
        np.testing.assert_allclose(
            value, expected[key], rtol=1e-3, atol=1e-4, err_msg=key
        )
    found = train(model, images, labels, jit_compile=True)
    assert np.all(np.isfinite(found))
    if name in WITHOUT_CHANCE:
        model.set_weights(start)
        losses = train(model, images, labels, run_eagerly=True)
        np.testing.assert_allclose(found, losses, rtol=1e-3)
