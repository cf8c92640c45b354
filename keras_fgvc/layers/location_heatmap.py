import keras
from keras import ops

from keras_fgvc._checks import as_size
from keras_fgvc.ops import location_heatmap
from keras_fgvc.ops.saliency import check_feature_maps


@keras.saving.register_keras_serializable(package="keras_fgvc")
class LocationHeatmap(keras.layers.Layer):
    """Marks where a network's feature maps respond above their average.

    A coarse mask of the object without a label: the channels of each map are
    summed, cells above the mean of the image are 1 and all others 0, and the
    masks are resized to one size,

        A_ij = sum over channels c of x_ijc
        M_ij = 1 where A_ij > mean of A over the image, else 0

    one channel a map; see `ops.location_heatmap`. `ops.foreground` joins the
    channels by majority. Meant for maps after a ReLU. No gradient passes.

    Source: "Dual Attention Fusion" (DAF) for fine-grained image
    classification, section 3.2, after Wei, Luo, Wu and Zhou, "Selective
    Convolutional Descriptor Aggregation for Fine-Grained Image Retrieval",
    TIP 2017, https://arxiv.org/abs/1604.04994.

    Args:
        size: Pair `(height, width)` of the heat map, or the side of a
            square. Defaults to `None`, the
            height and width of the first map.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        feature_maps: A list of feature maps.

    Input shape:
        Each `(batch, height_i, width_i, channels_i)`; all but the channels
        may be unknown.

    Output shape:
        `(batch, height, width, maps)`.

    Raises:
        ValueError: If `size` is not a pair of positive integers, the list is
            empty or a map does not have four axes.

    Example:

    ```python
    import keras
    from keras_fgvc.layers import LocationHeatmap

    maps = [keras.Input((56, 56, 512)), keras.Input((28, 28, 1024))]
    heatmap = LocationHeatmap()(maps)  # (None, 56, 56, 2)
    ```
    """

    def __init__(self, size=None, **kwargs):
        # Float32 maps are compared as they are, whatever the compute dtype.
        super().__init__(autocast=False, **kwargs)
        self.size = None if size is None else as_size("size", size)

    def build(self, feature_maps_shape):
        check_feature_maps(feature_maps_shape)

    def call(self, feature_maps):
        heatmap = location_heatmap(feature_maps, self.size)
        return ops.cast(heatmap, self.compute_dtype)

    def compute_output_shape(self, feature_maps_shape):
        first = feature_maps_shape[0]
        height, width = self.size or first[1:3]
        return (first[0], height, width, len(feature_maps_shape))

    def get_config(self):
        return {**super().get_config(), "size": self.size}
