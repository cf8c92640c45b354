import math

import numpy as np
import pytest

from keras_fgvc.evaluation import Predictions, compare, mean_and_spread


def hits(seeds, images, share, seed=0):
    """Correctness of several seeds; some images are hard for all."""
    rng = np.random.default_rng(seed)
    ease = np.random.default_rng(99).normal(size=images) / 5
    return [
        (rng.uniform(size=images) < share + ease).astype(int)
        for _ in range(seeds)
    ]


def loop_variance(values):
    mean = sum(values) / len(values)
    return sum((v - mean) ** 2 for v in values) / (len(values) - 1)


@pytest.mark.parametrize(("seeds", "others"), [(3, 3), (2, 5), (1, 1)])
def test_against_plain_loops(seeds, others):
    images = 101
    own, base = hits(seeds, images, 0.7), hits(others, images, 0.5, seed=1)
    found = compare({"base": base, "own": own}, "base")["own"]
    accuracies = [sum(seed) / images for seed in own]
    base_accuracies = [sum(seed) / images for seed in base]
    assert found.seeds == seeds
    assert found.mean == pytest.approx(sum(accuracies) / seeds)
    difference = found.mean - sum(base_accuracies) / others
    assert found.difference == pytest.approx(difference)
    by_image = []
    for i in range(images):
        mine = sum(seed[i] for seed in own) / seeds
        theirs = sum(seed[i] for seed in base) / others
        by_image.append(mine - theirs)
    error = math.sqrt(loop_variance(by_image) / images)
    assert found.error_over_images == pytest.approx(error)
    if seeds == 1:
        assert math.isnan(found.spread)
        assert math.isnan(found.error_over_seeds)
        assert found.error == found.error_over_images
    else:
        variances = [loop_variance(v) for v in (accuracies, base_accuracies)]
        assert found.spread == pytest.approx(math.sqrt(variances[0]))
        welch = math.sqrt(variances[0] / seeds + variances[1] / others)
        assert found.error_over_seeds == pytest.approx(welch)
        both = math.sqrt(error**2 + welch**2)
        assert found.error == pytest.approx(both)


def test_one_seed_each_is_mcnemars_error():
    own = np.array([1] * 5 + [0] * 2 + [1] * 6 + [0] * 4)
    base = np.array([0] * 5 + [1] * 2 + [1] * 6 + [0] * 4)
    gained, lost, n = 5, 2, 17
    found = compare({"base": [base], "own": [own]})["own"]
    assert found.difference == pytest.approx((gained - lost) / n)
    variance = (gained + lost - (gained - lost) ** 2 / n) / (n * (n - 1))
    assert found.error_over_images == pytest.approx(math.sqrt(variance))


def test_hard_images_cancel_out():
    """The paired error is smaller than that of two separate samples."""
    rng = np.random.default_rng(0)
    base = rng.uniform(size=1001) < 0.7
    own = base.copy()
    own[:20] = True
    found = compare({"base": [base], "own": [own]})["own"]
    apart = math.sqrt(2 * 0.7 * 0.3 / 1001)
    assert found.error_over_images < apart / 5


def test_error_over_images_is_that_of_drawing_images_again():
    """The standard deviation of the difference over samples of images."""
    own, base = (np.stack(hits(3, 400, s, seed=s > 0.6)) for s in (0.7, 0.5))
    found = compare({"base": list(base), "own": list(own)})["own"]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(2000):
        chosen = rng.integers(0, 400, 400)
        drawn.append(own[:, chosen].mean() - base[:, chosen].mean())
    assert found.error_over_images == pytest.approx(np.std(drawn), rel=0.06)


def test_equal_models_do_not_differ():
    own = hits(2, 13, 0.5)
    found = compare({"base": own, "own": own[::-1]})["own"]
    assert (found.difference, found.error_over_images) == (0, 0)


def test_order_of_images_and_of_seeds_does_not_matter():
    own, base = hits(3, 29, 0.7), hits(2, 29, 0.5, seed=1)
    expected = compare({"base": base, "own": own})["own"]
    order = np.random.default_rng(0).permutation(29)
    moved = {
        "base": [seed[order] for seed in base[::-1]],
        "own": [seed[order] for seed in own[::-1]],
    }
    found = compare(moved)["own"]
    for name in vars(expected):
        assert getattr(found, name) == pytest.approx(getattr(expected, name))


def test_the_baseline_itself():
    rows = compare({"own": hits(2, 7, 0.5), "base": hits(3, 7, 0.5)}, "base")
    assert list(rows) == ["own", "base"]
    base = rows["base"]
    assert base.seeds == 3
    assert not math.isnan(base.spread)
    for value in (base.difference, base.error_over_images, base.error):
        assert math.isnan(value)
    first = compare({"own": hits(2, 7, 0.5), "base": hits(3, 7, 0.5)})
    assert math.isnan(first["own"].difference)  # the first by default


def predictions(labels=(0, 1, 1, 0), named=(0, 1, 0, 0), **changes):
    return Predictions(
        labels, np.eye(2)[list(named)] * 0.8 + 0.1, ("a", "b"), **changes
    )


def test_predictions_are_counted():
    rows = compare({"base": [predictions()], "vector": [[1, 1, 1, 1]]})
    assert rows["base"].mean == 0.75
    assert rows["vector"].difference == 0.25


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (
            {"a": [predictions()], "b": [predictions(labels=(0, 1, 0, 1))]},
            r"`runs\['b'\]\[0\]` differs from `runs\['a'\]\[0\]`: other "
            r"labels at 2 of 4 places. Test all on one split",
        ),
        (
            {
                "a": [predictions(image_digest="files 1")],
                "b": [
                    predictions(image_digest="files 1"),
                    predictions(image_digest="files 2"),
                ],
            },
            r"`runs\['b'\]\[1\]` .* other images with the same labels",
        ),
        ({"a": [predictions()], "b": [[1, 0, 1]]}, "4 and 3 images"),
        ({"a": [[1, 0], [1, 0, 1]]}, "2 and 3 images"),
        ({"a": [[1, np.nan]]}, "1 of them not finite"),
        ({"a": [[[1, 0]]]}, r"shape \(1, 2\)"),
        ({"a": []}, r"`runs\['a'\]` must hold at least one seed"),
        ({}, "`runs` must hold at least one contender"),
    ],
)
def test_what_cannot_be_compared(runs, message):
    with pytest.raises(ValueError, match=message):
        compare(runs)


def test_unknown_baseline():
    with pytest.raises(ValueError, match="`baseline` must be one of 'a', 'b'"):
        compare({"a": [[1, 0]], "b": [[1, 0]]}, "c")


def test_mean_and_spread():
    assert mean_and_spread([1, 2, 6]) == (3, pytest.approx(math.sqrt(7)))
    mean, spread = mean_and_spread([5])
    assert mean == 5
    assert math.isnan(spread)
