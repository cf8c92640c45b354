import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import AttentionCenterLoss
from tests.gradients import gradient
from tests.tolerances import TOLERANCES
from tests.two_replicas import check_answer

RNG = np.random.default_rng(0)
PARTS = RNG.normal(size=(5, 3, 7)).astype("float32")
LABELS = np.array([0, 2, 0, 3, 2], "int32")  # two classes come twice


def reference_loss(centers, parts, labels, normalize=False):
    losses = []
    for f, label in zip(parts, labels, strict=True):
        center = centers[label]
        if normalize and np.any(center):
            center = center / np.sqrt(np.sum(center**2))
        total = 0.0
        for m, c in np.ndindex(f.shape):
            total += (f[m, c] - center[m, c]) ** 2
        losses.append(total)
    return losses


def reference_centers(centers, parts, labels, rate):
    """Equation 3 once for each image, at the mean of its class."""
    centers = centers.astype("float64")
    for label in labels:
        mean = parts[labels == label].mean(0)
        centers[label] = (1 - rate) * centers[label] + rate * mean
    return centers


@pytest.mark.parametrize("normalize", [False, True])
def test_loss_and_centers_are_equations_2_and_3(normalize):
    layer = AttentionCenterLoss(5, rate=0.3, normalize=normalize)
    centers = np.zeros((5, 3, 7))
    for _ in range(3):
        losses = layer(PARTS, LABELS, training=True)
        # The loss is that of the centres before they move.
        np.testing.assert_allclose(
            to_numpy(losses),
            reference_loss(centers, PARTS, LABELS, normalize),
            rtol=1e-5,
        )
        centers = reference_centers(centers, PARTS, LABELS, 0.3)
        np.testing.assert_allclose(
            to_numpy(layer.centers), centers, **TOLERANCES["float32"]
        )


def test_first_loss_is_the_squared_length():
    losses = to_numpy(AttentionCenterLoss(5, normalize=True)(PARTS, LABELS))
    np.testing.assert_allclose(losses, np.sum(PARTS**2, (1, 2)), rtol=1e-5)


def test_one_image_moves_one_center():
    layer = AttentionCenterLoss(5, rate=0.05)
    layer(PARTS[:1], LABELS[1:2], training=True)
    expected = np.zeros((5, 3, 7))
    expected[2] = 0.05 * PARTS[0]
    np.testing.assert_allclose(
        to_numpy(layer.centers), expected, **TOLERANCES["float32"]
    )


def test_centers_stay_outside_training():
    layer = AttentionCenterLoss(5)
    first = to_numpy(layer(PARTS, LABELS))
    second = to_numpy(layer(PARTS, LABELS, training=False))
    np.testing.assert_array_equal(to_numpy(layer.centers), 0.0)
    np.testing.assert_array_equal(first, second)


def test_order_of_images_does_not_matter():
    order = RNG.permutation(5)
    layers = [AttentionCenterLoss(5, rate=0.3) for _ in range(2)]
    losses = to_numpy(layers[0](PARTS, LABELS, training=True))
    shuffled = layers[1](PARTS[order], LABELS[order], training=True)
    np.testing.assert_allclose(to_numpy(shuffled), losses[order], rtol=1e-5)
    np.testing.assert_allclose(
        *(to_numpy(layer.centers) for layer in layers), **TOLERANCES["float32"]
    )


def test_gradient_is_twice_the_difference_to_the_old_center():
    layer = AttentionCenterLoss(5)
    layer.build(PARTS.shape)
    centers = RNG.normal(size=(5, 3, 7)).astype("float32")
    layer.set_weights([centers])

    def total(parts):
        return keras.ops.sum(layer(parts, LABELS))

    (found,) = gradient(total, PARTS)
    expected = 2 * (PARTS - centers[LABELS])
    np.testing.assert_allclose(found, expected, **TOLERANCES["float32"])
    assert not layer.trainable_weights


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_small_steps_count_under_half_precision(policy):
    """1 + 0.001 is 1 in bfloat16: centres there would stand still."""
    layer = AttentionCenterLoss(5, rate=0.001, dtype=policy)
    layer.build(PARTS.shape)
    layer.set_weights([np.ones((5, 3, 7), "float32")])
    layer(0 * PARTS[:1] + 2, LABELS[:1], training=True)
    np.testing.assert_allclose(
        to_numpy(layer.centers)[0], 1.001, **TOLERANCES["float32"]
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_labels_given_as_floats_stay_what_they_are(policy):
    """Half precision has no 2049: the row of another class would move."""
    layer = AttentionCenterLoss(2_050, dtype=policy)
    layer(PARTS[:1], np.float32([2_049]), training=True)
    moved = np.flatnonzero(to_numpy(layer.centers).any(axis=(1, 2)))
    assert moved.tolist() == [2_049]


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`num_classes` must be at least 1"):
        AttentionCenterLoss(0)
    with pytest.raises(ValueError, match="`rate` must be between 0"):
        AttentionCenterLoss(5, rate=2.0)
    with pytest.raises(ValueError, match="`part_features` must have 3 axes"):
        AttentionCenterLoss(5)(PARTS[0], LABELS)
    with pytest.raises(ValueError, match="`labels` must have 1 axes"):
        AttentionCenterLoss(5)(PARTS, LABELS[:, None])


TWO_REPLICAS = """
from keras_fgvc.layers import AttentionCenterLoss
rng = np.random.default_rng(0)
x = rng.normal(size=(24, 2, 5)).astype("float32")
y = rng.integers(0, 4, 24)
results = []
for strategy in (one, both):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        parts, labels = keras.Input((2, 5)), keras.Input((), dtype="int32")
        dense = keras.layers.Dense(3)
        loss = AttentionCenterLoss(4, rate=0.2)(dense(parts), labels)
        model = keras.Model([parts, labels], loss[:, None])
        model.compile(keras.optimizers.SGD(0.1), loss="mae")
    data = tf.data.Dataset.from_tensor_slices(((x, y), np.zeros((24, 1))))
    model.fit(data.batch(8), epochs=2, verbose=0, shuffle=False)
    results.append(model.get_weights())
for a, b in zip(*results, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
assert np.abs(results[0][-1]).max() > 0.1
print("equal")
"""


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute"
)
def test_two_replicas_equal_one_device_with_the_joined_batch():
    check_answer(TWO_REPLICAS, "equal")


UNKNOWN = [-1, 5, 2**31 - 1, -(2**31)]


@pytest.mark.parametrize("wrong", [*UNKNOWN, 0.5, float("nan"), 2.0**32, 1e30])
def test_labels_of_no_class_move_nothing_and_have_no_loss(wrong):
    kind = "float64" if isinstance(wrong, float) else "int64"
    labels = LABELS.astype(kind)
    labels[[1, 3]] = wrong
    known = np.array([True, False, True, False, True])
    layer, other = AttentionCenterLoss(5), AttentionCenterLoss(5)
    for _ in range(2):
        losses = to_numpy(layer(PARTS, labels, training=True))
        others = other(PARTS[known], labels[known], training=True)
        np.testing.assert_allclose(losses[known], to_numpy(others), rtol=1e-6)
        assert np.isnan(losses[~known]).all()
        np.testing.assert_allclose(
            to_numpy(layer.centers), to_numpy(other.centers), rtol=1e-6
        )
    before = to_numpy(layer.centers).copy()
    layer(PARTS, np.full_like(labels, wrong), training=True)
    np.testing.assert_array_equal(to_numpy(layer.centers), before)
