import keras
from keras import ops

from keras_fgvc._checks import as_int, as_number, check_rank
from keras_fgvc._replicas import join_batch
from keras_fgvc.ops import updated_centers
from keras_fgvc.ops._labels import class_numbers, rows_of, write_rows

# Added to a squared norm before its root: a centre starts as a zero vector,
# and is to be read as one.
NORM_EPSILON = 1e-12


@keras.saving.register_keras_serializable(package="keras_fgvc")
class AttentionCenterLoss(keras.layers.Layer):
    """Pulls the part features of an image to the centres of its class.

    Each class keeps one centre for each part, so an attention map is led to
    the same object part in all images of the class:

        L_i = sum over parts and channels of (f_i - c_{label i})^2     (2)
        c   <- (1 - rate) c + rate f                                   (3)

    The loss sees the centres as they were before the step, and no gradient
    reaches them: they follow by equation 3 alone, and only when
    `training=True`. Equation 3 is for one image. For n images of one class in
    a batch it is taken n times, in a form that does not depend on their
    order; see `ops.updated_centers`. Where equation 2 averages over classes,
    this layer leaves one loss for each image.

    Source: Eshratifar, Eigen, Gormish and Pedram, "Coarse2Fine: A Two-stage
    Training Method for Fine-grained Visual Classification", 2019,
    https://arxiv.org/abs/1909.02680, equations 2 and 3.

    Args:
        num_classes: Integer, the number of classes.
        rate: How far one image moves a centre (beta), 0 to 1. The paper does
            not give it; 0.05 is that of the code of Hu et al., "See Better
            Before Looking Closer", 2019. Defaults to 0.05.
        normalize: Whether a centre is read as a unit vector over all parts
            and channels, as that code does; for features normalised the same
            way. What is stored follows equation 3 either way. (That code
            moves it by f minus the unit vector, which shrinks it to nothing
            over time.) Defaults to `False`.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        part_features: Features of each part, normalised or not.
        labels: Integers from 0 to `num_classes - 1`. An image with any other
            label has the loss NaN and moves no centre.
        training: Whether the stored centres move.

    Input shape:
        part_features `(batch, parts, channels)`, labels `(batch,)`; the batch
        may be unknown.

    Output shape:
        `(batch,)`, in float32.

    Raises:
        ValueError: If an argument is out of range or a shape is wrong.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.layers import AttentionCenterLoss

    parts = np.random.rand(6, 8, 16).astype("float32")
    loss = AttentionCenterLoss(num_classes=3)
    values = loss(parts, np.array([0, 1, 2, 0, 1, 2]), training=True)  # (6,)
    ```

    Centres start at zero, so the loss first pulls all features to zero: give
    it normalised features, or a small weight. Under a `tf.distribute`
    strategy one step over N replicas moves the centres as one step over the
    joined batch does.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        rate: float = 0.05,
        normalize: bool = False,
        **kwargs,
    ):
        # Half precision would round large labels to others.
        super().__init__(autocast=False, **kwargs)
        num_classes = as_int("num_classes", num_classes)
        rate = as_number("rate", rate, 0.0, 1.0)
        self.num_classes = num_classes
        self.rate = rate
        self.normalize = normalize

    def build(self, part_features_shape, labels_shape=None):
        check_rank(
            "part_features", part_features_shape, 3, "(batch, parts, channels)"
        )
        self.centers = self.add_weight(
            shape=(self.num_classes, *part_features_shape[1:]),
            initializer="zeros",
            trainable=False,
            autocast=False,  # centres stay float32 under mixed precision
            dtype="float32",
            aggregation="mean",  # every replica writes the same value
            name="centers",
        )

    def call(self, part_features, labels, training=False):
        features = ops.cast(part_features, "float32")
        labels = class_numbers(labels, self.num_classes)
        check_rank("labels", labels.shape, 1, "(batch,)")
        # The variable itself cannot enter jitted JAX code.
        stored = ops.convert_to_tensor(self.centers)
        center = ops.stop_gradient(rows_of(stored, labels))  # (b, m, c)
        if training:
            self._store(stored, ops.stop_gradient(features), labels)
        if self.normalize:
            center = _unit(center)
        return ops.sum((features - center) ** 2, axis=(1, 2))

    def _store(self, stored, features, labels):
        features = join_batch(features)
        labels = join_batch(labels)
        parts, channels = stored.shape[1:]
        updated = updated_centers(
            ops.reshape(stored, (self.num_classes, parts * channels)),
            ops.reshape(features, (-1, parts * channels)),
            labels,
            self.rate,
        )
        updated = ops.reshape(updated, (-1, parts, channels))
        self.centers.assign(write_rows(stored, labels, updated))

    def compute_output_shape(self, part_features_shape, labels_shape=None):
        return (part_features_shape[0],)

    def compute_output_spec(self, part_features, labels, training=False):
        return keras.KerasTensor(part_features.shape[:1], "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "rate": self.rate,
            "normalize": self.normalize,
        }


def _unit(centers):
    squared = ops.sum(centers**2, axis=(1, 2), keepdims=True)
    return centers * ops.rsqrt(squared + NORM_EPSILON)
