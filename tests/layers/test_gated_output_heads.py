import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import GatedOutputHeads
from keras_fgvc.ops import mix_hypotheses
from tests.tolerances import TOLERANCES

CLASSES = 5
RNG = np.random.default_rng(0)
# Two modules of 3 and 2 heads on maps of 7 and 11 channels.
ATTENDED = [
    RNG.normal(size=shape).astype("float32")
    for shape in ((2, 3, 7), (2, 2, 11))
]
FEATURES = RNG.normal(size=(2, 13)).astype("float32")
LOGITS = RNG.normal(size=(2, CLASSES)).astype("float32")


def make(**options):
    layer = GatedOutputHeads(CLASSES, **options)
    layer(ATTENDED, FEATURES, LOGITS)
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def reference(weights, options):
    """Equations 5 to 9, head by head; a dict from name to weights."""
    gates, hypotheses = np.zeros((2, 6)), np.zeros((2, 6, CLASSES))
    for b in range(2):
        scores = [FEATURES[b] @ weights.get("network_gate", np.zeros(13))]
        hypotheses[b, 0] = LOGITS[b]
        place = 1
        for number, attended in enumerate(ATTENDED):
            for k in range(attended.shape[1]):
                reduced = attended[b, k]
                if options.get("reduction") != "average":
                    reduced = reduced * weights[f"reduction_{number}"]
                kernel = weights[f"kernel_{number}"][k]
                bias = weights[f"bias_{number}"][k]
                hypotheses[b, place] = reduced @ kernel + bias
                gate = weights.get(
                    f"gate_{number}", np.zeros((3, len(reduced)))
                )
                scores.append(reduced @ gate[k])
                place += 1
        powers = np.exp(np.tanh(scores) / options.get("temperature", 1.0))
        gates[b] = powers / powers.sum()
    return gates, hypotheses


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reduction": "average"},
        {"gates": False},
        {"mix": "probabilities", "temperature": 0.5},
    ],
)
def test_matches_the_equations(options):
    layer = make(**options)
    weights = {w.name: to_numpy(w.value) for w in layer.weights}
    expected_gates, expected = reference(weights, options)
    mixed, gates, hypotheses = layer(
        ATTENDED, FEATURES, LOGITS, return_gates=True
    )
    np.testing.assert_allclose(
        to_numpy(hypotheses), expected, rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        to_numpy(gates), expected_gates, rtol=1e-4, atol=1e-5
    )
    mix = options.get("mix", "logits")
    expected = mix_hypotheses(to_numpy(hypotheses), to_numpy(gates), mix)
    np.testing.assert_allclose(
        to_numpy(mixed), to_numpy(expected), **TOLERANCES["float32"]
    )


def test_gates_sum_to_one_over_all_heads_and_the_network():
    _, gates, _ = make()(ATTENDED, FEATURES, LOGITS, return_gates=True)
    assert gates.shape == (2, 1 + 3 + 2)
    np.testing.assert_allclose(to_numpy(gates).sum(axis=1), 1, rtol=1e-6)


def test_without_attention_it_is_the_network_alone():
    """All attention gates at 0, the network's at 1: its own prediction."""
    layer = make()
    _, _, hypotheses = layer(ATTENDED, FEATURES, LOGITS, return_gates=True)
    closed = np.float32([[1, 0, 0, 0, 0, 0]] * 2)
    mixed = mix_hypotheses(hypotheses, closed, layer.mix)
    np.testing.assert_allclose(
        to_numpy(ops.softmax(mixed)),
        to_numpy(ops.softmax(LOGITS)),
        **TOLERANCES["float32"],
    )


def test_a_cold_gate_can_close():
    """With tanh's limit and a low temperature it is that in fact."""
    layer = make(temperature=0.01)
    for weight in layer.weights:
        if "gate" in weight.name:
            weight.assign(np.zeros(weight.shape))
    layer.network_gate.assign(FEATURES[0] * 100)  # opens for image 0 only
    mixed = layer(ATTENDED, FEATURES, LOGITS)
    found, own = ops.softmax(mixed), ops.softmax(LOGITS)
    np.testing.assert_allclose(
        to_numpy(found)[0], to_numpy(own)[0], **TOLERANCES["float32"]
    )


def test_starts_as_the_plain_average():
    layer = GatedOutputHeads(CLASSES)
    _, gates, _ = layer(ATTENDED, FEATURES, LOGITS, return_gates=True)
    np.testing.assert_allclose(to_numpy(gates), 1 / 6, rtol=1e-6)
    for weight in layer.weights:
        if "reduction" in weight.name:
            np.testing.assert_array_equal(to_numpy(weight.value), 1)


def test_one_tensor_is_a_list_of_one():
    layer = GatedOutputHeads(CLASSES)
    expected = layer(ATTENDED[:1], FEATURES, LOGITS)
    found = layer(ATTENDED[0], FEATURES, LOGITS)
    np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))


def test_a_tuple_is_as_good_as_a_list():
    layer = GatedOutputHeads(CLASSES)
    expected = layer(list(ATTENDED), FEATURES, LOGITS)
    found = layer(tuple(ATTENDED), FEATURES, LOGITS)
    np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))
    new = GatedOutputHeads(CLASSES)
    assert new(tuple(ATTENDED), FEATURES, LOGITS).shape == expected.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "max"}, "`reduction` must be one of 'projection'"),
        ({"mix": "votes"}, "`mix` must be one of 'logits'"),
        ({"temperature": 0.0}, "`temperature` must be above 0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        GatedOutputHeads(CLASSES, **options)


def test_wrong_shapes():
    with pytest.raises(ValueError, match=r"`logits` must be \(batch, 5\)"):
        GatedOutputHeads(CLASSES)(ATTENDED, FEATURES, LOGITS[:, :4])
    with pytest.raises(ValueError, match="`attended` must have 3 axes"):
        GatedOutputHeads(CLASSES)(FEATURES, FEATURES, LOGITS)
    with pytest.raises(ValueError, match="`features` must have 2 axes"):
        GatedOutputHeads(CLASSES)(ATTENDED, ATTENDED[0], LOGITS)
