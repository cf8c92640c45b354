"""The class-mean embedding loss of ELoPE, local to one batch.

Hanselmann and Ney, "ELoPE: Fine-Grained Visual Classification with Efficient
Localization, Pooling and Embedding", 2020, section 4. Every function works on
one row per image, the updated mean of that image's class, so its cost grows
with the batch and not with the number of classes. All is float32, also under
mixed precision.
"""

from keras import ops

from keras_fgvc._checks import check_in_range, check_rank
from keras_fgvc.ops._labels import class_numbers, rows_of, same_label
from keras_fgvc.ops._precision import at_least_float32


def updated_class_means(means, embeddings, labels, rate):
    """Moves the class means of a batch towards its embeddings.

    For class c with n images in the batch (equations 6 to 8):

        delta_c = sum over its images of (mean_c - f_i) / (1 + n)
        new_c = mean_c - rate * delta_c

    Row i of the result is the updated mean of image i's class, so images of
    one class get equal rows: writing row i to `means[labels[i]]` in any order
    stores the update. Gradients flow to the embeddings through the update, as
    the paper asks; the stored means get none.

    Args:
        means: Stored means of shape `(classes, dim)`.
        embeddings: L2-normalised embeddings f of shape `(n, dim)`.
        labels: Integer tensor of shape `(n,)`, values 0..classes-1. The row of
            an image with any other label is NaN.
        rate: Number in 0..1, the paper's alpha. 0 keeps the means.

    Returns:
        Tensor of shape `(n, dim)`, float32.

    Raises:
        ValueError: If a shape has the wrong number of axes or `rate` lies
            outside 0..1.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import updated_class_means

    means = np.zeros((3, 2), "float32")
    embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], "float32")
    updated_class_means(means, embeddings, np.array([2, 0, 0]), rate=0.5)
    # [[0.25, 0.0], [0.0, 0.3333], [0.0, 0.3333]]
    ```
    """
    check_in_range("rate", rate, 0, 1)
    embeddings = at_least_float32(embeddings)
    means = ops.convert_to_tensor(means)
    labels = class_numbers(labels, means.shape[0])
    check_rank("means", means.shape, 2, "(classes, dim)")
    check_rank("embeddings", embeddings.shape, 2, "(n, dim)")
    check_rank("labels", labels.shape, 1, "(n,)")
    old = ops.stop_gradient(rows_of(means, labels))
    old = ops.cast(old, embeddings.dtype)
    same_class = ops.cast(same_label(labels), embeddings.dtype)  # (n, n)
    count = ops.sum(same_class, axis=1, keepdims=True)
    change = count * old - ops.matmul(same_class, embeddings)
    return old - rate * change / (1 + count)


def within_class_loss(embeddings, means):
    """Penalises the distance of each image to the mean of its class.

    Equation 9: `1 / (2 n) * sum_i |f_i - mean_i|^2`.

    Args:
        embeddings: L2-normalised embeddings f of shape `(n, dim)`.
        means: Row i is the mean of image i's class, shape `(n, dim)`; see
            `updated_class_means`.

    Returns:
        Scalar, float32.

    Raises:
        ValueError: If a shape does not have two axes.

    Example:

    ```python
    from keras_fgvc.ops import within_class_loss

    within_class_loss([[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]])
    # 0.25
    ```
    """
    embeddings = at_least_float32(embeddings)
    means = ops.cast(means, embeddings.dtype)
    check_rank("embeddings", embeddings.shape, 2, "(n, dim)")
    check_rank("means", means.shape, 2, "(n, dim)")
    total = ops.sum(ops.square(embeddings - means))
    images = ops.cast(ops.shape(embeddings)[0], embeddings.dtype)
    return total / (2 * images)


def between_class_loss(means, labels, margin, weight):
    """Pushes apart the means of the classes present in a batch.

    Equation 10, over the set P of unordered pairs of distinct classes in the
    batch, each counted once however many images it has:

        weight / (4 |P|) * sum over (k, c) of max(margin - |m_k - m_c|^2, 0)^2

    A batch of one class has no pair; its loss and gradient are 0.

    Args:
        means: Row i is the mean m of image i's class, shape `(n, dim)`; rows
            of equal labels must be equal. See `updated_class_means`.
        labels: Integer tensor of shape `(n,)`.
        margin: Number, the squared distance beyond which a pair costs
            nothing. Unit vectors are at most 4 apart.
        weight: Number, the paper's gamma.

    Returns:
        Scalar, float32.

    Raises:
        ValueError: If a shape has the wrong number of axes.

    Example:

    ```python
    from keras_fgvc.ops import between_class_loss

    means = [[0.0, 0.0], [0.0, 0.5], [0.0, 0.5]]
    between_class_loss(means, [7, 1, 1], margin=0.75, weight=16.0)
    # 16 / 4 * (0.75 - 0.25)**2 = 1.0
    ```
    """
    means = at_least_float32(means)
    labels = ops.cast(labels, "int32")
    check_rank("means", means.shape, 2, "(n, dim)")
    check_rank("labels", labels.shape, 1, "(n,)")
    same_class = ops.cast(same_label(labels), means.dtype)  # (n, n)
    count = ops.sum(same_class, axis=1)
    # A pair of classes appears once for each pair of its images: weighted by
    # one over that number, the n x n sum runs over ordered pairs of classes.
    pairs = (1 - same_class) / (count * ops.expand_dims(count, 1))
    shortfall = ops.maximum(margin - _squared_distances(means), 0.0)
    total = ops.sum(pairs * ops.square(shortfall))
    return weight / 4 * total / ops.maximum(ops.sum(pairs), 1.0)


def _squared_distances(points):
    """(n, dim) -> (n, n), by the Gram matrix; rounding below 0 is cut off."""
    squares = ops.sum(ops.square(points), axis=1)
    gram = ops.matmul(points, ops.transpose(points))
    distances = ops.expand_dims(squares, 1) + squares - 2 * gram
    return ops.maximum(distances, 0.0)
