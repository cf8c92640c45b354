import keras
from keras import ops

from keras_fgvc._checks import as_choice
from keras_fgvc.ops import bilinear_attention_pool, signed_sqrt
from keras_fgvc.ops._resizing import resize_channels
from keras_fgvc.ops.bilinear import POOLINGS, check_same_pixels

# Added to the squared length of a normalised vector, about the sum of the
# pooled magnitudes: far below that of any living map, and large enough for
# the gradient at the zero vector (1e4 here times 1e3 of the root) to survive.
NORM_EPSILON = 1e-8


@keras.saving.register_keras_serializable(package="keras_fgvc")
class BilinearAttentionPooling(keras.layers.Layer):
    """Pools features once under each attention map, one vector a part.

    With A_m the attention maps and F_c the feature channels,

        p_mc = 1/HW sum over pixels of A_m * F_c      (`pooling="average"`)
        p_mc = max over pixels of A_m * F_c           (`pooling="max"`)

    so row m describes the object part that map m attends to. With
    `normalize=True` the signed root and one L2 norm over all M * C values
    follow, which keep a few strong channels from deciding alone:

        p <- sign(p) sqrt(|p|),    p <- p / |p|

    Source: Eshratifar, Eigen, Gormish and Pedram, "Coarse2Fine: A Two-stage
    Training Method for Fine-grained Visual Classification", 2019,
    https://arxiv.org/abs/1909.02680, equation 1; the normalisation as in the
    code of Hu, Qi, Huang and Lu, "See Better Before Looking Closer", 2019,
    https://arxiv.org/abs/1901.09891.

    Args:
        pooling: `"average"` or `"max"`. Defaults to `"average"`.
        normalize: Whether to take the signed root and the norm. Defaults to
            `False`.
        resize: Whether attention maps of another size are resized
            bilinearly to that of the features. Defaults to `False`: they are
            refused.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        inputs: A pair `[features, attention]`.

    Input shape:
        features `(batch, height, width, channels)` and attention
        `(batch, height, width, maps)`; all but channels and maps may be
        unknown.

    Output shape:
        `(batch, maps, channels)`.

    Raises:
        ValueError: If `pooling` is unknown, an input does not have four axes,
            or the two differ in height or width without `resize`.

    Example:

    ```python
    import keras
    from keras_fgvc.layers import BilinearAttentionPooling

    features = keras.Input((14, 14, 64))
    attention = keras.layers.Conv2D(8, 1, activation="relu")(features)
    parts = BilinearAttentionPooling(normalize=True)([features, attention])
    outputs = keras.layers.Dense(200)(keras.layers.Flatten()(parts))
    model = keras.Model(features, outputs)
    ```

    A normalised vector of M * C values has tiny ones: scale it (by 100 in the
    published code) before a classifier. Attention should not be negative:
    without a ReLU the average is one linear map of the features' second
    moments.
    """

    def __init__(
        self,
        *,
        pooling: str = "average",
        normalize: bool = False,
        resize: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        pooling = as_choice("pooling", pooling, POOLINGS)
        self.pooling = pooling
        self.normalize = normalize
        self.resize = resize

    def build(self, input_shape):
        features, attention = input_shape
        if self.resize and len(features) == len(attention) == 4:
            attention = (attention[0], *features[1:3], attention[-1])
        check_same_pixels(features, attention)

    def call(self, inputs):
        # Pooled in float32: in half precision small averages would be lost
        # before the root makes them large.
        features, attention = (ops.cast(x, "float32") for x in inputs)
        if self.resize:
            height, width = ops.shape(features)[1:3]
            attention = resize_channels(attention, height, width)
        parts = bilinear_attention_pool(features, attention, self.pooling)
        if self.normalize:
            parts = signed_sqrt(parts)
            squared = ops.sum(parts**2, axis=(1, 2), keepdims=True)
            parts = parts * ops.rsqrt(squared + NORM_EPSILON)
        return ops.cast(parts, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        features, attention = input_shape
        return (features[0], attention[-1], features[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "normalize": self.normalize,
            "resize": self.resize,
        }
