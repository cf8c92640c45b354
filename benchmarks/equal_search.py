"""A search over two learning rates, which moves on while a neighbour wins."""

from typing import NamedTuple


class Rates(NamedTuple):
    """Learning rates: of the backbone, and of what is behind it.

    head: None for one rate for both.
    """

    backbone: float
    head: float | None


def neighbours(rates, steps) -> list:
    """The pair itself and those one step away along one of the rates.

    Args:
        rates: `Rates` in the middle.
        steps: Pair of factors, one for each rate.
    """
    found = [rates]
    for name, factor in zip(Rates._fields, steps, strict=True):
        rate = getattr(rates, name)
        if rate is not None:
            found += [
                rates._replace(**{name: _rounded(rate * by)})
                for by in (1 / factor, factor)
            ]
    return found


def search(start, steps, measure, most_moves=4):
    """Returns the pair that none of its neighbours beats.

    A pair wins by accuracy and likelihood together: the sum of its places in
    both orders, and the likelihood where two sums are equal. The middle moves
    to the winner until the middle wins, or has moved `most_moves` times, so
    that no edge of a grid can win.

    Args:
        start: `Rates` to begin with.
        steps: Pair of factors between neighbours.
        measure: Function from `Rates` to a dict with `"top1"` and
            `"negative_log_likelihood"` of images that are not the test's.
        most_moves: Bound of the cost.

    Returns:
        Pair of the `Rates`, and whether the middle won in the end.
    """
    middle, found = start, {}
    for _ in range(most_moves):
        around = neighbours(middle, steps)
        for rates in around:
            if rates not in found:
                found[rates] = measure(rates)
        best = winner({rates: found[rates] for rates in around})
        if best == middle:
            return middle, True
        middle = best
    return middle, False


def winner(found: dict):
    """The pair with the lowest sum of places; see `search`."""
    by_accuracy = _places({r: -f["top1"] for r, f in found.items()})
    losses = {r: f["negative_log_likelihood"] for r, f in found.items()}
    by_likelihood = _places(losses)
    return min(
        found, key=lambda r: (by_accuracy[r] + by_likelihood[r], losses[r])
    )


def _places(values):
    """From each key to the number of keys with a lower value."""
    return {
        key: sum(other < value for other in values.values())
        for key, value in values.items()
    }


def _rounded(rate):
    """Two steps up and two down end at the same number."""
    return float(f"{rate:.6g}")
