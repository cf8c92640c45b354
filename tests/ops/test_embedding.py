import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import (
    between_class_loss,
    updated_class_means,
    within_class_loss,
)
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

CLASSES, DIM = 5, 7
LABELS = np.array([4, 1, 4, 0, 1, 4, 0, 3, 4, 1, 1])  # no image of class 2


def reference_means(means, embeddings, labels, rate):
    """Equations 6 to 8, class by class."""
    updated = means.copy()
    for c in range(len(means)):
        images = [
            f for f, label in zip(embeddings, labels, strict=True) if label == c
        ]
        delta = sum((means[c] - f for f in images), np.zeros(DIM))
        updated[c] = means[c] - rate * delta / (1 + len(images))
    return updated


def reference_between(means, labels, margin, weight):
    """Equation 10, pair by pair."""
    classes = sorted(set(labels.tolist()))
    terms = []
    for i, k in enumerate(classes):
        for c in classes[i + 1 :]:
            distance = sum((means[k][d] - means[c][d]) ** 2 for d in range(DIM))
            terms.append(max(margin - distance, 0.0) ** 2)
    return weight / (4 * len(terms)) * sum(terms) if terms else 0.0


def random_batch():
    generator = np.random.default_rng(5)
    means = generator.normal(size=(CLASSES, DIM)) / 4
    embeddings = generator.normal(size=(len(LABELS), DIM))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return means, embeddings


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_means_match_the_equations(rate):
    means, embeddings = random_batch()
    rows = to_numpy(updated_class_means(means, embeddings, LABELS, rate))
    expected = reference_means(means, embeddings, LABELS, rate)
    np.testing.assert_allclose(rows, expected[LABELS], **TOLERANCES["float32"])


def test_images_of_one_class_get_equal_rows():
    means, embeddings = random_batch()
    rows = to_numpy(updated_class_means(means, embeddings, LABELS, 0.5))
    for c in set(LABELS.tolist()):
        of_class = rows[c == LABELS]
        np.testing.assert_allclose(
            of_class, of_class[:1].repeat(len(of_class), 0), rtol=0, atol=1e-7
        )


def test_order_of_images_does_not_matter():
    means, embeddings = random_batch()
    order = np.random.permutation(len(LABELS))

    def losses(order):
        labels = LABELS[order]
        rows = updated_class_means(means, embeddings[order], labels, 0.5)
        return [
            to_numpy(within_class_loss(embeddings[order], rows)),
            to_numpy(between_class_loss(rows, labels, 0.75, 16.0)),
        ]

    np.testing.assert_allclose(
        losses(order), losses(slice(None)), **TOLERANCES["float32"]
    )


def test_within_class_loss_matches_the_equation():
    means, embeddings = random_batch()
    rows = means[LABELS]
    expected = 0.0
    for i in range(len(LABELS)):
        for d in range(DIM):
            expected += (embeddings[i, d] - rows[i, d]) ** 2 / 2 / len(LABELS)
    np.testing.assert_allclose(
        to_numpy(within_class_loss(embeddings, rows)),
        expected,
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("margin", [0.1, 0.75, 4.0])
def test_between_class_loss_matches_the_equation(margin):
    means, _ = random_batch()
    expected = reference_between(means, LABELS, margin, 16.0)
    np.testing.assert_allclose(
        to_numpy(between_class_loss(means[LABELS], LABELS, margin, 16.0)),
        expected,
        **TOLERANCES["float32"],
    )


def test_one_class_has_no_pair():
    _, embeddings = random_batch()
    labels = np.full(len(LABELS), 3)

    def loss(means):
        return between_class_loss(means, labels, 0.75, 16.0)

    assert to_numpy(loss(embeddings)) == 0
    np.testing.assert_array_equal(gradient(loss, embeddings)[0], 0.0)


def test_gradient_flows_through_the_update():
    means, embeddings = random_batch()

    def loss(means, embeddings):
        rows = updated_class_means(means, embeddings, LABELS, 0.5)
        within = within_class_loss(embeddings, rows)
        return within + between_class_loss(rows, LABELS, 0.75, 16.0)

    check_gradient(lambda f: loss(means, f), embeddings)
    to_means, _ = gradient(loss, means, embeddings)
    np.testing.assert_array_equal(to_means, 0.0)


def test_finite_gradient_at_zero():
    zeros = np.zeros((len(LABELS), DIM), "float32")

    def loss(means, embeddings):
        rows = updated_class_means(means, embeddings, LABELS, 0.5)
        within = within_class_loss(embeddings, rows)
        return within + between_class_loss(rows, LABELS, 0.75, 16.0)

    gradients = gradient(loss, zeros[:CLASSES], zeros)
    np.testing.assert_array_equal(gradients[1], 0.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    means, embeddings = random_batch()
    half = ops.cast(embeddings, dtype)
    rows = updated_class_means(ops.cast(means, dtype), half, LABELS, 0.5)
    within = within_class_loss(half, rows)
    between = between_class_loss(rows, LABELS, 0.75, 16.0)
    assert {ops.dtype(x) for x in (rows, within, between)} == {"float32"}
    updated = reference_means(means, embeddings, LABELS, 0.5)
    np.testing.assert_allclose(
        to_numpy(rows), updated[LABELS], **TOLERANCES[dtype]
    )
    expected = reference_between(updated, LABELS, 0.75, 16.0)
    np.testing.assert_allclose(
        to_numpy(between), expected, rtol=10 * TOLERANCES[dtype]["rtol"]
    )


def test_compiled_is_the_same():
    def losses(means, embeddings, labels):
        rows = updated_class_means(means, embeddings, labels, 0.5)
        between = between_class_loss(rows, labels, 0.75, 16.0)
        return ops.stack([within_class_loss(embeddings, rows), between])

    arguments = [
        ops.convert_to_tensor(x.astype("float32")) for x in random_batch()
    ] + [ops.convert_to_tensor(LABELS)]
    np.testing.assert_allclose(
        to_numpy(compiled(losses)(*arguments)),
        to_numpy(losses(*arguments)),
        **TOLERANCES["float32"],
    )


def test_wrong_arguments():
    means, embeddings = random_batch()
    with pytest.raises(ValueError, match="`rate` must be between 0 and 1"):
        updated_class_means(means, embeddings, LABELS, 2.0)
    with pytest.raises(ValueError, match="`labels` must have 1 axes"):
        updated_class_means(means, embeddings, LABELS[:, None], 0.5)
    with pytest.raises(ValueError, match="`means` must have 2 axes"):
        updated_class_means(means[0], embeddings, LABELS, 0.5)
    with pytest.raises(ValueError, match="`embeddings` must have 2 axes"):
        within_class_loss(embeddings[0], means)
    with pytest.raises(ValueError, match="`means` must have 2 axes"):
        between_class_loss(means[0], LABELS, 0.75, 16.0)


@pytest.mark.parametrize("wrong", [-1, CLASSES])
def test_row_of_no_class_is_nan(wrong):
    means, embeddings = random_batch()
    labels = LABELS.copy()
    labels[3] = wrong
    known = labels != wrong
    rows = to_numpy(updated_class_means(means, embeddings, labels, 0.5))
    expected = updated_class_means(means, embeddings[known], labels[known], 0.5)
    np.testing.assert_allclose(rows[known], to_numpy(expected), rtol=1e-5)
    assert np.isnan(rows[3]).all()
