import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import SpatialSoftmaxAttention
from tests.tolerances import TOLERANCES

FEATURES = np.random.default_rng(0).normal(size=(2, 3, 5, 7)).astype("float32")


def reference(features, kernel, bias, mask):
    """Equations 1, 2 and the sum (or mean) of 5, place by place."""
    batch, height, width, channels = features.shape
    heads = kernel.shape[-1]
    masks = np.zeros((batch, height, width, heads))
    attended = np.zeros((batch, heads, channels))
    for b in range(batch):
        for k in range(heads):
            for y in range(height):
                for x in range(width):
                    score = sum(
                        kernel[0, 0, c, k] * features[b, y, x, c]
                        for c in range(channels)
                    )
                    masks[b, y, x, k] = np.exp(score + bias[k])
            if mask == "softmax":
                masks[b, ..., k] /= masks[b, ..., k].sum()
            else:
                masks[b, ..., k] /= 1 + masks[b, ..., k]
            masked = masks[b, ..., k, None] * features[b]
            attended[b, k] = masked.sum(axis=(0, 1))
    return attended / (1 if mask == "softmax" else height * width), masks


@pytest.mark.parametrize("mask", ["softmax", "sigmoid"])
def test_matches_equations_1_and_2(mask):
    layer = SpatialSoftmaxAttention(num_heads=4, mask=mask)
    layer(FEATURES)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    kernel, *bias = layer.get_weights()
    attended, masks = layer(FEATURES, return_masks=True)
    bias = bias[0] if bias else np.zeros(4)
    expected = reference(FEATURES, kernel, bias, mask)
    for found, wanted in zip((attended, masks), expected, strict=True):
        np.testing.assert_allclose(
            to_numpy(found), wanted, **TOLERANCES["float32"]
        )


def test_equal_scores_are_average_pooling():
    layer = SpatialSoftmaxAttention(num_heads=3, kernel_initializer="zeros")
    pooled = keras.layers.GlobalAveragePooling2D()(FEATURES)
    np.testing.assert_allclose(
        to_numpy(layer(FEATURES)),
        np.repeat(to_numpy(pooled)[:, None], 3, axis=1),
        **TOLERANCES["float32"],
    )


def test_heads_that_start_flat_come_apart():
    layer = SpatialSoftmaxAttention(num_heads=2, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((3, 5, 7)), layer])
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    model.fit(FEATURES, np.ones((2, 1)), verbose=0)
    kernel = to_numpy(layer.scores.kernel)[0, 0]
    assert np.abs(kernel[:, 0] - kernel[:, 1]).max() > 1e-4


def test_initializers_survive_the_config():
    initializer = keras.initializers.RandomUniform(0.0, 0.5, seed=3)
    layer = SpatialSoftmaxAttention(kernel_initializer=initializer)
    layer.build(FEATURES.shape)
    again = SpatialSoftmaxAttention.from_config(layer.get_config())
    again.build(FEATURES.shape)
    np.testing.assert_array_equal(
        to_numpy(again.scores.kernel), to_numpy(layer.scores.kernel)
    )


def test_a_softmax_mask_ignores_where_the_features_stand():
    layer = SpatialSoftmaxAttention(num_heads=2)
    expected = to_numpy(layer(FEATURES))
    order = np.random.default_rng(2).permutation(15)
    moved = FEATURES.reshape(2, 15, 7)[:, order].reshape(FEATURES.shape)
    np.testing.assert_allclose(
        to_numpy(layer(moved)), expected, **TOLERANCES["float32"]
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_peaked_mask_on_a_large_map_is_finite_in_half_precision(policy):
    """The softmax times 256 x 256 places is above float16's 65,504."""
    features = np.zeros((1, 256, 256, 1), "float32")
    features[0, 3, 5] = 50.0
    layer = SpatialSoftmaxAttention(1, kernel_size=1, dtype=policy)
    layer.build(features.shape)
    layer.set_weights([np.ones((1, 1, 1, 1), "float32")])
    np.testing.assert_allclose(to_numpy(layer(features)), 50.0, rtol=1e-2)


def test_diversity_is_a_loss_in_training_only():
    layer = SpatialSoftmaxAttention(num_heads=2, diversity_weight=0.25)
    _, masks = layer(FEATURES, return_masks=True)
    assert layer.losses == []
    layer(FEATURES, training=True)
    masks = to_numpy(masks).reshape(2, 15, 2)
    products = (masks[..., 0] * masks[..., 1]).sum(axis=1)
    expected = 0.25 * np.mean(2 * products**2)
    np.testing.assert_allclose(
        to_numpy(layer.losses[0]), expected, **TOLERANCES["float32"]
    )


@pytest.mark.parametrize(
    "options", [{"diversity_weight": 0.0, "num_heads": 2}, {"num_heads": 1}]
)
def test_no_loss_without_weight_or_with_one_head(options):
    layer = SpatialSoftmaxAttention(**options)
    layer(FEATURES, training=True)
    assert layer.losses == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "`num_heads` must be at least 1"),
        ({"kernel_size": 0}, "`kernel_size` must be at least 1"),
        ({"mask": "hard"}, "`mask` must be one of 'softmax', 'sigmoid'"),
        ({"diversity_weight": -1.0}, "`diversity_weight` must be between"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        SpatialSoftmaxAttention(**options)


def test_wrong_rank():
    with pytest.raises(ValueError, match="`features` must have 4 axes"):
        SpatialSoftmaxAttention()(FEATURES[0])
