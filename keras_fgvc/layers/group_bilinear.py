import keras
from keras import ops

from keras_fgvc._checks import as_int, check_rank
from keras_fgvc.ops import group_bilinear, group_codes, interpolate_channels
from keras_fgvc.ops.group_bilinear import check_groups


@keras.saving.register_keras_serializable(package="keras_fgvc")
class GroupBilinear(keras.layers.Layer):
    """Lets the channels of each group act on each other, pixel by pixel.

    Bilinear features of a whole map are pairs of all channels, millions of
    them; pairs within groups that each stand for one part are so few that
    the map keeps its size, and the layer can be used in the middle of a
    network. With x_g the s = channels / groups values of group g at a pixel
    and p_g that group's fixed code (`ops.group_codes`),

        z = 1/groups sum over groups of (x_g + p_g)(x_g + p_g)^T    (s x s)
        y = tanh(z), interpolated from s^2 to `filters` channels

    The mean over the groups forgets which of them an interaction came from;
    the codes put that back.

    Source: Zheng, Fu, Zha and Luo, "Learning Deep Bilinear Transformation for
    Fine-grained Image Representation", NeurIPS 2019,
    https://arxiv.org/abs/1911.03621. The tanh and the interpolation are those
    of its code, which divides by 32 whether there are 16 groups or 32, and
    whose 32 groups share two codes; here it is a mean and each group has its
    own code. Used by "Dual Attention Fusion" (DAF) for fine-grained image
    classification, section 3.4.

    Args:
        groups: Integer, the number of groups, contiguous blocks of channels.
        filters: Integer, the number of channels that come out. Defaults to
            `None`, as many as came in.
        codes: Whether the codes are added. Defaults to `True`.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        features: Best what `SemanticGrouping` gives.

    Input shape:
        `(batch, height, width, channels)`; all but channels may be unknown.

    Output shape:
        `(batch, height, width, filters)`, values from -1 to 1.

    Raises:
        TypeError: If `groups` or `filters` is not an integer.
        ValueError: If one of them is below 1, the input does not have four
            axes, or `groups` does not divide its channels.

    Example:

    ```python
    import keras
    from keras_fgvc.layers import GroupBilinear

    features = keras.Input((14, 14, 64))
    pairs = GroupBilinear(groups=8)(features)  # (None, 14, 14, 64)
    model = keras.Model(features, pairs)
    ```

    The layer has no weights. Where the square of channels / groups is below
    `filters`, the interpolation invents no new information.
    """

    def __init__(
        self,
        groups: int,
        *,
        filters: int | None = None,
        codes: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        groups = as_int("groups", groups)
        if filters is not None:
            filters = as_int("filters", filters)
        self.groups = groups
        self.filters = filters
        self.codes = codes

    def build(self, features_shape):
        check_rank(
            "features", features_shape, 4, "(batch, height, width, channels)"
        )
        check_groups(self.groups, features_shape[-1])

    def call(self, features):
        # In float32 from here to the tanh: float16 ends at 65504, and a
        # product of two features can be larger.
        values = ops.cast(features, "float32")
        channels = features.shape[-1]
        if self.codes:
            codes = group_codes(self.groups, channels).reshape(-1)
            values = values + ops.convert_to_tensor(codes)
        products = group_bilinear(values, self.groups) / self.groups
        pairs = interpolate_channels(
            ops.tanh(products), self.filters or channels
        )
        return ops.cast(pairs, self.compute_dtype)

    def compute_output_shape(self, features_shape):
        return (*features_shape[:-1], self.filters or features_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "filters": self.filters,
            "codes": self.codes,
        }
