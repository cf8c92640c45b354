import keras
from keras import ops

from keras_fgvc._checks import (
    as_int,
    as_number,
    check_choice,
    check_rank,
)
from keras_fgvc.losses import mask_diversity
from keras_fgvc.ops import bilinear_attention_pool, spatial_softmax
from keras_fgvc.ops._precision import at_least_float32, wide_dtype


@keras.saving.register_keras_serializable(package="keras_fgvc")
class SpatialSoftmaxAttention(keras.layers.Layer):
    """Looks at the most telling places of a feature map, one a head.

    A single convolution scores every place, a softmax over the places makes
    a mask of the scores, and each head sums the features under its mask:

        M_k = spatial_softmax(W_k * Z)                               (eq. 1)
        H_k = sum over places of M_k Z                        (eq. 2 and 5)

    The paper writes the masked copy `M_k Z` of the whole map and sums it in
    the output head; as nothing lies between, the sum is taken here as a
    matrix product and no copy is made.

    Source: "A Painless Attention Mechanism for Convolutional Neural
    Networks", 2018, https://openreview.net/forum?id=rJe7FW-Cb, section 3.2.

    Args:
        num_heads: Integer, the number of masks (K, "attention width").
            Defaults to 1.
        kernel_size: Side of the convolution's kernel. Defaults to 1, the
            paper's; its authors' later code has 3.
        mask: `"softmax"` (default) or `"sigmoid"`, the paper's ablation. A
            sigmoid mask does not sum to one: the features under it are
            averaged over all places.
        diversity_weight: Weight (gamma, eq. 4) of `losses.mask_diversity`,
            which the layer adds to the model's losses in training when it has
            two heads or more. Defaults to 0.1; 0 leaves it out.
        kernel_initializer: Of the convolution, by name or as a
            `keras.initializers` object. Defaults to `"glorot_uniform"`: on
            the unnormalised maps of a pretrained network the masks then
            start with peaks at random places. `"zeros"` starts them flat, so
            that each head begins as average pooling; the heads come apart
            as soon as what follows treats them differently.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        features: Feature map of any layer.
        return_masks: Whether the masks come back too. Defaults to `False`.

    Input shape:
        `(batch, height, width, channels)`; all but channels may be unknown.

    Output shape:
        `(batch, num_heads, channels)`; with `return_masks` a tuple of that
        and the masks `(batch, height, width, num_heads)`, float32.

    Raises:
        ValueError: If an argument is not as described or the input does not
            have four axes.

    Example:

    ```python
    import keras
    from keras_fgvc.layers import SpatialSoftmaxAttention

    features = keras.Input((14, 14, 64))
    attended = SpatialSoftmaxAttention(num_heads=2)(features)  # (None, 2, 64)
    outputs = keras.layers.Dense(200)(keras.layers.Flatten()(attended))
    model = keras.Model(features, outputs)
    ```
    """

    def __init__(
        self,
        num_heads: int = 1,
        *,
        kernel_size: int = 1,
        mask: str = "softmax",
        diversity_weight: float = 0.1,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        num_heads = as_int("num_heads", num_heads)
        kernel_size = as_int("kernel_size", kernel_size)
        check_choice("mask", mask, ("softmax", "sigmoid"))
        diversity_weight = as_number(
            "diversity_weight", diversity_weight, 0.0, float("inf")
        )
        self.num_heads = num_heads
        self.kernel_size = kernel_size
        self.mask = mask
        self.diversity_weight = diversity_weight
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, features_shape):
        check_rank(
            "features", features_shape, 4, "(batch, height, width, channels)"
        )
        # A bias would cancel in the softmax.
        self.scores = keras.layers.Conv2D(
            self.num_heads,
            self.kernel_size,
            padding="same",
            data_format="channels_last",
            use_bias=self.mask == "sigmoid",
            kernel_initializer=self.kernel_initializer,
            dtype=self.dtype_policy,
            name="scores",
        )
        self.scores.build(features_shape)

    def call(self, features, return_masks=False, training=False):
        scores = self.scores(features)
        if self.mask == "softmax":
            masks = weights = spatial_softmax(scores)
            height, width = ops.shape(masks)[1:3]
            # The pooling averages: undo its division by the places.
            weights = masks * ops.cast(height * width, masks.dtype)
        else:
            masks = weights = ops.sigmoid(at_least_float32(scores))
        if training and self.diversity_weight and self.num_heads > 1:
            self.add_loss(
                self.diversity_weight * ops.mean(mask_diversity(masks))
            )
        attended = bilinear_attention_pool(features, weights)
        return (attended, masks) if return_masks else attended

    def compute_output_shape(self, features_shape):
        return (features_shape[0], self.num_heads, features_shape[-1])

    def compute_output_spec(self, features, return_masks=False, training=False):
        attended = keras.KerasTensor(
            self.compute_output_shape(features.shape), self.compute_dtype
        )
        if not return_masks:
            return attended
        masks = (*features.shape[:3], self.num_heads)
        dtype = wide_dtype(self.compute_dtype)
        return attended, keras.KerasTensor(masks, dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "kernel_size": self.kernel_size,
            "mask": self.mask,
            "diversity_weight": self.diversity_weight,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
        }
