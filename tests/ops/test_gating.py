import math

import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import confidence_gates, mix_hypotheses
from tests.gradients import check_gradient, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

BATCH, COUNT, CLASSES = 2, 3, 5
RNG = np.random.default_rng(7)
SCORES = RNG.normal(size=(BATCH, COUNT))
HYPOTHESES = RNG.normal(size=(BATCH, COUNT, CLASSES))


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def reference_gates(scores, temperature):
    """Equations 7 and 8, one at a time."""
    gates = np.zeros_like(scores)
    for b in range(len(scores)):
        powers = [math.exp(math.tanh(s) / temperature) for s in scores[b]]
        for n, power in enumerate(powers):
            gates[b, n] = power / sum(powers)
    return gates


def reference_mix(hypotheses, gates, mix):
    """Equation 9, class by class."""
    mixed = np.zeros((BATCH, CLASSES))
    for b in range(BATCH):
        for n in range(COUNT):
            powers = [math.exp(o) for o in hypotheses[b, n]]
            for c in range(CLASSES):
                share = powers[c] / sum(powers)
                value = share if mix == "probabilities" else hypotheses[b, n, c]
                mixed[b, c] += gates[b, n] * value
    return np.log(mixed) if mix == "probabilities" else mixed


@pytest.mark.parametrize("temperature", [1.0, 0.25, 4.0])
def test_gates_match_the_equations_and_sum_to_one(temperature):
    gates = to_numpy(confidence_gates(SCORES, temperature))
    np.testing.assert_allclose(
        gates, reference_gates(SCORES, temperature), **TOLERANCES["float32"]
    )
    np.testing.assert_allclose(gates.sum(axis=1), 1, rtol=1e-6)


def test_range_of_the_gates():
    """What the docstring says of tanh before softmax."""
    for count, low, high in ((2, 0.12, 0.88), (5, 0.03, 0.65)):
        scores = np.full((1, count), -50.0)
        scores[0, 0] = 50.0
        largest = to_numpy(confidence_gates(scores))[0, 0]
        smallest = to_numpy(confidence_gates(-scores))[0, 0]
        assert (round(float(smallest), 2), round(float(largest), 2)) == (
            low,
            high,
        )


@pytest.mark.parametrize("mix", ["probabilities", "logits"])
def test_mix_matches_equation_9(mix):
    gates = reference_gates(SCORES, 1.0)
    np.testing.assert_allclose(
        to_numpy(mix_hypotheses(HYPOTHESES, gates, mix)),
        reference_mix(HYPOTHESES, gates, mix),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("mix", ["probabilities", "logits"])
def test_one_open_gate_gives_its_hypothesis_alone(mix):
    gates = np.zeros((BATCH, COUNT))
    gates[:, 1] = 1.0
    mixed = to_numpy(ops.softmax(mix_hypotheses(HYPOTHESES, gates, mix)))
    alone = to_numpy(ops.softmax(HYPOTHESES[:, 1]))
    np.testing.assert_allclose(mixed, alone, **TOLERANCES["float32"])


def test_equal_gates_average():
    gates = np.full((BATCH, COUNT), 1 / COUNT)
    np.testing.assert_allclose(
        to_numpy(mix_hypotheses(HYPOTHESES, gates)),
        HYPOTHESES.mean(axis=1),
        **TOLERANCES["float32"],
    )


def test_log_probabilities_are_stable_and_ignore_a_shift():
    """Logits of a thousand neither overflow nor change by a constant."""
    gates = reference_gates(SCORES, 1.0)
    mix = "probabilities"
    shifted = mix_hypotheses(HYPOTHESES + 1000.0, gates, mix)
    np.testing.assert_allclose(
        to_numpy(shifted),
        to_numpy(mix_hypotheses(HYPOTHESES, gates, mix)),
        atol=1e-3,
    )


def test_order_of_the_hypotheses_does_not_matter():
    gates, order = reference_gates(SCORES, 1.0), [2, 0, 1]
    np.testing.assert_allclose(
        to_numpy(mix_hypotheses(HYPOTHESES[:, order], gates[:, order])),
        to_numpy(mix_hypotheses(HYPOTHESES, gates)),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("mix", ["probabilities", "logits"])
def test_gradients(mix):
    weights = RNG.normal(size=(BATCH, CLASSES))

    def value(scores, hypotheses):
        mixed = mix_hypotheses(hypotheses, confidence_gates(scores), mix)
        return ops.sum(ops.cast(weights, mixed.dtype) * mixed)

    check_gradient(value, SCORES, HYPOTHESES, float32_on=("jax",))


def test_gradient_is_finite_at_a_closed_gate():
    gates = np.array([[0.0, 1.0, 0.0]] * BATCH)
    found = gradient(
        lambda g, h: ops.sum(mix_hypotheses(h, g, "probabilities")),
        gates,
        HYPOTHESES,
    )
    assert all(np.all(np.isfinite(g)) for g in found)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    mixed = mix_hypotheses(
        ops.cast(HYPOTHESES, dtype),
        confidence_gates(ops.cast(SCORES, dtype)),
        "probabilities",
    )
    assert "float32" in str(mixed.dtype)
    expected = reference_mix(
        HYPOTHESES, reference_gates(SCORES, 1.0), "probabilities"
    )
    np.testing.assert_allclose(to_numpy(mixed), expected, **TOLERANCES[dtype])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: confidence_gates(SCORES[0]), "`scores` must have 2 axes"),
        (lambda: confidence_gates(SCORES, 0), "`temperature` must be above 0"),
        (lambda: mix_hypotheses(SCORES, SCORES), "`hypotheses` must have 3"),
        (
            lambda: mix_hypotheses(HYPOTHESES, HYPOTHESES),
            "`gates` must have 2 axes",
        ),
        (
            lambda: mix_hypotheses(HYPOTHESES, SCORES, "votes"),
            "`mix` must be one of 'logits', 'probabilities'",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
