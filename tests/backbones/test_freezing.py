"""Frozen batch normalisation stays put in `fit`; trained one moves."""

import keras
import numpy as np
import pytest
from keras import layers
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc import backbones
from tests import hub_networks, tiny


def composite():
    """Batch normalisation at the top, in a model, and in a layer."""
    inner_images = keras.Input((None, None, 5))
    x = layers.BatchNormalization(name="in_model")(inner_images)
    inner = keras.Model(inner_images, x)
    images = keras.Input((None, None, 3))
    x = layers.Conv2D(5, 4, 4, name="convolution")(images)
    x = layers.BatchNormalization(name="at_top", momentum=0.999)(x)
    x = layers.TimeDistributed(layers.BatchNormalization(name="in_layer"))(x)
    return keras.Model(images, inner(x), name="composite")


def batch_norms(model):
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, layers.BatchNormalization)
    ]


def fit_one_epoch(backbone):
    images = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(backbone(images))
    model = keras.Model(images, layers.Dense(2)(x))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    pixels = np.random.default_rng(11).uniform(0, 255, (6, 8, 8, 3))
    model.fit(pixels, np.array([0, 1] * 3), batch_size=3, verbose=0)


@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_moving_statistics_in_fit(batch_norm):
    backbone = backbones.build(composite(), taps=(4,), batch_norm=batch_norm)
    assert len(batch_norms(backbone)) == 3
    kernel = backbone.get_layer("convolution").get_weights()[0]
    before = [layer.get_weights() for layer in batch_norms(backbone)]
    fit_one_epoch(backbone)
    after = [layer.get_weights() for layer in batch_norms(backbone)]
    for old, new in zip(before, after, strict=True):
        moved = [np.any(a != b) for a, b in zip(old, new, strict=True)]
        assert moved == [batch_norm == "train"] * 4
    assert np.any(kernel != backbone.get_layer("convolution").get_weights()[0])


def test_train_sets_the_momentum():
    model = backbones.build(
        composite(), taps=(4,), batch_norm="train", batch_norm_momentum=0.8
    )
    assert [layer.momentum for layer in batch_norms(model)] == [0.8] * 3


def test_frozen_leaves_the_momentum():
    model = backbones.build(composite(), taps=(4,))
    assert model.get_layer("at_top").momentum == 0.999


def test_set_trainable_keeps_batch_norm_frozen():
    model = backbones.build(composite(), taps=(4,))
    backbones.set_trainable(model, False)
    assert not model.trainable_weights
    backbones.set_trainable(model, True)
    assert not any(layer.trainable for layer in batch_norms(model))
    convolution = model.get_layer("convolution")
    assert [weight.path for weight in model.trainable_weights] == [
        weight.path for weight in convolution.weights
    ]


def test_set_trainable_thaws_batch_norm_on_request():
    model = backbones.build(composite(), taps=(4,))
    assert model.trainable  # its own flag: its frozen layers do not show
    backbones.set_trainable(model, True, batch_norm="train")
    assert all(layer.trainable for layer in batch_norms(model))


def test_set_trainable_checks_its_choice():
    with pytest.raises(ValueError, match=r"'frozen', 'train'.*'thawed'"):
        backbones.set_trainable(composite(), True, batch_norm="thawed")


def trained(model):
    """Names of the layers that have a weight which trains."""
    return [layer.name for layer in model.layers if layer.trainable_weights]


