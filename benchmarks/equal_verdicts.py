"""What a table can decide: its power, and the verdict on each gain."""

import math
import statistics

# Of two networks that differ by nothing but their seed, on 978 photographs of
# birds: variance of the difference of one image over three seeds each, and
# standard deviation of the accuracy over seeds (docs/results/birds.md: an
# error of 0.75 points over images, a spread of 1.0 over seeds).
IMAGE_VARIANCE = 978 * 0.0075**2
SEED_SPREAD = 0.010
SURE = 2.0  # standard errors
# A gain of so many standard errors is found in four of five experiments.
FOUND = SURE + 0.84


def power(images, seeds, folds=1):
    """Says, before any run, how large a gain will be told from none.

    Args:
        images: Number of test images, over all folds.
        seeds: Number of seeds.
        folds: Number of networks that share the test images of one seed.
    """
    error = math.sqrt(
        IMAGE_VARIANCE * 3 / seeds / images
        + 2 * SEED_SPREAD**2 / (seeds * folds)
    )
    return (
        f"{images} test images, {seeds} x {folds} networks a row: one standard "
        f"error of a difference will be about {100 * error:.1f} points; a gain "
        f"of {100 * FOUND * error:.1f} points is told from none in four of "
        "five such experiments."
    )


def error_of(comparison, by_fold):
    """Standard error of a difference, for other images and other networks.

    Args:
        comparison: `evaluation.Comparison`, over all images.
        by_fold: The difference in each fold. Folds differ in their images and
            in their networks, so that their spread holds both errors; few of
            them say little, and the error over images is the least it can be.
    """
    if len(by_fold) < 2:
        return comparison.error
    spread = statistics.stdev(by_fold) / math.sqrt(len(by_fold))
    return max(comparison.error, spread)


def verdict(difference, error, paper=None):
    """Two answers: against none, and against the gain of a paper.

    Args:
        difference: Share, the gain.
        error: Its standard error.
        paper: The paper's gain in points.
    """
    if abs(difference) <= SURE * error:
        first = "not told apart"
    else:
        first = "ahead" if difference > 0 else "behind"
    if paper is None:
        return first
    is_below = 100 * (difference + SURE * error) < paper
    return f"{first}, {'below' if is_below else 'within'} the paper's gain"
