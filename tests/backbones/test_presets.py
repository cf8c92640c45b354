import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc import backbones
from tests import hub_networks, tiny

# KerasHub warns while it makes some of its networks.
pytestmark = pytest.mark.filterwarnings("ignore")

IMAGES = np.random.default_rng(4).uniform(0, 255, (2, 64, 64, 3))
IMAGES = IMAGES.astype("float32")


def _plain():
    image = keras.Input((None, None, 3))
    return keras.Model(image, keras.layers.AveragePooling2D(4)(image))


def _means(model):
    return ops.convert_to_numpy(model(IMAGES)).mean(axis=(0, 1, 2))


def test_preprocessing_stands_before_a_model_of_the_users():
    pixels = IMAGES.mean(axis=(0, 1, 2))
    expected = {
        "none": pixels,
        "own": pixels,
        "tf": pixels / 127.5 - 1,
        "imagenet": (pixels / 255 - [0.485, 0.456, 0.406])
        / [0.229, 0.224, 0.225],
    }
    for name, means in expected.items():
        model = backbones.build(_plain(), taps=(4,), preprocessing=name)
        np.testing.assert_allclose(_means(model), means, rtol=1e-4, atol=1e-4)
    for function in (lambda x: x / 2, keras.layers.Rescaling(0.5)):
        model = backbones.build(_plain(), taps=(4,), preprocessing=function)
        np.testing.assert_allclose(_means(model), pixels / 2, rtol=1e-4)


def test_preprocessing_that_is_unknown_or_of_a_name_is_refused():
    with pytest.raises(ValueError, match="`preprocessing` must be one of"):
        backbones.build(_plain(), taps=(4,), preprocessing="imagnet")
    with pytest.raises(ValueError, match="named backbone brings its own"):
        backbones.build("resnet50", weights=None, preprocessing="tf")


def test_layers_of_a_model_of_the_users_are_shared():
    network = tiny.backbone()
    model = backbones.build(network, taps=(8,), preprocessing="tf")
    assert model.weights[0] is network.weights[0]
    dense = backbones.build(
        keras.applications.MobileNetV2(
            include_top=False, weights=None, input_shape=(None, None, 3)
        ),
        preprocessing="tf",
        output_stride=16,
    )
    assert dense(IMAGES).shape[1:3] == (4, 4)


@pytest.mark.parametrize("family", ["ViT", "ResNet"])
def test_a_keras_hub_network_without_preprocessing_warns(family):
    pytest.importorskip("keras_hub")
    network = hub_networks.network(family)
    with pytest.warns(UserWarning, match="`preprocessing` was not given"):
        backbones.build(network)
    backbones.build(network, preprocessing="none")  # said, so no warning


@pytest.mark.parametrize("family", ["DINOv2", "ResNet"])
def test_a_preset_brings_its_preprocessing(family, tmp_path):
    keras_hub = pytest.importorskip("keras_hub")
    folder = str(tmp_path / "preset")
    network = hub_networks.network(family)
    network.save_to_preset(folder)
    with pytest.warns(UserWarning, match="`preprocessing` was not given"):
        backbones.build(folder)  # saved without an image converter
    kind = {"DINOv2": "DINOV2", "ResNet": "ResNet"}[family]
    converter = getattr(keras_hub.layers, f"{kind}ImageConverter")(
        image_size=(64, 64), scale=[0.1, 0.2, 0.3], offset=[-1.0, -2.0, -3.0]
    )
    converter.save_to_preset(folder)
    model = backbones.build(folder, taps=(16,))
    pixels = IMAGES * [0.1, 0.2, 0.3] + [-1.0, -2.0, -3.0]
    plain = backbones.build(network, taps=(16,), preprocessing="none")
    np.testing.assert_allclose(
        ops.convert_to_numpy(model(IMAGES)),
        ops.convert_to_numpy(plain(pixels.astype("float32"))),
        atol=1e-4,
    )
    random = backbones.build(folder, taps=(16,), weights=None)
    assert not np.allclose(model.get_weights()[0], random.get_weights()[0])


def test_a_preset_that_is_none_is_refused(tmp_path):
    pytest.importorskip("keras_hub")
    for backbone in ("hub:no_such_preset", str(tmp_path)):
        with pytest.raises(ValueError, match="must be a preset of KerasHub"):
            backbones.build(backbone)


def test_a_preset_without_keras_hub(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "keras_hub", None)
    with pytest.raises(
        ImportError, match=r"'hub:dinov2_small' needs .*\[hub\]"
    ):
        backbones.build("hub:dinov2_small")
