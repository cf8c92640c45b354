"""Dilated backbones: the map is denser, and its old cells are still there."""

import keras
import numpy as np
import pytest

from keras_fgvc import backbones, models
from keras_fgvc.backbones.dilation import dilate
from tests import hub_networks

RNG = np.random.default_rng(0)
# One of each way in which a stride of 32 comes about, and the cells of the
# dilated map that are the network's own; None where branches look at other
# cells (Xception) or nothing was padded before (Inception).
FAMILIES = {
    "resnet50": 0,  # strides in convolutions of one cell
    "resnet50_v2": 0,  # at the end of a stage, beside max pooling
    "wide_resnet50_2": 0,
    "densenet121": 0,  # average pooling
    "mobilenet": 1,  # padded by a layer before
    "mobilenet_v2": 1,
    "mobilenet_v3_small": 1,
    "efficientnet_b0": 1,
    "efficientnet_v2_b0": 1,
    "xception": None,
    "inception_v3": None,
    "inception_resnet_v2": None,
}


def run(model, images):
    return keras.ops.convert_to_numpy(model(images))


def network(name="own"):
    """Four halvings: by convolution, padding, pooling and separably."""
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(4, 3, 2, "same", name="c2")(image)
    x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(x)
    x = keras.layers.DepthwiseConv2D(3, 2, name="c4")(x)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.Conv2D(5, 3, 2, "same", name="c8")(x)
    x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad16")(x)
    x = keras.layers.SeparableConv2D(6, 3, 2, name="c16")(x)
    x = keras.layers.Conv2D(7, 3, padding="same", name="c16_b")(x)
    x = keras.layers.ReLU(name="c16_relu")(x)
    return keras.Model(image, x, name=name)


def test_every_other_cell_is_the_networks_own():
    plain = network()
    dense = dilate(plain, 8)
    images = RNG.uniform(0, 1, (2, 64, 96, 3)).astype("float32")
    before, after = run(plain, images), run(dense, images)
    assert before.shape == (2, 4, 6, 7)
    assert after.shape == (2, 8, 12, 7)
    np.testing.assert_allclose(after[:, 1::2, 1::2], before, atol=1e-5)
    # The cells between are new ones.
    assert np.abs(after[:, ::2, ::2] - before).max() > 0.01


def test_a_constant_map_gives_the_same_numbers():
    """Away from the borders, where zeros are padded."""
    plain = network()
    dense = dilate(plain, 8)
    images = np.full((1, 256, 256, 3), 0.7, "float32")
    before, after = run(plain, images), run(dense, images)
    middle = np.broadcast_to(before[:, 8:9, 8:9], (1, 8, 8, 7))
    np.testing.assert_allclose(after[:, 12:20, 12:20], middle, atol=1e-5)


def test_layers_before_are_shared_and_the_model_is_not_changed():
    plain = network()
    dense = dilate(plain, 8)
    assert dense.get_layer("c8") is plain.get_layer("c8")
    assert dense.get_layer("c16") is not plain.get_layer("c16")
    assert plain.get_layer("c16").strides == (2, 2)
    assert dense.get_layer("c16").dilation_rate == (1, 1)
    assert dense.get_layer("c16_b").dilation_rate == (2, 2)
    assert [w.shape for w in dense.weights] == [w.shape for w in plain.weights]


def test_taps_name_the_maps_by_their_strides_before():
    dense = backbones.build(network(), taps=(8, 16), output_stride=8)
    fine, last = dense.output
    assert [fine.shape[-1], last.shape[-1]] == [5, 7]
    stem = backbones.clone_stem(dense, 16)
    assert stem(np.zeros((1, 32, 32, 3))).shape == (1, 4, 4, 7)
    other = backbones.clone_batch_norm(backbones.clone(dense, "x"), "y")
    assert backbones.clone_stem(other, 16).output.shape[-1] == 7


def test_an_output_stride_that_the_network_has_changes_nothing():
    plain = network()
    dense = dilate(plain, 16)
    images = RNG.uniform(0, 1, (1, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(run(dense, images), run(plain, images))


def test_it_trains_saves_and_loads(tmp_path):
    model = models.Baseline("mobilenet_v2", 3, weights=None, output_stride=16)
    model.compile("sgd")
    images = RNG.uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    model.fit(images, np.array([0, 2]), verbose=0)
    assert model.predict(images, verbose=0)["mean_activation"].shape[1] == 4
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.output_stride == 16
    np.testing.assert_allclose(
        *(m.predict(images, verbose=0)["logits"] for m in (model, loaded)),
        atol=1e-6,
    )


@pytest.mark.parametrize("output_stride", [4, 32, "16", True])
def test_other_strides_are_refused(output_stride):
    with pytest.raises(ValueError, match=r"must be None, 8 or 16\. Received"):
        backbones.build(network(), taps=(16,), output_stride=output_stride)


def test_a_network_kept_whole_says_so():
    image = keras.Input((32, 32, 3))
    tokens = keras.layers.Reshape((-1, 4))(keras.layers.Conv2D(4, 8, 8)(image))
    network = keras.Model(image, tokens, name="patches")
    message = r"'patches': a network of KerasHub or .* is kept whole.*finer"
    with pytest.raises(ValueError, match=message):
        backbones.build(
            network, taps=(8,), preprocessing="none", output_stride=8
        )


@pytest.mark.filterwarnings("ignore")  # of KerasHub
@pytest.mark.parametrize("family", ["ResNet", "MobileNet", "CSPNet"])
def test_a_network_of_keras_hub_says_so(family):
    pytest.importorskip("keras_hub")
    network = hub_networks.network(family)
    with pytest.raises(ValueError, match=r"a network of KerasHub .* is kept"):
        models.Baseline(network, 3, preprocessing="imagenet", output_stride=16)


def test_nested_models_are_refused():
    image = keras.Input((64, 64, 3))
    inner = network(name="inner")
    model = keras.Model(image, inner(image), name="outer")
    with pytest.raises(ValueError, match=r"'outer': its layer 'inner'"):
        dilate(model, 8)


def test_networks_of_other_layers_are_refused():
    model = backbones.build(
        "convnext_tiny", weights=None, taps=(32,), input_shape=(64, 64, 3)
    )
    with pytest.raises(ValueError, match=r"cannot be dilated\. Omit it"):
        dilate(model, 16)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_families(name):
    plain = backbones.build(name, weights=None)
    images = RNG.integers(0, 256, (1, 128, 128, 3))
    before = run(plain, images)
    for output_stride in (16, 8):
        dense = dilate(plain, output_stride)
        after = run(dense, images)
        side = 128 // output_stride
        is_padded = not name.startswith("inception")
        assert (
            after.shape[1] == side if is_padded else side - 3 <= after.shape[1]
        )
        assert after.shape[-1] == before.shape[-1]
        first = FAMILIES[name]
        # A window of pooling grows; two of DenseNet's see other cells then.
        if first is not None and (name, output_stride) != ("densenet121", 8):
            step = 32 // output_stride
            first = first and step - 1
            found = after[:, first::step, first::step]
            difference = np.abs(found - before).max() / np.abs(before).max()
            # The global mean of squeeze and excitation sees other cells.
            assert difference < 0.01, (output_stride, difference)
