import itertools

import keras

from keras_fgvc.ops._resizing import resize_nearest
from keras_fgvc.ops.saliency import check_feature_maps


@keras.saving.register_keras_serializable(package="keras_fgvc")
class FeaturePyramid(keras.layers.Layer):
    """Gives fine feature maps the meaning of the coarse ones.

    With C_i the maps from fine to coarse and up(P) the nearest resize to the
    size of the next finer map,

        M_i = conv_1x1(C_i) + up(M_i+1),    P_i = conv_3x3(M_i)

    each conv with its own weights and no activation.

    Source: Lin et al., "Feature Pyramid Networks for Object Detection", CVPR
    2017, https://arxiv.org/abs/1612.03144, section 3.

    Args:
        filters: Channels of every level.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        feature_maps: List of `(batch, height_i, width_i, channels_i)`, from
            fine to coarse.

    Output shape:
        List of `(batch, height_i, width_i, filters)`.

    Raises:
        ValueError: If the list is empty, a map does not have four axes, is
            larger than the one before it, or their number has changed.
    """

    def __init__(self, filters: int, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, feature_maps_shape):
        check_feature_maps(feature_maps_shape)
        _check_fine_to_coarse(feature_maps_shape)
        self.laterals, self.smoothings = [], []
        for level, shape in enumerate(feature_maps_shape):
            lateral = self._convolution(1, f"lateral_{level}")
            lateral.build(shape)
            self.laterals.append(lateral)
            smoothing = self._convolution(3, f"smoothing_{level}")
            smoothing.build((*shape[:3], self.filters))
            self.smoothings.append(smoothing)

    def _convolution(self, kernel_size, name):
        return keras.layers.Conv2D(
            self.filters,
            kernel_size,
            padding="same",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, feature_maps):
        if len(feature_maps) != len(self.laterals):
            raise ValueError(
                f"`feature_maps` must have {len(self.laterals)} maps, as when "
                f"the layer was built. Received: {len(feature_maps)} maps."
            )
        merged, levels = None, []
        for level in reversed(range(len(feature_maps))):
            lateral = self.laterals[level](feature_maps[level])
            if merged is not None:
                height, width = keras.ops.shape(lateral)[1:3]
                lateral = lateral + resize_nearest(merged, height, width)
            merged = lateral
            levels.append(self.smoothings[level](merged))
        return levels[::-1]

    def compute_output_shape(self, feature_maps_shape):
        return [(*shape[:3], self.filters) for shape in feature_maps_shape]

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


def _check_fine_to_coarse(shapes):
    for fine, coarse in itertools.pairwise(shapes):
        sides = zip(fine[1:3], coarse[1:3], strict=True)
        if any(None not in pair and pair[0] < pair[1] for pair in sides):
            raise ValueError(
                "`feature_maps` must go from fine to coarse. Received: a map "
                f"of shape {tuple(coarse)} after one of {tuple(fine)}."
            )
