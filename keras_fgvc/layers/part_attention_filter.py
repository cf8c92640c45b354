import keras
from keras import ops

from keras_fgvc._checks import as_int, check_rank
from keras_fgvc.ops._resizing import resize_channels


@keras.saving.register_keras_serializable(package="keras_fgvc")
class PartAttentionFilter(keras.layers.Layer):
    """Weighs every value of a feature map by what a saliency map says of it.

    A small network, the "adaptive layer", turns the saliency of the object's
    parts into a mask of the features' shape, which highlights what tells
    classes apart before bilinear features are made of it. With Z the features
    and S the saliency, resized bilinearly to their height and width:

        H = relu(W_1 * S + b_1)                     (kernel_size, `filters`)
        M = 2 sigmoid(W_2 * H + b_2)                (1x1, as many as Z has)
        output = Z M

    W_2 and b_2 start at zero: then M is 1, so that the layer can be put into a
    pretrained network without changing what it computes.

    Source: "Dual Attention Fusion" (DAF) for fine-grained image
    classification, section 3.4. It asks for a mask "with the same shape as the
    corresponding feature map", used as a filter, and says no more: the two
    convolutions, their sizes, the sigmoid and its range 0..2, which lets a
    place be raised as well as lowered, and the start are ours.

    Args:
        filters: Integer, channels of H. Defaults to 16.
        kernel_size: Integer, side of the first convolution's kernel. Defaults
            to 3.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        inputs: A pair `[features, saliency]`.
        return_mask: Whether the mask comes back too. Defaults to `False`.

    Input shape:
        features `(batch, height, width, channels)` and saliency
        `(batch, i, j, maps)`, of any height and width; all but channels and
        maps may be unknown.

    Output shape:
        That of the features; with `return_mask` a tuple of two of that shape.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If an argument is below 1 or an input does not have four
            axes.

    Example:

    ```python
    import keras
    from keras_fgvc.layers import PartAttentionFilter

    features = keras.Input((14, 14, 64))
    saliency = keras.Input((56, 56, 1))
    filtered = PartAttentionFilter()([features, saliency])
    model = keras.Model([features, saliency], filtered)  # (None, 14, 14, 64)
    ```

    The resize takes the nearest saliency values, not the mean of a cell: what
    is smaller than a cell of the features may be missed.
    """

    def __init__(self, filters: int = 16, *, kernel_size: int = 3, **kwargs):
        super().__init__(**kwargs)
        filters = as_int("filters", filters)
        kernel_size = as_int("kernel_size", kernel_size)
        self.filters = filters
        self.kernel_size = kernel_size

    def build(self, input_shape):
        features, saliency = input_shape
        layout = "(batch, height, width, {})"
        check_rank("features", features, 4, layout.format("channels"))
        check_rank("saliency", saliency, 4, layout.format("maps"))
        size = (self.kernel_size, self.kernel_size)
        self.hidden_kernel = self.add_weight(
            shape=(*size, saliency[-1], self.filters),
            initializer="glorot_uniform",
            name="hidden_kernel",
        )
        self.hidden_bias = self.add_weight(
            shape=(self.filters,), initializer="zeros", name="hidden_bias"
        )
        self.mask_kernel = self.add_weight(
            shape=(1, 1, self.filters, features[-1]),
            initializer="zeros",
            name="mask_kernel",
        )
        self.mask_bias = self.add_weight(
            shape=(features[-1],), initializer="zeros", name="mask_bias"
        )

    def call(self, inputs, return_mask=False):
        features, saliency = inputs
        _, height, width, _ = ops.shape(features)
        saliency = ops.cast(
            resize_channels(saliency, height, width), self.compute_dtype
        )
        hidden = ops.relu(
            _convolve(saliency, self.hidden_kernel, self.hidden_bias)
        )
        scores = _convolve(hidden, self.mask_kernel, self.mask_bias)
        mask = 2.0 * ops.sigmoid(scores)
        filtered = features * mask
        return (filtered, mask) if return_mask else filtered

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def compute_output_spec(self, inputs, return_mask=False):
        filtered = keras.KerasTensor(inputs[0].shape, self.compute_dtype)
        if not return_mask:
            return filtered
        mask = keras.KerasTensor(inputs[0].shape, self.compute_dtype)
        return filtered, mask

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }


def _convolve(maps, kernel, bias):
    maps = ops.conv(
        maps,
        # The variable itself cannot enter jitted JAX code.
        ops.convert_to_tensor(kernel),
        padding="same",
        data_format="channels_last",
    )
    return maps + ops.convert_to_tensor(bias)
