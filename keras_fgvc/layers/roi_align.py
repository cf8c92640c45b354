import keras

from keras_fgvc._checks import (
    as_int,
    as_size,
    check_rank,
    check_shape,
)
from keras_fgvc.ops import roi_align


@keras.saving.register_keras_serializable(package="keras_fgvc")
class ROIAlign(keras.layers.Layer):
    """Cuts boxes out of feature maps, each resampled to one size.

    Each output cell is the mean of `samples * samples` bilinear samples at
    exact, unrounded positions (pixel centres at half integers), so features
    stay aligned with the image and the result is differentiable in the
    features and in the boxes.

    Source: He, Gkioxari, Dollar and Girshick, "Mask R-CNN", ICCV 2017,
    https://arxiv.org/abs/1703.06870, section 3; sampling positions and border
    as torchvision's `roi_align(aligned=True)`.

    Args:
        output_size: Pair `(height, width)` of each cut-out, in cells, or the
            side of a square.
        samples: Samples per cell and axis. Defaults to 2.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        inputs: A pair `[features, boxes]`.

    Input shape:
        features `(batch, height, width, channels)`, of any height and width;
        boxes `(batch, boxes, 4)`: `[y_min, x_min, y_max, x_max]`, from 0 to 1
        of the image.

    Output shape:
        `(batch, boxes, output_height, output_width, channels)`.

    Raises:
        ValueError: If either input has the wrong number of axes.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.layers import ROIAlign

    features = np.random.rand(2, 14, 14, 8).astype("float32")
    boxes = np.array([[[0.0, 0.0, 0.5, 0.5]], [[0.2, 0.1, 0.9, 0.8]]])
    parts = ROIAlign((7, 7))([features, boxes])  # (2, 1, 7, 7, 8)
    ```
    """

    def __init__(self, output_size, *, samples: int = 2, **kwargs):
        # Boxes need more digits than a half-precision number has: they are
        # not cast to the compute dtype, the features are (in `call`).
        super().__init__(autocast=False, **kwargs)
        samples = as_int("samples", samples)
        self.output_size = as_size("output_size", output_size)
        self.samples = samples

    def build(self, input_shape):
        features, boxes = input_shape
        check_rank("features", features, 4, "(batch, height, width, channels)")
        check_shape("boxes", boxes, (None, None, 4), "(batch, boxes, 4)")

    def call(self, inputs):
        features, boxes = inputs
        features = keras.ops.cast(features, self.compute_dtype)
        return roi_align(features, boxes, self.output_size, self.samples)

    def compute_output_shape(self, input_shape):
        features, boxes = input_shape
        return (*boxes[:2], *self.output_size, features[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "samples": self.samples,
        }
