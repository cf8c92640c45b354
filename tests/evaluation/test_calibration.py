import numpy as np
import pytest

from keras_fgvc.evaluation import calibration_error, negative_log_likelihood

BINS = ("equal_width", "equal_mass")


def answers(count=211, seed=0):
    """Confidences and correctness of a model that is too sure of itself."""
    rng = np.random.default_rng(seed)
    confidences = rng.beta(5, 2, size=count)
    correct = rng.uniform(size=count) < confidences**2
    return confidences, correct


def loop_error(groups):
    """The formula over lists of (confidence, correct), one a bin."""
    total = sum(len(group) for group in groups)
    error = 0.0
    for group in groups:
        if group:
            confidence = sum(c for c, _ in group) / len(group)
            accuracy = sum(bool(r) for _, r in group) / len(group)
            error += len(group) / total * abs(accuracy - confidence)
    return error


@pytest.mark.parametrize("num_bins", [1, 7, 15])
def test_equal_width_against_a_plain_loop(num_bins):
    confidences, correct = answers()
    pairs = list(zip(confidences, correct, strict=True))
    groups = [
        [p for p in pairs if b / num_bins < p[0] <= (b + 1) / num_bins]
        for b in range(num_bins)
    ]
    assert sum(map(len, groups)) == len(pairs)
    found = calibration_error(confidences, correct, num_bins=num_bins)
    assert found == pytest.approx(loop_error(groups))


@pytest.mark.parametrize("num_bins", [1, 7, 15])
def test_equal_mass_against_a_plain_loop(num_bins):
    confidences, correct = answers(count=num_bins * 13)
    pairs = sorted(zip(confidences, correct, strict=True))
    groups = [pairs[b * 13 : b * 13 + 13] for b in range(num_bins)]
    found = calibration_error(
        confidences, correct, num_bins=num_bins, bins="equal_mass"
    )
    assert found == pytest.approx(loop_error(groups))


def test_equal_mass_bins_differ_by_one_image():
    # Seven in three bins: two have 2, one has 3. Each image is a bin's error.
    confidences = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    correct = [1, 0, 0, 0, 0, 0, 1]
    found = calibration_error(
        confidences, correct, num_bins=3, bins="equal_mass"
    )
    pairs = list(zip(confidences, correct, strict=True))
    expected = loop_error([pairs[:3], pairs[3:5], pairs[5:]])
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("bins", BINS)
def test_perfectly_calibrated(bins):
    confidences, correct = [], []
    for tenths in (2, 5, 9):
        confidences += [tenths / 10] * 10
        correct += [1] * tenths + [0] * (10 - tenths)
    error = calibration_error(confidences, correct, num_bins=3, bins=bins)
    assert error == pytest.approx(0)


@pytest.mark.parametrize("bins", BINS)
def test_surely_wrong_and_surely_right(bins):
    assert calibration_error([1.0] * 7, [0] * 7, bins=bins) == 1
    assert calibration_error([1.0] * 7, [1] * 7, bins=bins) == 0
    assert calibration_error([0.0] * 7, [1] * 7, bins=bins) == 1


@pytest.mark.parametrize("bins", BINS)
def test_one_bin_is_the_difference_of_the_means(bins):
    confidences, correct = answers()
    error = calibration_error(confidences, correct, num_bins=1, bins=bins)
    assert error == pytest.approx(abs(confidences.mean() - correct.mean()))


@pytest.mark.parametrize("bins", BINS)
def test_order_of_the_images_does_not_matter(bins):
    confidences, correct = answers()
    confidences = confidences.round(1)  # many are equal
    expected = calibration_error(confidences, correct, bins=bins)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(correct))
        found = calibration_error(confidences[order], correct[order], bins=bins)
        assert found == pytest.approx(expected, abs=1e-12)


def test_bins_are_closed_above():
    # At the edge 0.5: in the lower bin both cancel out, apart they do not.
    assert calibration_error([0.5, 0.3], [0, 1], num_bins=2) == pytest.approx(
        abs(1 - 0.8) / 2
    )
    assert calibration_error([0.5, 0.7], [0, 1], num_bins=2) == pytest.approx(
        (0.5 + 0.3) / 2
    )


@pytest.mark.parametrize(
    ("confidences", "correct", "options", "message"),
    [
        ([0.5], [1, 0], {}, r"one length.*\(1,\) and \(2,\)"),
        ([[0.5]], [[1]], {}, "must be vectors"),
        ([], [], {}, "at least one"),
        ([0.5, 1.2], [1, 0], {}, r"between 0 and 1. Received: 1\.2"),
        ([0.5, np.nan], [1, 0], {}, "Received: nan"),
        ([0.5], [1], {"num_bins": 0}, "`num_bins` must be at least 1"),
        ([0.5], [1], {"bins": "wide"}, "`bins` must be one of 'equal_width'"),
    ],
)
def test_errors(confidences, correct, options, message):
    with pytest.raises(ValueError, match=message):
        calibration_error(confidences, correct, **options)


def test_likelihood_against_a_plain_loop():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(5), size=11)
    labels = rng.integers(0, 5, 11)
    expected = -sum(
        np.log(row[label]) for row, label in zip(rows, labels, strict=True)
    )
    found = negative_log_likelihood(rows, labels)
    assert found == pytest.approx(expected / 11)


def test_likelihood_at_the_limits():
    assert negative_log_likelihood([[1.0, 0.0]], [0]) == 0
    assert negative_log_likelihood([[0.25] * 4], [2]) == pytest.approx(
        np.log(4)
    )
    assert negative_log_likelihood([[1.0, 0.0]], [1]) == pytest.approx(
        87.3365, abs=1e-3
    )
