import numpy as np
import pytest
from keras import ops

from keras_fgvc.losses import reinforce
from keras_fgvc.ops import log_probability, sample_locations
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

RNG = np.random.default_rng(3)
LOGS = -RNG.uniform(0.1, 5.0, size=(2, 7))
REWARDS = RNG.normal(size=(2, 7))

# One small map, its policy and what each cell is worth.
SCORES = np.array([[0.5, -1.0, 0.0], [1.0, 0.3, -0.4]])
WORTH = np.array([[1.0, 0.0, -0.5], [0.0, 2.0, 1.5]])
DRAWS = 20_011


def to_numpy(tensor):
    return ops.convert_to_numpy(tensor)


def reference(log_probabilities, rewards):
    values = np.zeros(len(log_probabilities))
    for b, logs in enumerate(log_probabilities):
        for k, log in enumerate(logs):
            values[b] -= rewards[b, k] * log / len(logs)
    return values


def exact_gradient_and_variance():
    """Of one sample's estimate: mean and variance over all six cells.

    The mean is the gradient of equation 3, sum over A of p(A) r(A), where
    the gradient of p(A) is p(A) (e_A - p), with e_A one at A and else zero.
    """
    p = np.exp(SCORES) / np.exp(SCORES).sum()
    mean = np.zeros(SCORES.shape)
    square = np.zeros(SCORES.shape)
    for cell in np.ndindex(SCORES.shape):
        at_cell = np.zeros(SCORES.shape)
        at_cell[cell] = 1
        estimate = WORTH[cell] * (at_cell - p)
        mean += p[cell] * estimate
        square += p[cell] * estimate**2
    return mean, square - mean**2


def sampled_gradients(num_samples):
    """(draws, 2, 3): the gradient of the loss at each of many draws."""
    scores = np.broadcast_to(SCORES, (DRAWS, 2, 3)).copy()
    draw = compiled(lambda x: sample_locations(x, num_samples, num_samples))
    drawn = to_numpy(draw(ops.convert_to_tensor(scores)))
    rewards = WORTH[drawn[..., 0], drawn[..., 1]]

    # XLA would fold the draws if they were constants: all are arguments.
    def total(scores, drawn, rewards):
        return ops.sum(reinforce(rewards, log_probability(scores, drawn)))

    return gradient(total, scores, drawn.astype("float64"), rewards)[0]


def test_matches_a_loop():
    values = compiled(reinforce)(
        ops.convert_to_tensor(REWARDS.astype("float32")),
        ops.convert_to_tensor(LOGS.astype("float32")),
    )
    np.testing.assert_allclose(
        to_numpy(values), reference(LOGS, REWARDS), **TOLERANCES["float32"]
    )


def test_limits():
    nothing = to_numpy(reinforce(0 * REWARDS, LOGS))
    np.testing.assert_array_equal(nothing, 0.0)
    likelihood = to_numpy(reinforce(0 * REWARDS + 1, LOGS))
    np.testing.assert_allclose(likelihood, -LOGS.mean(1), rtol=1e-6)


def test_samples_have_no_order_and_rewards_scale():
    expected = to_numpy(reinforce(REWARDS, LOGS))
    order = RNG.permutation(7)
    np.testing.assert_allclose(
        to_numpy(reinforce(4 * REWARDS[:, order], LOGS[:, order])),
        4 * expected,
        **TOLERANCES["float32"],
    )


def test_gradient():
    weights = np.array([0.5, -2.0])

    def value(logs):
        values = reinforce(REWARDS, logs)
        return ops.sum(values * ops.cast(weights, values.dtype))

    check_gradient(value, LOGS, float32_on=("jax",))


def test_no_gradient_reaches_the_rewards():
    def total(logs, rewards):
        return ops.sum(reinforce(rewards, logs))

    to_logs, to_rewards = gradient(total, LOGS, REWARDS)
    np.testing.assert_allclose(to_logs, -REWARDS / 7, rtol=1e-6)
    np.testing.assert_array_equal(to_rewards, 0.0)


def test_gradient_is_unbiased_and_its_variance_falls_with_the_samples():
    """Minus its mean is the gradient of eq. 3; its variance is 1/K of one's.

    The mean of the draws may be five standard errors off, at most a tenth of
    the largest slope; a variance has a relative standard error near 1 %.
    """
    mean, variance = exact_gradient_and_variance()
    variances = {}
    for num_samples in (1, 16):
        estimates = sampled_gradients(num_samples)
        error = np.sqrt(variance / num_samples / DRAWS)
        assert 5 * error.max() < 0.1 * np.abs(mean).max()
        assert np.all(np.abs(estimates.mean(0) + mean) <= 5 * error)
        variances[num_samples] = estimates.var(0).sum()
    np.testing.assert_allclose(variances[1], variance.sum(), rtol=0.05)
    np.testing.assert_allclose(variances[16] / variances[1], 1 / 16, rtol=0.05)


def test_samples_without_reward_add_nothing():
    """Moved elsewhere, they leave the gradient as it was, bit by bit."""
    scores = RNG.normal(size=(2, 3, 5)).astype("float32")
    locations = RNG.integers(0, (3, 5), (2, 7, 2))
    rewards = np.float32([[0, 1, 0, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0, 1]])
    moved = RNG.integers(0, (3, 5), (2, 7, 2))
    moved = np.where(rewards[..., None] == 0, moved, locations)
    assert np.any(moved != locations)

    def slopes(locations):
        def total(scores):
            return ops.sum(
                reinforce(rewards, log_probability(scores, locations))
            )

        return gradient(total, scores)[0]

    assert np.any(slopes(locations) != 0)
    np.testing.assert_array_equal(slopes(moved), slopes(locations))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    logs, rewards = ops.cast(LOGS, dtype), ops.cast(REWARDS, dtype)
    values = reinforce(rewards, logs)
    assert ops.dtype(values) == "float32"
    expected = reference(
        *(to_numpy(ops.cast(x, "float32")) for x in (logs, rewards))
    )
    np.testing.assert_allclose(
        to_numpy(values), expected, **TOLERANCES["float32"]
    )


def test_errors():
    with pytest.raises(ValueError, match="`log_probabilities` must have 2"):
        reinforce(REWARDS[0], LOGS[0])
    message = (
        r"`rewards` must have shape \(2, 7\), that of `log_probabilities`. "
        r"Received: shape \(2, 1\)"
    )
    with pytest.raises(ValueError, match=message):
        reinforce(REWARDS[:, :1], LOGS)
