"""Stratified splits: the same share of every class."""

import numpy as np


def stratified_cut(labels, fraction: float, seed: int) -> np.ndarray:
    """Chooses about `fraction` of the examples of each class.

    A class of n examples gives `round(fraction * n)`, but at least one and
    at most n - 1 where n is 2 or more; a single example stays. What one
    class gives depends on the seed and that class alone.

    Args:
        labels: Integer array `(n,)`.
        fraction: Share to cut off, 0 to 1; 0 cuts nothing.
        seed: Integer from 0.

    Returns:
        Boolean array `(n,)`, True where an example was cut off.
    """
    labels = np.asarray(labels)
    is_cut = np.zeros(len(labels), bool)
    if fraction == 0:
        return is_cut
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            continue
        wanted = round(fraction * len(members))
        count = min(max(wanted, 1), len(members) - 1)
        order = np.random.default_rng((seed, int(label)))
        is_cut[order.permutation(members)[:count]] = True
    return is_cut
