import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import updated_centers
from tests.gradients import compiled
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

CLASSES, DIM = 5, 7
LABELS = np.array([4, 1, 4, 0, 1, 4, 0, 3, 4, 1, 1])  # no image of class 2
RNG = np.random.default_rng(5)
CENTERS = RNG.normal(size=(CLASSES, DIM)).astype("float32")
FEATURES = RNG.normal(size=(len(LABELS), DIM)).astype("float32")


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def equation_3(centers, features, labels, rate):
    """Coarse2Fine, image by image in the order given."""
    centers = centers.astype("float64")
    for f, label in zip(features, labels, strict=True):
        centers[label] = (1 - rate) * centers[label] + rate * f
    return centers


def reference(centers, features, labels, rate):
    """Equation 3 over the images of a class, each at their mean."""
    means = features.astype("float64")
    for label in set(labels.tolist()):
        means[labels == label] = means[labels == label].mean(0)
    return equation_3(centers, means, labels, rate)


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 1.0])
def test_matches_a_loop_over_the_images(rate):
    fn = compiled(lambda c, f, y: updated_centers(c, f, y, rate))
    rows = fn(*map(ops.convert_to_tensor, (CENTERS, FEATURES, LABELS)))
    expected = reference(CENTERS, FEATURES, LABELS, rate)
    np.testing.assert_allclose(
        to_numpy(rows), expected[LABELS], **TOLERANCES["float32"]
    )


def test_one_image_a_class_is_equation_3():
    labels = np.array([3, 0, 4])
    rows = updated_centers(CENTERS, FEATURES[:3], labels, 0.3)
    expected = equation_3(CENTERS, FEATURES[:3], labels, 0.3)
    np.testing.assert_allclose(
        to_numpy(rows), expected[labels], **TOLERANCES["float32"]
    )


def test_mean_of_all_orders_of_equation_3():
    """So no image counts more for its place in the batch."""
    labels = np.array([1, 1, 1])
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    results = [
        equation_3(CENTERS, FEATURES[list(order)], labels, 0.3)[1]
        for order in orders
    ]
    rows = updated_centers(CENTERS, FEATURES[:3], labels, 0.3)
    np.testing.assert_allclose(
        to_numpy(rows)[0], np.mean(results, axis=0), **TOLERANCES["float32"]
    )


def test_many_images_do_not_overshoot():
    features = np.ones((64, DIM), "float32")
    labels = np.zeros(64, "int32")
    rows = to_numpy(updated_centers(0 * CENTERS, features, labels, 0.05))
    np.testing.assert_allclose(rows, 1 - 0.95**64, **TOLERANCES["float32"])


def test_order_of_images_does_not_matter():
    order = RNG.permutation(len(LABELS))
    shuffled = updated_centers(CENTERS, FEATURES[order], LABELS[order], 0.3)
    rows = updated_centers(CENTERS, FEATURES, LABELS, 0.3)
    np.testing.assert_allclose(
        to_numpy(shuffled), to_numpy(rows)[order], **TOLERANCES["float32"]
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    half = ops.cast(FEATURES, dtype)
    rows = updated_centers(CENTERS, half, LABELS, 0.3)
    assert ops.dtype(rows) == "float32"
    expected = reference(CENTERS, to_numpy(half), LABELS, 0.3)
    np.testing.assert_allclose(
        to_numpy(rows), expected[LABELS], **TOLERANCES["float32"]
    )


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`rate` must be between 0 and 1"):
        updated_centers(CENTERS, FEATURES, LABELS, 2.0)
    with pytest.raises(ValueError, match="`centers` must have 2 axes"):
        updated_centers(CENTERS[0], FEATURES, LABELS, 0.5)
    with pytest.raises(ValueError, match="`features` must have 2 axes"):
        updated_centers(CENTERS, FEATURES[..., None], LABELS, 0.5)
    with pytest.raises(ValueError, match="`labels` must have 1 axes"):
        updated_centers(CENTERS, FEATURES, LABELS[:, None], 0.5)


@pytest.mark.parametrize("wrong", [-1, CLASSES])
def test_row_of_no_class_is_nan(wrong):
    labels = LABELS.copy()
    labels[3] = wrong
    known = labels != wrong
    rows = to_numpy(updated_centers(CENTERS, FEATURES, labels, 0.3))
    expected = updated_centers(CENTERS, FEATURES[known], labels[known], 0.3)
    np.testing.assert_allclose(rows[known], to_numpy(expected), rtol=1e-5)
    assert np.isnan(rows[3]).all()
