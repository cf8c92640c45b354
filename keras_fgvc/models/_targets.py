"""The labels of a batch, and means over its images."""

from keras import ops


def labels_of(targets):
    """The labels of a batch, `(b,)`; a column of them is taken too."""
    labels = targets["label"] if isinstance(targets, dict) else targets
    shape = getattr(labels, "shape", ())
    return labels[:, 0] if len(shape) == 2 and shape[1] == 1 else labels


def mean_over_images(term, sample_weight):
    if len(term.shape) == 1 and sample_weight is not None:
        weights = ops.cast(ops.reshape(sample_weight, (-1,)), term.dtype)
        term = term * weights
    return ops.mean(term)
