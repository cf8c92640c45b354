import numpy as np
import pytest
from keras import ops

from keras_fgvc.losses import pairwise_ranking
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

RNG = np.random.default_rng(7)
SCORES = RNG.normal(size=(2, 5))
CONFIDENCES = RNG.uniform(size=(2, 5))
CONFIDENCES[1, 3] = CONFIDENCES[1, 0]  # a tie


def reference(scores, confidences, margin=1.0):
    """Pair by pair."""
    values = np.zeros(len(scores))
    for b in range(len(scores)):
        pairs = 0
        for i in range(scores.shape[1]):
            for j in range(scores.shape[1]):
                if confidences[b, i] < confidences[b, j]:
                    pairs += 1
                    values[b] += max(0, margin + scores[b, i] - scores[b, j])
        values[b] /= max(pairs, 1)
    return values


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


@pytest.mark.parametrize("margin", [1.0, 0.3])
def test_matches_a_loop(margin):
    @compiled
    def ranking(scores, confidences):
        return pairwise_ranking(confidences, scores, margin=margin)

    found = ranking(
        ops.convert_to_tensor(SCORES, "float32"),
        ops.convert_to_tensor(CONFIDENCES, "float32"),
    )
    np.testing.assert_allclose(
        to_numpy(found),
        reference(SCORES, CONFIDENCES, margin),
        **TOLERANCES["float32"],
    )


def test_limits():
    # In order and a margin apart; equal scores; each pair a margin too late.
    scores = [[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]]
    found = pairwise_ranking([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]], scores)
    np.testing.assert_allclose(to_numpy(found), [0.0, 1.0], atol=1e-6)
    found = pairwise_ranking([[0.1, 0.2]], [[3.0, 2.0]])
    np.testing.assert_allclose(to_numpy(found), [2.0], rtol=1e-6)


def test_no_pair_is_zero():
    for scores in (SCORES, SCORES[:, :1]):
        equal = np.full(scores.shape, 0.5)
        found = to_numpy(pairwise_ranking(equal, scores))
        np.testing.assert_array_equal(found, 0.0)
        (slopes,) = gradient(
            lambda scores, equal=equal: ops.sum(
                pairwise_ranking(equal, scores)
            ),
            scores,
        )
        np.testing.assert_array_equal(slopes, 0.0)


def test_only_the_order_of_confidences_and_gaps_of_scores_count():
    expected = to_numpy(pairwise_ranking(CONFIDENCES, SCORES))
    order = RNG.permutation(5)
    found = pairwise_ranking(
        np.log(CONFIDENCES[:, order]), SCORES[:, order] + 3
    )
    np.testing.assert_allclose(
        to_numpy(found), expected, **TOLERANCES["float32"]
    )


def test_gradient():
    weights = np.array([0.5, -2.0])

    def value(scores):
        values = pairwise_ranking(CONFIDENCES, scores)
        return ops.sum(ops.cast(weights, values.dtype) * values)

    check_gradient(value, SCORES, float32_on=("jax",))


def test_no_gradient_reaches_the_confidences():
    def value(scores, confidences):
        return ops.sum(pairwise_ranking(confidences, scores))

    to_scores, to_confidences = gradient(value, SCORES, CONFIDENCES)
    assert np.any(to_scores != 0)
    np.testing.assert_array_equal(to_confidences, 0.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    scores, confidences = ops.cast(SCORES, dtype), ops.cast(CONFIDENCES, dtype)
    found = pairwise_ranking(confidences, scores)
    assert ops.dtype(found) == "float32"
    expected = reference(to_numpy(scores), to_numpy(confidences))
    np.testing.assert_allclose(
        to_numpy(found), expected, **TOLERANCES["float32"]
    )


def test_errors():
    with pytest.raises(ValueError, match="`scores` must have 2 axes"):
        pairwise_ranking(CONFIDENCES[0], SCORES[0])
    message = r"`confidences` must have shape \(2, 5\), that of `scores`"
    with pytest.raises(ValueError, match=message):
        pairwise_ranking(CONFIDENCES[:, :1], SCORES)
    with pytest.raises(ValueError, match="`margin` must be between 0"):
        pairwise_ranking(CONFIDENCES, SCORES, margin=-0.5)
