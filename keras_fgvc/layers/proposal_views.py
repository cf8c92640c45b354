import keras
from keras import ops

from keras_fgvc._checks import (
    as_int,
    as_number,
    check_rank,
    check_shape,
)
from keras_fgvc._replicas import SeedGenerator
from keras_fgvc.ops import gaussian_blur, isolate_boxes


@keras.saving.register_keras_serializable(package="keras_fgvc")
class ProposalViews(keras.layers.Layer):
    """Shows an image once for each part proposal, with that part alone clear.

    How much a proposal is worth is asked of a network: it sees the image with
    the proposal's pixels as they are, noise over the other proposals and
    everything else blurred, and is the better at naming the class the more
    the proposal shows. Unlike a crop it still sees where the part was.

        view_i = image            in box i
                 image + noise    in another box
                 blur(image)      elsewhere

    in pixel values, cut off to 0..255; see `ops.isolate_boxes`. All views of
    an image have the same noise. In training it is drawn anew at each call.
    Otherwise it is one constant pattern, the same for every image: the views
    of an image depend on nothing but itself.

    Source: "Dual Attention Fusion" (DAF) for fine-grained image
    classification, section 3.3 and figure 2. The paper says "noise" and "heavy
    Gaussian blur" and gives no numbers: the normal distribution and both
    defaults are ours.

    Args:
        noise_stddev: Standard deviation of the noise in pixel values.
            Defaults to 64, a quarter of their range; 0 adds none.
        blur_sigma: Standard deviation of the blur as a share of the image's
            height, 0 to 1. Defaults to 0.03, 13 pixels of 448; 0 blurs
            nothing.
        seed: Integer, of the noise. Defaults to 0.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        inputs: A pair `[images, boxes]`.
        training: Whether the noise is drawn anew.

    Input shape:
        images `(batch, height, width, channels)`, pixel values 0..255, integer
        or floating point, of any height and width; boxes `(batch, boxes, 4)`:
        `[y_min, x_min, y_max, x_max]`, from 0 to 1 of the image.

    Output shape:
        `(batch, boxes, height, width, channels)`. The boxes get no gradient.

    Raises:
        ValueError: If an argument is out of range, or an input has the wrong
            number of axes.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.layers import ProposalViews

    images = np.random.randint(0, 256, (2, 96, 96, 3)).astype("uint8")
    boxes = np.array(2 * [[[0.1, 0.2, 0.5, 0.7], [0.4, 0.4, 0.9, 0.8]]])
    views = ProposalViews()([images, boxes])  # (2, 2, 96, 96, 3)
    ```
    """

    def __init__(
        self,
        *,
        noise_stddev: float = 64.0,
        blur_sigma: float = 0.03,
        seed: int = 0,
        **kwargs,
    ):
        # As in ROIAlign: boxes must keep their digits.
        super().__init__(autocast=False, **kwargs)
        noise_stddev = as_number(
            "noise_stddev", noise_stddev, 0.0, float("inf")
        )
        blur_sigma = as_number("blur_sigma", blur_sigma, 0.0, 1.0)
        seed = as_int("seed", seed, minimum=0)
        self.noise_stddev = noise_stddev
        self.blur_sigma = blur_sigma
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def build(self, input_shape):
        images, boxes = input_shape
        check_rank("images", images, 4, "(batch, height, width, channels)")
        check_shape("boxes", boxes, (None, None, 4), "(batch, boxes, 4)")

    def call(self, inputs, training=None):
        images, boxes = inputs
        images = ops.cast(images, "float32")
        height = ops.cast(ops.shape(images)[1], "float32")
        blurred = gaussian_blur(images, self.blur_sigma * height)
        noise = self._noise(ops.shape(images), training)
        views = isolate_boxes(images, boxes, noise, blurred)
        return ops.cast(views, self.compute_dtype)

    def _noise(self, shape, training):
        """(b, h, w, c) in training, else (1, h, w, c)."""
        seed = self.seed_generator
        if not training:
            # An image's own place in the batch must not change its noise.
            shape, seed = (1, *shape[1:]), self.seed
        return keras.random.normal(
            shape, stddev=self.noise_stddev, dtype="float32", seed=seed
        )

    def compute_output_shape(self, input_shape):
        images, boxes = input_shape
        return (*boxes[:2], *images[1:])

    def get_config(self):
        return {
            **super().get_config(),
            "noise_stddev": self.noise_stddev,
            "blur_sigma": self.blur_sigma,
            "seed": self.seed,
        }
