import keras

from keras_fgvc._checks import check_rank
from keras_fgvc._replicas import must_synchronize
from keras_fgvc.layers.group_bilinear import GroupBilinear
from keras_fgvc.layers.semantic_grouping import SemanticGrouping
from keras_fgvc.ops._precision import wide_dtype


@keras.saving.register_keras_serializable(package="keras_fgvc")
class DeepBilinearTransformation(keras.layers.Layer):
    """Adds to a feature map the interactions of its channels, part by part.

        y = x + gamma * norm(GroupBilinear(SemanticGrouping(x))) + beta

    The map keeps its shape, and gamma and beta start at 0: at first the
    output is the input exactly, in training too, so the block can be put into
    a pretrained network (`backbones.insert`) without disturbing it. The first
    step moves gamma; from then on the grouping is taught by the task as well.

    Source: Zheng, Fu, Zha and Luo, "Learning Deep Bilinear Transformation for
    Fine-grained Image Representation", NeurIPS 2019,
    https://arxiv.org/abs/1911.03621. There the shortcut lies in a block
    before the 3x3 convolution of a ResNet that is pretrained as a whole. Used
    by "Dual Attention Fusion" (DAF) for fine-grained image classification,
    section 3.4, which leaves the settings open.

    Args:
        groups: Integer, the number of groups, DBTNet's for most layers (32 in
            its last). Defaults to 16.
        filters: Integer, the number of channels that are grouped, a multiple
            of `groups`. Defaults to `None`, as many as came in.
        grouping_weight: Weight of `losses.channel_grouping`, see
            `SemanticGrouping`. Defaults to 0.1; 0 leaves it out.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        features: `(batch, height, width, channels)`.
        return_loss: Whether the grouping loss comes back too, unweighted and
            one value an image, for a model that has its loss terms by name.
            The layer then adds none of its own. Defaults to `False`.
        training: Whether the batch's own statistics normalise.

    Input shape:
        `(batch, height, width, channels)`; all but channels may be unknown.

    Output shape:
        As the input; with `return_loss` a tuple of that and the loss
        `(batch,)`, float32.

    Raises:
        TypeError: If `groups` or `filters` is not an integer.
        ValueError: If an argument is out of range, the input does not have
            four axes, or `groups` does not divide the channels.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.layers import DeepBilinearTransformation

    features = np.random.rand(2, 7, 7, 64).astype("float32")
    block = DeepBilinearTransformation(groups=8)
    np.testing.assert_array_equal(block(features), features)
    ```

    `backbones.set_trainable` and `backbones.build` freeze every batch
    normalisation they find, this layer's too, and a frozen gamma of 0 never
    learns: put the layer in afterwards, or use `batch_norm="train"`.
    """

    def __init__(
        self,
        groups: int = 16,
        *,
        filters: int | None = None,
        grouping_weight: float = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.grouping = SemanticGrouping(
            groups,
            filters=filters,
            grouping_weight=grouping_weight,
            dtype=self.dtype_policy,
            name="grouping",
        )
        self.groups = self.grouping.groups
        self.filters = self.grouping.filters
        self.grouping_weight = self.grouping.grouping_weight

    def build(self, features_shape):
        check_rank(
            "features", features_shape, 4, "(batch, height, width, channels)"
        )
        self.grouping.build(features_shape)
        self.bilinear = GroupBilinear(
            self.groups,
            filters=features_shape[-1],
            dtype=self.dtype_policy,
            name="bilinear",
        )
        self.bilinear.build(self.grouping.compute_output_shape(features_shape))
        self.residual = keras.layers.BatchNormalization(
            momentum=0.9,  # as in `SemanticGrouping`
            gamma_initializer="zeros",
            synchronized=must_synchronize(),
            dtype=self.dtype_policy,
            name="residual",
        )
        self.residual.build(features_shape)

    def call(self, features, return_loss=False, training=None):
        grouped = self.grouping(
            features, return_loss=return_loss, training=training
        )
        grouped, *loss = grouped if return_loss else (grouped,)
        pairs = self.residual(self.bilinear(grouped), training=training)
        return (features + pairs, *loss) if return_loss else features + pairs

    def compute_output_shape(self, features_shape):
        return tuple(features_shape)

    def compute_output_spec(self, features, return_loss=False, training=None):
        output = keras.KerasTensor(features.shape, self.compute_dtype)
        if not return_loss:
            return output
        dtype = wide_dtype(self.compute_dtype)
        return output, keras.KerasTensor(features.shape[:1], dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "filters": self.filters,
            "grouping_weight": self.grouping_weight,
        }
