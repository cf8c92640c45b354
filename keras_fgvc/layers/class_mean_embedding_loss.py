import keras
from keras import ops

from keras_fgvc._checks import as_int, as_number, as_plain, check_rank
from keras_fgvc._replicas import join_batch
from keras_fgvc.ops import (
    between_class_loss,
    updated_class_means,
    within_class_loss,
)
from keras_fgvc.ops._labels import class_numbers, write_rows

# Added to a squared norm before its root, so that a zero vector has a finite
# gradient; far below the squared norm of any trained embedding.
NORM_EPSILON = 1e-12


@keras.saving.register_keras_serializable(package="keras_fgvc")
class ClassMeanEmbeddingLoss(keras.layers.Layer):
    """Pulls embeddings to their class means and pushes the means apart.

    Put it on a penultimate layer beside the usual cross-entropy. It keeps one
    mean per class, a weight that moves with each training batch:

        mu_c <- mu_c - rate * sum_{n in c} (mu_c - f_n) / (1 + n_c)  (6, 7)
        L_w  = 1/(2N) sum_n |f_n - mu_{c_n}|^2                       (9)
        L_b  = weight/(4|P|) sum_{k,c in P} max(m - |mu_k - mu_c|^2, 0)^2 (10)

    with f the L2-normalised embeddings and P the pairs of distinct classes in
    the batch, each counted once (no pair: L_b is 0). Both losses see the
    updated means, and gradients flow through that update. The stored means
    change only when `training=True`.

    Source: Hanselmann and Ney, "ELoPE: Fine-Grained Visual Classification
    with Efficient Localization, Pooling and Embedding", WACV 2020,
    https://arxiv.org/abs/1911.07344, section 4, equations 5 to 10.

    Args:
        num_classes: Integer, the number of classes.
        rate: Learning rate of the means (alpha), 0 to 1. Defaults to 0.5.
        between_weight: Weight of L_b (gamma). Defaults to 16; 0 leaves L_w.
        margin: Squared distance (m) beyond which two means no longer repel.
            Unit vectors are at most 4 apart. Defaults to 0.75.
        renormalize: Whether stored means go back to unit length after each
            update, as the authors' code does and the paper does not say.
            Means then start as random unit vectors, else at zero. What is
            stored is then as in that code, the losses are not: here they see
            the means before they go back to unit length, and L_b is the mean
            over all pairs of classes of the batch; there up to 256 pairs of
            images closer than the margin are drawn, and their sum is divided
            by min(256, B (B - 1)) for B images. Defaults to `False`.
        seed: Seed of those random unit vectors. Defaults to 0.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        embeddings: Embeddings, not normalised.
        labels: Integers from 0 to `num_classes - 1`. With any other label in
            a batch the loss is NaN; its image moves no mean.
        training: Whether the stored means move.

    Input shape:
        embeddings `(batch, dim)`, labels `(batch,)`; the batch may be unknown.

    Output shape:
        A scalar, L_w + L_b, in float32.

    Raises:
        ValueError: If an argument is out of range or a shape is wrong.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.layers import ClassMeanEmbeddingLoss

    embeddings = np.random.rand(6, 16).astype("float32")
    loss = ClassMeanEmbeddingLoss(num_classes=3)
    value = loss(embeddings, np.array([0, 1, 2, 0, 1, 2]), training=True)
    ```

    Under a `tf.distribute` strategy the loss is taken over the joined batch
    of all replicas: one step over N replicas equals one step on one device.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        rate: float = 0.5,
        between_weight: float = 16.0,
        margin: float = 0.75,
        renormalize: bool = False,
        seed: int = 0,
        **kwargs,
    ):
        # Half precision would round large labels to others.
        super().__init__(autocast=False, **kwargs)
        num_classes = as_int("num_classes", num_classes)
        rate = as_number("rate", rate, 0.0, 1.0)
        between_weight = as_number(
            "between_weight", between_weight, 0.0, float("inf")
        )
        margin = as_number("margin", margin, 0.0, 4.0)
        self.num_classes = num_classes
        self.rate = rate
        self.between_weight = between_weight
        self.margin = margin
        self.renormalize = renormalize
        self.seed = as_plain(seed)

    def build(self, embeddings_shape, labels_shape=None):
        check_rank("embeddings", embeddings_shape, 2, "(batch, dim)")
        self.means = self.add_weight(
            shape=(self.num_classes, embeddings_shape[-1]),
            initializer=self._initial_means if self.renormalize else "zeros",
            trainable=False,
            autocast=False,  # means stay float32 under mixed precision
            dtype="float32",
            aggregation="mean",  # every replica writes the same value
            name="means",
        )

    def _initial_means(self, shape, dtype):
        return _unit(keras.random.normal(shape, dtype=dtype, seed=self.seed))

    def call(self, embeddings, labels, training=False):
        embeddings = _unit(ops.cast(embeddings, "float32"))
        labels = class_numbers(labels, self.num_classes)
        check_rank("labels", labels.shape, 1, "(batch,)")
        embeddings = join_batch(embeddings, training)
        labels = join_batch(labels, training)
        # The variable itself cannot enter jitted JAX code.
        stored = ops.convert_to_tensor(self.means)
        means = updated_class_means(stored, embeddings, labels, self.rate)
        if training:
            self._store(stored, labels, means)
        between = between_class_loss(
            means, labels, self.margin, self.between_weight
        )
        return within_class_loss(embeddings, means) + between

    def _store(self, stored, labels, means):
        means = ops.stop_gradient(means)
        if self.renormalize:
            means = _unit(means)
        self.means.assign(write_rows(stored, labels, means))

    def compute_output_shape(self, embeddings_shape, labels_shape=None):
        return ()

    def compute_output_spec(self, embeddings, labels, training=False):
        return keras.KerasTensor((), "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "rate": self.rate,
            "between_weight": self.between_weight,
            "margin": self.margin,
            "renormalize": self.renormalize,
            "seed": self.seed,
        }


def _unit(vectors):
    squared = ops.sum(vectors**2, axis=-1, keepdims=True)
    return vectors * ops.rsqrt(squared + NORM_EPSILON)
