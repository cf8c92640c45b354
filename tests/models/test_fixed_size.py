"""A backbone of one image size gives models of this size, and says so."""

import keras
import numpy as np
import pytest

from keras_fgvc.models import Baseline, PainlessAttention
from tests import tiny

pytestmark = pytest.mark.compiled
_, LABELS = tiny.images_and_labels(4)
SIZE = 24
IMAGES = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3))
WIDE = np.pad(IMAGES, ((0, 0), (0, 8), (0, 16), (0, 0)))
METHODS = {
    Baseline: {"tap": 8},
    PainlessAttention: {"taps": (4, 8), "tap": 8},
}


def fixed_backbone(size):
    """A layer flattens its map, so that no other size will do."""
    image = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    for filters in (5, 7, 8):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same")(x)
    cells = keras.layers.Reshape(((size // 8) ** 2, 8))(x)
    x = keras.layers.Reshape((size // 8, size // 8, 8))(
        keras.layers.Dense(8)(cells)
    )
    return keras.Model(image, x)


@pytest.mark.parametrize("method", METHODS)
def test_another_size_is_refused_in_one_sentence(method):
    model = method(fixed_backbone(SIZE), 3, **METHODS[method])
    assert model.inputs[0].shape == (None, SIZE, SIZE, 3)
    model.compile("sgd")
    expected = model.predict(IMAGES, verbose=0)["logits"]
    wide = f"{SIZE + 8} x {SIZE + 16}"
    message = rf"^Images must be {SIZE} x {SIZE} pixels.*Received: {wide} pi"
    for call in (
        lambda x: model.predict(x, verbose=0),
        lambda x: model.evaluate(x, LABELS, verbose=0),
        lambda x: model.train_on_batch(x, LABELS),
        lambda x: model.fit(x, LABELS, verbose=0),
        model,
    ):
        with pytest.raises(ValueError, match=message) as caught:
            call(WIDE)
        assert "\n" not in str(caught.value)
    found = model.predict(IMAGES, verbose=0)["logits"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_free_backbone_takes_any_size():
    model = Baseline(tiny.backbone(), 3, tap=8)
    assert model.predict(WIDE, verbose=0)["logits"].shape == (4, 3)
