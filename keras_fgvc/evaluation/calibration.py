"""Calibration: how far a model's probabilities are from its accuracy."""

import numpy as np

from keras_fgvc._checks import check_choice, check_positive_int

NUM_BINS = 15
# A softmax in float32 gives 0 below its smallest number. Its logarithm there
# (-87) instead of infinity keeps the mean of the other images readable.
SMALLEST = np.finfo(np.float32).tiny


def calibration_error(
    confidences, correct, *, num_bins: int = NUM_BINS, bins: str = "equal_width"
) -> float:
    """Expected calibration error: how far confidence is from accuracy.

    Images are sorted into bins b by confidence, and

        ECE = sum over b of n_b / n * |accuracy(b) - mean confidence(b)|

    where n_b images lie in bin b: equation 3 of Guo et al., "On Calibration
    of Modern Neural Networks", ICML 2017, https://arxiv.org/abs/1706.04599,
    with its 15 bins. Bin b holds confidences in `((b - 1)/15, b/15]`.

    With `bins="equal_mass"` each bin holds equally many images (to within
    one), as in Nguyen and O'Connor, EMNLP 2015,
    https://arxiv.org/abs/1508.05154: no bin is nearly empty where most
    confidences are close to 1. Images of equal confidence share their mean
    correctness, so that the order of the images does not matter.

    Few images leave some error even to a perfect model: compare models on
    the same images only.

    Args:
        confidences: `(n,)`, the probability of the class that was named.
        correct: `(n,)` of 0 and 1 (or bools), whether it was right.
        num_bins: Number of bins. Defaults to 15.
        bins: `"equal_width"` (default) or `"equal_mass"`.

    Returns:
        Number from 0 to 1.

    Raises:
        ValueError: The vectors do not fit each other, or a confidence is
            outside 0..1.

    Example:

    ```python
    from keras_fgvc.evaluation import calibration_error

    # Half of what was said with 60 % is right, all of what was said with 90.
    error = calibration_error([0.6, 0.6, 0.9, 0.9], [1, 0, 1, 1])
    assert round(error, 6) == 0.1
    ```
    """
    check_positive_int("num_bins", num_bins)
    check_choice("bins", bins, ("equal_width", "equal_mass"))
    confidences = np.asarray(confidences, np.float64)
    correct = np.asarray(correct, np.float64)
    _check_vectors(confidences, correct)
    if bins == "equal_mass":
        correct = _mean_over_equals(correct, confidences)
        places = _equal_mass(confidences, num_bins)
    else:
        places = _equal_width(confidences, num_bins)
    # n_b |accuracy - confidence| is the absolute value of a sum.
    gaps = np.bincount(places, weights=correct - confidences)
    return float(np.abs(gaps).sum() / len(correct))


def negative_log_likelihood(probabilities, labels) -> float:
    """Mean over images of -log(probability of the true class).

    A probability of 0 counts as 1.2e-38, the smallest number of float32.

    Args:
        probabilities: `(n, classes)`.
        labels: `(n,)` integers from 0.

    Returns:
        Number from 0 to 87.4.
    """
    rows = np.asarray(probabilities, np.float64)
    own = np.take_along_axis(rows, np.asarray(labels)[:, None], axis=1)
    return float(-np.log(np.maximum(own, SMALLEST)).mean())


def _equal_width(confidences, num_bins):
    """The bin of each, closed above: `(b/num_bins, (b + 1)/num_bins]`."""
    edges = np.linspace(0, 1, num_bins + 1)[1:-1]
    return np.searchsorted(edges, confidences, side="left")


def _equal_mass(confidences, num_bins):
    """The bin of each, from the lowest confidence to the highest."""
    count = len(confidences)
    places = np.empty(count, int)
    order = np.argsort(confidences, kind="stable")
    places[order] = np.arange(count) * num_bins // count
    return places


def _mean_over_equals(values, keys):
    """Each value replaced by the mean of those with an equal key."""
    _, group = np.unique(keys, return_inverse=True)
    return (np.bincount(group, weights=values) / np.bincount(group))[group]


def _check_vectors(confidences, correct):
    if confidences.ndim != 1 or confidences.shape != correct.shape:
        raise ValueError(
            "`confidences` and `correct` must be vectors of one length. "
            f"Received: shapes {confidences.shape} and {correct.shape}."
        )
    if not len(confidences):
        raise ValueError("`confidences` must hold at least one. Received: 0.")
    inside = (confidences >= 0) & (confidences <= 1)
    if not inside.all():
        wrong = confidences[~inside][0]
        raise ValueError(
            f"`confidences` must lie between 0 and 1. Received: {wrong}."
        )
