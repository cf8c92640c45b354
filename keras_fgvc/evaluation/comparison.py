"""Several trained models on the same images: which is better, how surely."""

import dataclasses
import math

import numpy as np

from keras_fgvc._checks import check_choice
from keras_fgvc.evaluation.predictions import Predictions


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One contender of `compare`, which has the formulas; shares from 0 to 1.

    Args:
        seeds: Number of its trained models.
        mean: Mean accuracy over its seeds.
        spread: Standard deviation of the accuracy over its seeds, with
            n - 1; `nan` for one seed.
        difference: `mean` less that of the baseline; `nan` for the baseline
            itself, as are the errors of it.
        error_over_images: Standard error of `difference` for other images,
            with these trained models.
        error_over_seeds: Standard error of `difference` for other seeds, on
            these images; `nan` if either has one seed.
    """

    seeds: int
    mean: float
    spread: float
    difference: float
    error_over_images: float
    error_over_seeds: float

    @property
    def error(self) -> float:
        """Standard error for other images and other seeds at once.

        The root of the sum of squares, which is a little too large: what one
        seed does on one image is counted in both. Without an error over
        seeds, that over images alone, which is too small.
        """
        if math.isnan(self.error_over_seeds):
            return self.error_over_images
        return math.hypot(self.error_over_images, self.error_over_seeds)


def compare(runs: dict, baseline: str | None = None) -> dict[str, Comparison]:
    """Mean, spread and paired differences of models on the same images.

    With `a[s, i]` 1 where seed s of a contender has image i right, else 0,
    and `b` the same of the baseline, the difference is

        d = mean over s and i of a[s, i]  -  mean over s and i of b[s, i]

    **Over images**: every model saw the same n images, so that hard images
    are hard for both and cancel out. With the difference of each image,
    `d[i] = mean over s of a[s, i] - mean over s of b[s, i]`, its standard
    error is

        sqrt(sum over i of (d[i] - d)^2 / (n - 1) / n)

    With one seed each, and g images only the contender has right and l only
    the baseline, this is `sqrt((g + l - (g - l)^2 / n) / (n (n - 1)))`, the
    error behind McNemar's test (Psychometrika 1947).

    **Over seeds**: with the variances (n - 1) of the accuracies of A and B
    seeds, taken as independent, as Welch (Biometrika 1947) does,

        sqrt(variance of a / A + variance of b / B)

    The first answers "would other photographs say the same of these trained
    models?", the second "would other seeds say the same on these
    photographs?". `Comparison.error` joins them.

    Args:
        runs: From the name of a contender to a list with one entry a seed:
            `Predictions`, or a vector `(n,)` that says for each image
            whether it was right (or any other number to take the mean of).
        baseline: Name of the contender that others are compared with.
            Defaults to the first.

    Returns:
        Dict from each name to its `Comparison`, in the order of `runs`.

    Raises:
        ValueError: No contender or no seed, an unknown `baseline`, or models
            that were not tested on the same images.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.evaluation import compare

    right = np.array([1, 1, 0, 0, 1, 0, 1, 1])
    better = np.array([1, 1, 1, 0, 1, 0, 1, 1])
    rows = compare({"plain": [right], "attention": [better]})
    assert rows["attention"].difference == 0.125
    ```
    """
    if not runs:
        raise ValueError("`runs` must hold at least one contender.")
    baseline = next(iter(runs)) if baseline is None else baseline
    check_choice("baseline", baseline, tuple(runs))
    for name, seeds in runs.items():
        if not len(seeds):
            raise ValueError(f"`runs[{name!r}]` must hold at least one seed.")
    _check_same_images(runs, baseline)
    values = {
        name: np.stack([_values(seed) for seed in seeds])
        for name, seeds in runs.items()
    }
    return {
        name: _compare(own, None if name == baseline else values[baseline])
        for name, own in values.items()
    }


def mean_and_spread(values) -> tuple[float, float]:
    """Mean and standard deviation (n - 1) of a figure over seeds.

    The spread of one value is `nan`: it is not known.

    Args:
        values: The figure of each seed, one at least.

    Returns:
        Pair of floats.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return float(values.mean()), math.nan
    return float(values.mean()), float(values.std(ddof=1))


def _compare(own, other):
    """Compares correctness of shape (seeds, images) with the baseline's."""
    mean, spread = mean_and_spread(own.mean(axis=1))
    difference = over_images = over_seeds = math.nan
    if other is not None:
        by_image = own.mean(axis=0) - other.mean(axis=0)
        difference = float(by_image.mean())
        over_images = _standard_error(by_image)
        over_seeds = math.hypot(
            _standard_error(own.mean(axis=1)),
            _standard_error(other.mean(axis=1)),
        )
    return Comparison(
        seeds=len(own),
        mean=mean,
        spread=spread,
        difference=difference,
        error_over_images=over_images,
        error_over_seeds=over_seeds,
    )


def _standard_error(values):
    """Returns the standard error of the mean of a vector."""
    return mean_and_spread(values)[1] / math.sqrt(len(values))


def _values(seed):
    """A number an image."""
    if isinstance(seed, Predictions):
        return (seed.ranks < 1).astype(np.float64)
    values = np.asarray(seed, np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(
            "Each seed must be `Predictions` or a vector of finite numbers, "
            f"one an image. Received: shape {values.shape}, "
            f"{int(np.sum(~np.isfinite(values)))} of them not finite."
        )
    return values


def _check_same_images(runs, baseline):
    first = runs[baseline][0]
    for name, seeds in runs.items():
        for number, seed in enumerate(seeds):
            problem = _difference_in_images(first, seed)
            if problem:
                raise ValueError(
                    "All models must have been tested on the same images. "
                    f"Received: `runs[{name!r}][{number}]` differs from "
                    f"`runs[{baseline!r}][0]`: {problem}. Test all on one "
                    "split, or compare those of one split at a time."
                )


def _difference_in_images(first, second):
    if isinstance(first, Predictions) and isinstance(second, Predictions):
        return first.difference_in_images(second)
    counts = [
        len(seed.labels if isinstance(seed, Predictions) else seed)
        for seed in (first, second)
    ]
    if counts[0] != counts[1]:
        return f"{counts[0]} and {counts[1]} images"
    return ""