def plain(depth=3):
    """Three blocks of a convolution and batch normalisation."""
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 4, strides=4, name="stem")(image)
    for number in range(1, depth + 1):
        x = layers.Conv2D(4, 1, name=f"block_{number}_conv")(x)
        x = layers.BatchNormalization(name=f"block_{number}_norm")(x)
    return keras.Model(image, x, name="plain")


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        ("all", ["stem", "block_1", "block_2", "block_3"]),
        ("none", []),
        ("last:1", ["block_3"]),
        ("last:3", ["block_1", "block_2", "block_3"]),
    ],
)
@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_blocks_that_train(trainable, expected, batch_norm, tmp_path):
    model = backbones.build(
        plain(), taps=(4,), trainable=trainable, batch_norm=batch_norm
    )
    kinds = ("conv", "norm") if batch_norm == "train" else ("conv",)
    names = [
        name
        for block in expected
        for name in (
            [f"{block}_{k}" for k in kinds] if "_" in block else [block]
        )
    ]
    assert trained(model) == names
    assert trained(backbones.clone(model, "copy")) == names
    assert trained(backbones.clone_batch_norm(model, "copy")) == names
    assert trained(keras.models.clone_model(model)) == names
    model.save(tmp_path / "model.keras")
    assert trained(keras.models.load_model(tmp_path / "model.keras")) == names


def test_moving_statistics_of_frozen_blocks_stay():
    backbone = backbones.build(
        plain(), taps=(4,), trainable="last:1", batch_norm="train"
    )
    before = [to_numpy(weight) + 0 for weight in backbone.weights]
    fit_one_epoch(backbone)
    moved = {
        weight.path
        for weight, old in zip(backbone.weights, before, strict=True)
        if np.any(to_numpy(weight) != old)
    }
    names = ("kernel", "bias", "gamma", "beta", "moving_mean")
    assert moved == {
        *(f"block_3_conv/{name}" for name in names[:2]),
        *(f"block_3_norm/{name}" for name in (*names[2:], "moving_variance")),
    }


def test_a_second_build_replaces_the_first():
    """The layers are shared, so what the first call froze must not stay."""
    network = plain()
    network.get_layer("block_3_conv").trainable = False  # by the user
    for trainable, expected in (
        ("none", []),
        ("last:2", ["block_2_conv"]),
        ("all", ["stem", "block_1_conv", "block_2_conv"]),
        ("last:1", []),
    ):
        model = backbones.build(network, taps=(4,), trainable=trainable)
        assert trained(model) == expected


def test_layers_in_layers_and_models():
    model = backbones.build(composite(), taps=(4,), trainable="none")
    assert not model.trainable_weights
    backbones.set_trainable(model, True)  # by hand, whatever it was built for
    assert trained(model) == ["convolution"]


def test_more_blocks_than_there_are():
    with pytest.raises(ValueError, match=r"'plain' has 3 blocks.*'last:4'"):
        backbones.build(plain(), taps=(4,), trainable="last:4")


@pytest.mark.parametrize(
    ("trainable", "error"),
    [
        ("last:0", ValueError),
        ("last", ValueError),
        ("last:-1", ValueError),
        ("last:two", ValueError),
        ("frozen", ValueError),
        (False, TypeError),
        (3, TypeError),
        (None, TypeError),
    ],
)
def test_checks_what_trains(trainable, error):
    with pytest.raises(error, match=r'"last:N".*Received: trainable='):
        backbones.build(plain(), taps=(4,), trainable=trainable)


def test_a_copied_stem_learns_whatever_is_frozen():
    model = backbones.build(
        tiny.backbone(), taps=(8,), trainable="none", batch_norm="train"
    )
    stem = backbones.clone_early_layers(model, 4)
    assert len(stem.trainable_weights) == 2 * (2 + 2)


@pytest.mark.filterwarnings("ignore")  # KerasHub's
@pytest.mark.parametrize("family", ["ViT", "Swin", "HGNetV2"])
def test_networks_of_keras_hub(family, tmp_path):
    """Kept as one layer, whose config must say what is frozen inside."""
    pytest.importorskip("keras_hub")
    model = backbones.build(
        hub_networks.network(family),
        taps=(32,),
        preprocessing="imagenet",
        trainable="last:1",
    )
    names = [weight.path for weight in model.trainable_weights]
    assert names
    assert len(names) < len(model.weights) / 2
    learns = [weight.trainable for weight in model.weights]
    model.save(tmp_path / "model.keras")
    for other in (
        backbones.clone(model, "copy"),
        keras.models.load_model(tmp_path / "model.keras"),
    ):
        # Not their paths: a network may name what is inside it anew.
        assert [weight.trainable for weight in other.weights] == learns
