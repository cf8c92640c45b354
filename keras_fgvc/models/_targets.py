"""The labels of a batch, and means over its images."""

from keras import ops


def labels_of(targets):
    """Returns the labels of a batch, `(b,)`, also where they are a column."""
    labels = targets["label"] if isinstance(targets, dict) else targets
    shape = getattr(labels, "shape", ())
    return labels[:, 0] if len(shape) == 2 and shape[1] == 1 else labels


def mean_over_images(term, sample_weight):
    """Averages a loss term; `sample_weight` weighs one of shape `(b,)`."""
    if len(term.shape) == 1 and sample_weight is not None:
        weights = ops.cast(ops.reshape(sample_weight, (-1,)), term.dtype)
        term = term * weights
    return ops.mean(term)
