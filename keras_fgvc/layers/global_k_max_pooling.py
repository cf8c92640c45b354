import keras
from keras import ops

from keras_fgvc._checks import as_int, check_rank
from keras_fgvc.ops import global_k_max_pool
from keras_fgvc.ops.pooling import check_k


@keras.saving.register_keras_serializable(package="keras_fgvc")
class GlobalKMaxPooling(keras.layers.Layer):
    """Averages the k largest values of each feature map.

    A drop-in for `GlobalAveragePooling2D` and `GlobalMaxPooling2D`, which are
    its two limits (`k = height * width` and `k = 1`). With a k in between the
    network can learn features that fire on the k most telling parts of an
    image; the gradient flows through those k places only.

    With S the values of map d in descending order:

        y_d = 1/k sum_{i=1..k} S_{d,i}              (eq. 3)
        y_d = 1/k sum_{i=1..k} w_i S_{d,i}          (eq. 4, `weighted=True`)

    Source: Hanselmann and Ney, "ELoPE: Fine-Grained Visual Classification
    with Efficient Localization, Pooling and Embedding", WACV 2020,
    https://arxiv.org/abs/1911.07344, section 3.

    Args:
        k: Integer, how many values of each map are averaged, from 1 to
            `height * width`. Defaults to 4, the paper's choice for 14x14 maps.
        weighted: Whether the k ranks have learned weights, shared by all
            channels. They start at 1, where eq. 4 equals eq. 3; the paper
            trains them in a short fine-tuning at the end. Defaults to `False`.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Input shape:
        `(batch, height, width, channels)`; all but channels may be unknown.

    Output shape:
        `(batch, channels)`.

    Raises:
        ValueError: If k is larger than `height * width`, or the input does
            not have four axes.

    Example:

    ```python
    import keras
    from keras_fgvc.layers import GlobalKMaxPooling

    inputs = keras.Input((14, 14, 64))
    outputs = keras.layers.Dense(200)(GlobalKMaxPooling(k=4)(inputs))
    model = keras.Model(inputs, outputs)
    ```

    Small maps make a small k: on a 7x7 map, k=4 looks at 8 % of the image,
    on the paper's 14x14 map at 2 %.
    """

    def __init__(self, k: int = 4, *, weighted: bool = False, **kwargs):
        super().__init__(**kwargs)
        k = as_int("k", k)
        self.k = k
        self.weighted = weighted
        self.rank_weights = None

    def build(self, input_shape):
        check_rank("inputs", input_shape, 4, "(batch, height, width, channels)")
        check_k(self.k, input_shape)
        if self.weighted:
            self.rank_weights = self.add_weight(
                shape=(self.k,), initializer="ones", name="rank_weights"
            )

    def call(self, inputs):
        weights = self.rank_weights
        if weights is not None:
            weights = ops.convert_to_tensor(weights)
        return global_k_max_pool(inputs, self.k, weights)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "k": self.k,
            "weighted": self.weighted,
        }
