import keras
from keras import ops

from keras_fgvc._checks import as_int, as_number, check_rank
from keras_fgvc._replicas import must_synchronize
from keras_fgvc.losses import channel_grouping
from keras_fgvc.ops._precision import wide_dtype
from keras_fgvc.ops.group_bilinear import check_groups


@keras.saving.register_keras_serializable(package="keras_fgvc")
class SemanticGrouping(keras.layers.Layer):
    """Orders channels into groups, each of which comes to see one part.

        y = relu(batch_norm(W x))          (W a 1x1 convolution, no bias)

    What makes groups of it is a loss, `losses.channel_grouping`: channels of
    one group, a contiguous block, are to respond at the same places and those
    of two groups at different ones.

    Source: Zheng, Fu, Zha and Luo, "Learning Deep Bilinear Transformation for
    Fine-grained Image Representation", NeurIPS 2019,
    https://arxiv.org/abs/1911.03621; used by "Dual Attention Fusion" (DAF)
    for fine-grained image classification, section 3.4.

    Args:
        groups: Integer, the number of groups.
        filters: Integer, the number of channels that come out, a multiple of
            `groups`. Defaults to `None`, as many as came in.
        grouping_weight: Weight of the loss, which the layer adds to the
            model's losses in training. Defaults to 0.1, ours: DBTNet's own
            3e-4 and 1e-5 belong to its code's quartic form. 0 leaves it out.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        features: `(batch, height, width, channels)`.
        return_loss: Whether the loss comes back too, unweighted and one value
            an image, for a model that has its loss terms by name. The layer
            then adds none of its own, whatever `grouping_weight`. Defaults to
            `False`.
        training: Whether the batch's own statistics normalise.

    Input shape:
        `(batch, height, width, channels)`; all but channels may be unknown.

    Output shape:
        `(batch, height, width, filters)`; with `return_loss` a tuple of that
        and the loss `(batch,)`, float32.

    Raises:
        TypeError: If `groups` or `filters` is not an integer.
        ValueError: If an argument is out of range, the input does not have
            four axes, or `groups` does not divide the channels.

    Example:

    ```python
    import keras
    from keras_fgvc.layers import GroupBilinear, SemanticGrouping

    features = keras.Input((14, 14, 60))
    grouped = SemanticGrouping(groups=8, filters=64)(features)
    model = keras.Model(features, GroupBilinear(groups=8)(grouped))
    ```
    """

    def __init__(
        self,
        groups: int,
        *,
        filters: int | None = None,
        grouping_weight: float = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        groups = as_int("groups", groups)
        if filters is not None:
            filters = as_int("filters", filters)
            check_groups(groups, filters)
        grouping_weight = as_number(
            "grouping_weight", grouping_weight, 0.0, float("inf")
        )
        self.groups = groups
        self.filters = filters
        self.grouping_weight = grouping_weight

    def build(self, features_shape):
        check_rank(
            "features", features_shape, 4, "(batch, height, width, channels)"
        )
        filters = self.filters or features_shape[-1]
        check_groups(self.groups, filters)
        self.convolution = keras.layers.Conv2D(
            filters,
            1,
            use_bias=False,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="convolution",
        )
        self.convolution.build(features_shape)
        self.normalization = keras.layers.BatchNormalization(
            # The stock 0.99 lags behind in a run of a few hundred steps.
            momentum=0.9,
            synchronized=must_synchronize(),
            dtype=self.dtype_policy,
            name="normalization",
        )
        self.normalization.build((*features_shape[:-1], filters))

    def call(self, features, return_loss=False, training=None):
        grouped = self.convolution(features)
        grouped = ops.relu(self.normalization(grouped, training=training))
        if return_loss:
            return grouped, channel_grouping(grouped, groups=self.groups)
        if training and self.grouping_weight:
            loss = ops.mean(channel_grouping(grouped, groups=self.groups))
            self.add_loss(self.grouping_weight * loss)
        return grouped

    def compute_output_shape(self, features_shape):
        return (*features_shape[:-1], self.filters or features_shape[-1])

    def compute_output_spec(self, features, return_loss=False, training=None):
        shape = self.compute_output_shape(features.shape)
        grouped = keras.KerasTensor(shape, self.compute_dtype)
        if not return_loss:
            return grouped
        dtype = wide_dtype(self.compute_dtype)
        return grouped, keras.KerasTensor(shape[:1], dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "filters": self.filters,
            "grouping_weight": self.grouping_weight,
        }
