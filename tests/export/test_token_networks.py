"""Heads on a DINOv2's grid of patches, served by TensorFlow alone."""

import keras
import numpy as np
import pytest

from keras_fgvc import export
from keras_fgvc.models import Coarse2Fine, ELoPE, PainlessAttention
from tests.export.conftest import NAMES, served_alone

keras_hub = pytest.importorskip("keras_hub")
# KerasHub warns while it makes some of its networks.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SIZE = 224
HEADS = {
    "k-max pooling": (
        ELoPE,
        {"image_size": SIZE, "localize": False, "tap": 16},
    ),
    "bilinear attention": (Coarse2Fine, {"image_size": SIZE, "num_maps": 4}),
    "mask heads": (PainlessAttention, {"taps": ("block_1", 16), "tap": 16}),
}


def dinov2():
    """As DINOv2-S sees images: 16 x 16 patches, of positions for 37 x 37."""
    return keras_hub.models.DINOV2Backbone(
        14,
        2,
        48,
        6,
        96,
        num_register_tokens=4,
        image_shape=(SIZE, SIZE, 3),
        position_embedding_shape=(518, 518),
    )


@pytest.mark.parametrize("head", HEADS)
def test_a_process_with_tensorflow_alone(head, tmp_path):
    keras.utils.set_random_seed(5)
    method, arguments = HEADS[head]
    model = method(dinov2(), 3, preprocessing="imagenet", **arguments)
    rng = np.random.default_rng(6)
    images = rng.uniform(0, 255, (3, SIZE, SIZE, 3)).astype("float32")
    model.compile(keras.optimizers.SGD(1e-3))
    model.fit(images, np.arange(3), verbose=0)
    maps = keras.tree.flatten(model.features(images))
    assert {tuple(each.shape[1:3]) for each in maps} == {(16, 16)}
    path = export.export_saved_model(
        model, tmp_path / "birds" / "1", class_names=NAMES, load_size=SIZE
    )
    found = served_alone(path, images, tmp_path)
    expected = model.predict(images, verbose=0)
    assert np.ptp(expected["probabilities"], axis=0).max() > 1e-3
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, rtol=1e-5)
