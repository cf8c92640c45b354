"""Labels of a batch: which are classes, which agree, where rows are kept.

A label that is no class is marked by `NO_CLASS`. Rows of such an image are
NaN, so that a loss of them is NaN, and nothing of it is stored: counting from
the end, as indexing does, -1 would be the last class.
"""

from keras import ops

NO_CLASS = -1


def class_numbers(labels, num_classes: int):
    """Casts labels to int32; `NO_CLASS` where a label is no class number."""
    labels = ops.convert_to_tensor(labels)
    if "bool" in str(labels.dtype):
        labels = ops.cast(labels, "int32")
    # Before the cast, which would round 0.5 and wrap large numbers.
    known = ops.logical_and(labels >= 0, labels < num_classes)
    if "float" in str(labels.dtype):
        known = ops.logical_and(known, labels == ops.floor(labels))
        labels = ops.where(known, labels, 0)  # NaN has no integer
    return ops.where(known, ops.cast(labels, "int32"), NO_CLASS)


def same_label(labels):
    """(n,) -> (n, n) boolean, True where two images share their class."""
    return ops.expand_dims(labels, 1) == ops.expand_dims(labels, 0)


def rows_of(table, labels):
    """(classes, ...), (n,) -> (n, ...): each image's row, NaN for no class."""
    rows = ops.take(table, ops.maximum(labels, 0), axis=0)
    return ops.where(_like_rows(labels >= 0, rows), rows, float("nan"))


def write_rows(table, labels, rows):
    """Returns a table with row i at `labels[i]`; images of no class write none.

    Images of one class must carry equal rows, so their order does not matter.
    """
    known = labels >= 0
    # Others write what the first image of a class writes; where there is no
    # such image, the first row of the table as it is.
    first = ops.argmax(ops.cast(known, "int32"))
    label = ops.maximum(labels[first], 0)
    row = ops.where(known[first], rows[first], table[label])
    rows = ops.where(_like_rows(known, rows), rows, row)
    labels = ops.where(known, labels, label)
    return ops.scatter_update(table, ops.expand_dims(labels, -1), rows)


def _like_rows(known, rows):
    return ops.reshape(known, (-1,) + (1,) * (len(rows.shape) - 1))
