"""Class centres that follow the features of their class."""

from keras import ops

from keras_fgvc._checks import check_in_range, check_rank
from keras_fgvc.ops._labels import class_numbers, rows_of, same_label
from keras_fgvc.ops._precision import at_least_float32


def updated_centers(centers, features, labels, rate):
    """Moves the centres of a batch's classes towards their features.

    Coarse2Fine (Eshratifar et al., 2019), equation 3, moves a centre by one
    image: c <- (1 - rate) c + rate f. A batch may hold n images of a class.
    Taken one after the other they leave (1 - rate)^n of the old centre
    whatever their order; the rest goes to the images in equal shares, where
    the equation alone would favour the last:

        c <- (1 - rate)^n c + (1 - (1 - rate)^n) mean of the n features

    So one image is equation 3, batches of another size move the centres as
    far per epoch, and a centre never passes the mean it moves to, as it does
    where n steps are added up (Hu et al., "See Better Before Looking
    Closer", 2019, whose code agrees with this for small n * rate).

    Row i of the result is the updated centre of image i's class: writing row
    i to `centers[labels[i]]` in any order stores the update.

    Args:
        centers: Stored centres c of shape `(classes, dim)`.
        features: Features f of shape `(n, dim)`.
        labels: Integer tensor of shape `(n,)`, values 0..classes-1. The row of
            an image with any other label is NaN.
        rate: Number in 0..1, the paper's beta. 0 keeps the centres.

    Returns:
        Tensor of shape `(n, dim)`, float32.

    Raises:
        ValueError: If a shape has the wrong number of axes or `rate` lies
            outside 0..1.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import updated_centers

    centers = np.zeros((3, 2), "float32")
    features = np.array([[1.0, 0.0], [0.0, 4.0], [0.0, 8.0]], "float32")
    updated_centers(centers, features, np.array([2, 0, 0]), rate=0.5)
    # [[0.5, 0.0], [0.0, 4.5], [0.0, 4.5]]
    ```
    """
    check_in_range("rate", rate, 0, 1)
    features = at_least_float32(features)
    centers = ops.convert_to_tensor(centers)
    labels = class_numbers(labels, centers.shape[0])
    check_rank("centers", centers.shape, 2, "(classes, dim)")
    check_rank("features", features.shape, 2, "(n, dim)")
    check_rank("labels", labels.shape, 1, "(n,)")
    old = ops.cast(rows_of(centers, labels), features.dtype)
    same_class = ops.cast(same_label(labels), features.dtype)  # (n, n)
    count = ops.sum(same_class, axis=1, keepdims=True)
    mean = ops.matmul(same_class, features) / count
    moved = 1 - ops.power(ops.cast(1 - rate, features.dtype), count)
    return old + moved * (mean - old)
