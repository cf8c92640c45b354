"""Choice of the epoch of a stage that is kept."""

import math


def best_epoch(values, monitor: str) -> int:
    """Index of the best of some values, the later one of equals.

    A figure with "accuracy" or "reward" in its name is better larger, any
    other smaller; NaN and infinity are worse than any number.
    """
    sign = 1 if "accuracy" in monitor or "reward" in monitor else -1
    scores = [sign * v if math.isfinite(v) else -math.inf for v in values]
    return max(range(len(scores)), key=lambda i: (scores[i], i))
