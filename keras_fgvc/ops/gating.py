"""Several class hypotheses and their confidences become one prediction.

"A Painless Attention Mechanism for Convolutional Neural Networks", 2018,
section 3.4, equations 7 to 9. Everything is at least float32.
"""

from keras import ops

from keras_fgvc._checks import check_choice, check_rank
from keras_fgvc.ops._precision import at_least_float32

MIXES = ("logits", "probabilities")
# Below any gate that a softmax of tanh scores can give, above float32's
# smallest normal number: the logarithm of a gate set to 0 stays finite.
SMALLEST_GATE = 1e-30


def confidence_gates(scores, temperature=1.0):
    """Turns one confidence score a hypothesis into weights that sum to one.

    `softmax(tanh(scores) / temperature)` over the hypotheses (eq. 7 and 8).
    At the paper's temperature of 1 no gate of n can leave the range
    `1 / (1 + (n - 1) e^2)` to `1 / (1 + (n - 1) / e^2)`: 0.12 to 0.88 for two,
    0.03 to 0.65 for five. A lower temperature lets a gate close.

    Args:
        scores: `(b, n)`, the inner products of eq. 7, before the tanh.
        temperature: Number above 0, ours; the paper's is 1.

    Returns:
        `(b, n)`, float32.

    Raises:
        ValueError: If `scores` does not have two axes or `temperature` is not
            above 0.

    Example:

    ```python
    from keras_fgvc.ops import confidence_gates

    confidence_gates([[0.0, 0.0, 0.0, 0.0]])  # [[0.25, 0.25, 0.25, 0.25]]
    ```
    """
    scores = at_least_float32(scores)
    check_rank("scores", scores.shape, 2, "(batch, hypotheses)")
    if not temperature > 0:
        raise ValueError(
            "`temperature` must be above 0. "
            f"Received: temperature={temperature}."
        )
    return ops.softmax(ops.tanh(scores) / temperature, axis=-1)


def mix_hypotheses(hypotheses, gates, mix="logits"):
    """Weighs the logits of several classifiers into those of one (eq. 9).

    With o_n the logits of hypothesis n and g_n its gate:

        "logits":        sum_n g_n o_n
        "probabilities": log sum_n g_n softmax(o_n)

    The paper's equations 6 and 9 add up what the fully connected layers give,
    its section 3.1 speaks of "class probability vectors". The result of the
    second is a log probability, which a softmax turns into the mean of the
    probabilities. As a loss it is that of a mixture of experts: it is content
    when one hypothesis is right, and may leave the others untaught.

    Args:
        hypotheses: `(b, n, classes)`, logits.
        gates: `(b, n)`, not negative, summing to one.
        mix: `"logits"` (default) or `"probabilities"`.

    Returns:
        `(b, classes)`, float32, logits.

    Raises:
        ValueError: If a shape or `mix` is not as described.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import mix_hypotheses

    hypotheses = np.array([[[4.0, 0.0], [0.0, 1.0]]], "float32")
    mix_hypotheses(hypotheses, np.array([[0.5, 0.5]]))
    # [[2.0, 0.5]]
    ```
    """
    hypotheses = at_least_float32(hypotheses)
    gates = ops.cast(gates, hypotheses.dtype)
    check_rank("hypotheses", hypotheses.shape, 3, "(batch, n, classes)")
    check_rank("gates", gates.shape, 2, "(batch, n)")
    check_choice("mix", mix, MIXES)
    gates = ops.expand_dims(gates, -1)  # (b, n, 1)
    if mix == "logits":
        return ops.sum(gates * hypotheses, axis=1)
    log_gates = ops.log(ops.maximum(gates, SMALLEST_GATE))
    log_probabilities = ops.log_softmax(hypotheses, axis=-1)
    return ops.logsumexp(log_gates + log_probabilities, axis=1)
