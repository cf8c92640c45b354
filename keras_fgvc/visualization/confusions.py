"""Finds the classes that a model confuses most."""

import dataclasses

import numpy as np

from keras_fgvc._checks import check_labels, check_positive_int
from keras_fgvc._extras import import_extra

OTHERS = -1  # Stands for every class that has no row of its own.


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """Two classes, and how often each is taken for the other.

    Args:
        labels: Of the two, the one that is mistaken more often first.
        names: Of the two.
        counts: Images of the first taken for the second, and of the second
            taken for the first.
    """

    labels: tuple[int, int]
    names: tuple[str, str]
    counts: tuple[int, int]

    @property
    def count(self) -> int:
        """Mistakes in both directions."""
        return sum(self.counts)

    def __str__(self):
        (first, second), (there, back) = self.names, self.counts
        return (
            f"{first} and {second}: {there} of the first taken for the "
            f"second, {back} the other way"
        )


def most_confused(
    labels, predicted, class_names, *, count: int = 10
) -> list[ConfusedPair]:
    """The pairs of classes that are taken for one another most often.

    Both directions count together. Of pairs with as many mistakes the one
    with fewer images comes first, then the one of lower labels.

    Args:
        labels: `(n,)` integers, the true classes.
        predicted: `(n,)` integers, the predicted ones.
        class_names: Name of each class; label i belongs to name i.
        count: How many pairs at most.

    Returns:
        A list of `ConfusedPair`, empty where nothing was confused.

    Raises:
        ValueError: If the arrays are not as described.

    Example:

    ```python
    from keras_fgvc import visualization

    truth, said = [0, 0, 1, 1, 2], [1, 0, 0, 0, 2]
    names = ("crow", "raven", "wren")
    (pair,) = visualization.most_confused(truth, said, names)
    print(pair)  # raven and crow: 2 of the first taken for the second, ...
    ```
    """
    check_positive_int("count", count)
    labels, predicted = check_arrays(labels, predicted, len(class_names))
    wrong = labels != predicted
    lower = np.minimum(labels, predicted)[wrong]
    higher = np.maximum(labels, predicted)[wrong]
    # Only the pairs there are: a matrix of thousands of classes is large.
    pairs, mistakes = np.unique(
        np.stack([lower, higher], axis=1), axis=0, return_counts=True
    )
    images = np.bincount(labels, minlength=len(class_names))
    order = sorted(
        range(len(pairs)),
        key=lambda i: (-mistakes[i], images[pairs[i]].sum(), *pairs[i]),
    )
    return [
        _pair(*pairs[i], labels, predicted, class_names) for i in order[:count]
    ]


def check_arrays(labels, predicted, num_classes):
    """Both as NumPy integers.

    Raises:
        ValueError: If they are not `(n,)` integers of one length, or a value
            is no class.
    """
    arrays = [np.asarray(labels), np.asarray(predicted)]
    for array in arrays:
        integers = np.issubdtype(array.dtype, np.integer) or not array.size
        if array.shape != arrays[0].shape or array.ndim != 1 or not integers:
            raise ValueError(
                "`labels` and `predicted` must be integers (n,). Received: "
                f"{arrays[0].dtype} of shape {arrays[0].shape} and "
                f"{arrays[1].dtype} of shape {arrays[1].shape}."
            )
        check_labels(array, num_classes)
    return [array.astype("int64") for array in arrays]


def confusion_matrix(labels, predicted, classes):
    """Counts of some classes, true by row and predicted by column.

    Args:
        labels, predicted: `(n,)` integers.
        classes: k different labels, in the order wanted.

    Returns:
        `(k, k + 1)` integers; the last column is for all other classes.

    Raises:
        ImportError: If scikit-learn is not installed.
    """
    (metrics,) = import_extra(
        ["sklearn.metrics"], "demo", "A confusion matrix needs"
    )
    said = np.where(np.isin(predicted, classes), predicted, OTHERS)
    rows = metrics.confusion_matrix(labels, said, labels=[*classes, OTHERS])
    return rows[:-1]


def classes_of(pairs) -> list[int]:
    """The classes of some pairs; those that are confused stand together."""
    neighbours = {}
    for pair in pairs:
        first, second = pair.labels
        neighbours.setdefault(first, []).append(second)
        neighbours.setdefault(second, []).append(first)
    ordered = {}
    for label in neighbours:
        waiting = [label]
        while waiting:
            nearest = waiting.pop()
            if nearest not in ordered:
                ordered[nearest] = None
                waiting += reversed(neighbours[nearest])
    return list(ordered)


def pair_examples(labels, predicted, pair) -> list:
    """Indices of four images that show a pair, None where there is none.

    One of the first class, one of it taken for the second, one of the second
    class, one of that taken for the first.
    """
    first, second = pair.labels
    found = []
    for own, other in ((first, second), (second, first)):
        found.append(_first(labels, predicted, own, own))
        found.append(_first(labels, predicted, own, other))
    return found


def _first(labels, predicted, label, said):
    found = np.flatnonzero((labels == label) & (predicted == said))
    return int(found[0]) if found.size else None


def _pair(lower, higher, labels, predicted, class_names):
    there = int(np.sum((labels == lower) & (predicted == higher)))
    back = int(np.sum((labels == higher) & (predicted == lower)))
    pair, counts = (int(lower), int(higher)), (there, back)
    if back > there:
        pair, counts = pair[::-1], counts[::-1]
    names = tuple(str(class_names[label]) for label in pair)
    return ConfusedPair(pair, names, counts)
