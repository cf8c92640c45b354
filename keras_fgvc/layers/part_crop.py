import keras

from keras_fgvc._checks import as_size, check_choice, check_rank, check_shape
from keras_fgvc.ops import crop_and_resize, roi_align


@keras.saving.register_keras_serializable(package="keras_fgvc")
class PartCrop(keras.layers.Layer):
    """Cuts parts out of images or feature maps by their boxes.

    The step between "where is the bird" and "look at it again": every box of
    every image comes out at one size, ready for a second network. Images are
    resampled with one bilinear sample per pixel (the whole-image box at the
    image's own size gives the image back, bit for bit); feature maps with
    ROIAlign's four samples per cell. Gradients reach the boxes in both cases.

    Args:
        output_size: Pair `(height, width)` of each part, in pixels or cells,
            or the side of a square.
        source: `"image"` or `"features"`. Defaults to `"image"`.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        inputs: A pair `[images, boxes]`.

    Input shape:
        images `(batch, height, width, channels)`, of any height and width;
        boxes `(batch, parts, 4)`: `[y_min, x_min, y_max, x_max]`, from 0 to 1
        of the image.

    Output shape:
        `(batch, parts, output_height, output_width, channels)`.

    Raises:
        ValueError: If `source` is another word, or an input has the wrong
            number of axes.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.layers import PartCrop

    images = np.random.uniform(0, 255, (2, 90, 120, 3)).astype("float32")
    boxes = np.array([[[0.1, 0.2, 0.6, 0.7]], [[0.0, 0.0, 1.0, 1.0]]])
    parts = PartCrop((64, 64))([images, boxes])  # (2, 1, 64, 64, 3)
    ```

    An image more than twice as large as its crop is undersampled: resize the
    images with antialiasing first.
    """

    def __init__(self, output_size, *, source: str = "image", **kwargs):
        # As in ROIAlign: boxes must keep their digits.
        super().__init__(autocast=False, **kwargs)
        check_choice("source", source, ("image", "features"))
        self.output_size = as_size("output_size", output_size)
        self.source = source

    def build(self, input_shape):
        images, boxes = input_shape
        check_rank("images", images, 4, "(batch, height, width, channels)")
        check_shape("boxes", boxes, (None, None, 4), "(batch, parts, 4)")

    def call(self, inputs):
        images, boxes = inputs
        images = keras.ops.cast(images, self.compute_dtype)
        if self.source == "image":
            return crop_and_resize(images, boxes, self.output_size)
        return roi_align(images, boxes, self.output_size)

    def compute_output_shape(self, input_shape):
        images, boxes = input_shape
        return (*boxes[:2], *self.output_size, images[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "source": self.source,
        }
