import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import ClassMeanEmbeddingLoss
from tests.tolerances import TOLERANCES
from tests.two_replicas import check_answer

RNG = np.random.default_rng(0)
EMBEDDINGS = RNG.normal(size=(5, 7)).astype("float32")
LABELS = np.array([0, 2, 0, 3, 2], "int32")  # two classes come twice


def reference(means, embeddings, labels, rate, weight, margin):
    """Equations 5 to 10, one image and one pair at a time."""
    units = [f / np.sqrt(np.sum(f**2)) for f in embeddings.astype("float64")]
    new = means.astype("float64").copy()
    for c in set(labels.tolist()):
        members = [n for n in range(len(labels)) if labels[n] == c]
        step = sum(means[c] - units[n] for n in members) / (1 + len(members))
        new[c] = means[c] - rate * step
    within = 0.0
    for n in range(len(labels)):
        within += np.sum((units[n] - new[labels[n]]) ** 2)
    within /= 2 * len(labels)
    present = sorted(set(labels.tolist()))
    pairs = [(k, c) for k in present for c in present if k < c]
    between = 0.0
    for k, c in pairs:
        distance = np.sum((new[k] - new[c]) ** 2)
        between += max(margin - distance, 0.0) ** 2
    between *= weight / (4 * max(len(pairs), 1))
    return within + between, new


def test_loss_and_means_are_equations_5_to_10():
    layer = ClassMeanEmbeddingLoss(5, rate=0.4, between_weight=9, margin=0.6)
    means = np.zeros((5, 7), "float32")
    for _ in range(3):
        loss = layer(EMBEDDINGS, LABELS, training=True)
        expected, means = reference(means, EMBEDDINGS, LABELS, 0.4, 9, 0.6)
        np.testing.assert_allclose(to_numpy(loss), expected, rtol=1e-5)
        np.testing.assert_allclose(
            to_numpy(layer.means), means, **TOLERANCES["float32"]
        )


def test_means_stay_outside_training():
    layer = ClassMeanEmbeddingLoss(5)
    first = to_numpy(layer(EMBEDDINGS, LABELS))
    np.testing.assert_array_equal(to_numpy(layer.means), np.zeros((5, 7)))
    second = to_numpy(layer(EMBEDDINGS, LABELS, training=False))
    np.testing.assert_array_equal(first, second)


def test_length_of_embeddings_does_not_matter():
    layer = ClassMeanEmbeddingLoss(5)
    np.testing.assert_allclose(
        to_numpy(layer(EMBEDDINGS, LABELS)),
        to_numpy(layer(EMBEDDINGS * 31, LABELS)),
        rtol=1e-5,
    )


def test_renormalized_means_are_unit_vectors():
    layer = ClassMeanEmbeddingLoss(5, renormalize=True, seed=3)
    layer(EMBEDDINGS, LABELS, training=True)
    lengths = np.linalg.norm(to_numpy(layer.means), axis=1)
    np.testing.assert_allclose(lengths, np.ones(5), rtol=1e-5)
    other = ClassMeanEmbeddingLoss(5, renormalize=True, seed=4)
    other.build((None, 7))
    assert not np.allclose(to_numpy(layer.means), to_numpy(other.means))


def test_one_class_has_no_pair():
    layer = ClassMeanEmbeddingLoss(5, between_weight=100)
    labels = np.zeros(5, "int32")
    expected, _ = reference(
        np.zeros((5, 7)), EMBEDDINGS, labels, 0.5, 0.0, 0.75
    )
    np.testing.assert_allclose(
        to_numpy(layer(EMBEDDINGS, labels)), expected, rtol=1e-5
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_labels_given_as_floats_stay_what_they_are(policy):
    """Half precision has no 2049: the mean of another class would move."""
    layer = ClassMeanEmbeddingLoss(2_050, dtype=policy)
    layer(np.ones((1, 4), "float32"), np.float32([2_049]), training=True)
    moved = np.flatnonzero(to_numpy(layer.means).any(axis=1))
    assert moved.tolist() == [2_049]


def test_zero_embedding_has_a_finite_gradient():
    dense = keras.layers.Dense(7, use_bias=False)
    inputs = keras.Input((3,))
    labels = keras.Input((), dtype="int32")
    loss = ClassMeanEmbeddingLoss(5)(dense(inputs), labels)
    model = keras.Model([inputs, labels], loss + 0.0 * labels[:, None])
    model.compile(keras.optimizers.SGD(1.0), loss="mae")
    images = np.zeros((5, 3), "float32")
    model.fit([images, LABELS], np.zeros((5, 1)), verbose=0)
    assert np.all(np.isfinite(dense.get_weights()[0]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "`num_classes` must be at least 1"),
        ({"num_classes": 5, "rate": 2.0}, "`rate` must be between 0"),
        ({"num_classes": 5, "margin": 5.0}, "`margin` must be between 0"),
        ({"num_classes": 5, "between_weight": -1}, "`between_weight` must"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassMeanEmbeddingLoss(**arguments)


TWO_REPLICAS = """
from keras_fgvc.layers import ClassMeanEmbeddingLoss
rng = np.random.default_rng(0)
x = rng.normal(size=(24, 5)).astype("float32")
y = rng.integers(0, 4, 24)
results = []
for strategy in (one, both):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        images, labels = keras.Input((5,)), keras.Input((), dtype="int32")
        layer = ClassMeanEmbeddingLoss(4)
        dense = keras.layers.Dense(3)
        loss = layer(dense(images), labels)
        model = keras.Model([images, labels], loss + 0.0 * images[:, :1])
        model.compile(keras.optimizers.SGD(0.5), loss="mae")
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


@pytest.mark.parametrize("renormalize", [False, True])
@pytest.mark.parametrize("wrong", [-1, 5, 1000, 0.5, float("nan")])
def test_labels_of_no_class_move_nothing_and_have_no_loss(wrong, renormalize):
    labels = LABELS.astype("float32" if isinstance(wrong, float) else "int32")
    labels[[1, 3]] = wrong
    known = np.array([True, False, True, False, True])
    layer, other = (
        ClassMeanEmbeddingLoss(5, renormalize=renormalize) for _ in range(2)
    )
    other.build((None, 7))
    layer.build((None, 7))
    layer.means.assign(to_numpy(other.means))
    assert np.isnan(to_numpy(layer(EMBEDDINGS, labels, training=True)))
    other(EMBEDDINGS[known], labels[known], training=True)
    np.testing.assert_allclose(
        to_numpy(layer.means), to_numpy(other.means), rtol=1e-5, atol=1e-7
    )
    before = to_numpy(layer.means).copy()
    layer(EMBEDDINGS, np.full_like(labels, wrong), training=True)
    np.testing.assert_array_equal(to_numpy(layer.means), before)
