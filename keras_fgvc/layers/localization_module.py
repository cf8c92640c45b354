import keras
from keras import ops

from keras_fgvc._checks import as_number, as_size, check_rank
from keras_fgvc.ops import heatmap_to_box, minmax_normalize

STEM_STRIDE = 4
# Pixels by which float32 may miss a side of whole cells.
ROUNDING = 1e-3


@keras.saving.register_keras_serializable(package="keras_fgvc")
class LocalizationModule(keras.layers.Layer):
    """Finds the object's box with a few early layers on a tiny image.

    Trained without boxes: it learns to predict the map of mean activations of
    a trained classifier's last layer, which is high on the object. The image
    is resized so that the stem, at stride 4, leaves a map one cell larger on
    each side than `output_size` (64x64 for 14x14); a 3x3 convolution gives
    one channel. The box is the tight rectangle around all cells that reach
    `threshold` after min-max normalisation.

    Source: Hanselmann and Ney, "ELoPE: Fine-Grained Visual Classification
    with Efficient Localization, Pooling and Embedding", WACV 2020,
    https://arxiv.org/abs/1911.07344, section 5.

    Args:
        output_size: Pair `(height, width)` of the heat map, or the side of a
            square. Defaults to
            (14, 14).
        threshold: Value (tau) of the normalised heat map from which a cell
            belongs to the object, 0 to 1. Defaults to 0.3 (the paper's for
            birds; 0.2 for cars and aircraft).
        mass: Share of the heat map's sum that the box's rows hold, and its
            columns, in place of `threshold`; see `ops.heatmap_to_box`.
            Defaults to None, the paper's threshold. On photographs of birds
            0.9 found more objects than any threshold.
        min_size: Side below which a box is taken for a failure and replaced
            by the whole image: above 1 in pixels of the image that comes in,
            up to 1 a share of its height and width. Defaults to 10 pixels, as
            the authors' code has it. A box is one cell at least, so that a
            map of 14 cells is held to it for images of fewer than 140 pixels.
        stem: `keras.Model` from raw pixels 0..255 to feature maps at stride
            4; best the first stage of the classifier itself (in ELoPE that
            of a ResNet-50). `None`, the default, makes three small
            convolutions.
        enabled: Whether boxes are used from the start. An untrained module
            has nothing to say: with `False`, the default, it returns the
            whole image as the box until `enable()` is called. The switch is a
            weight, so it is saved with the others.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        images: Raw pixels 0..255.

    Input shape:
        `(batch, height, width, 3)`; height and width may be unknown.

    Output shape:
        A pair: the heat map `(batch, output_height, output_width)`, not
        normalised; the box `(batch, 1, 4)`, `[y_min, x_min, y_max, x_max]`
        from 0 to 1 of the image, without gradient.

    Raises:
        ValueError: If an argument is out of range or the input does not have
            four axes.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.layers import LocalizationModule, PartCrop

    images = np.random.uniform(0, 255, (2, 96, 96, 3)).astype("float32")
    heatmap, boxes = LocalizationModule()(images)  # (2, 14, 14), (2, 1, 4)
    crops = PartCrop((96, 96))([images, boxes])  # (2, 1, 96, 96, 3)
    ```
    """

    def __init__(
        self,
        output_size=(14, 14),
        *,
        threshold: float = 0.3,
        mass: float | None = None,
        min_size: float = 10.0,
        stem: keras.Model | None = None,
        enabled: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        threshold = as_number("threshold", threshold, 0.0, 1.0)
        min_size = as_number("min_size", min_size, 0.0, float("inf"))
        self.output_size = as_size("output_size", output_size)
        self.threshold = threshold
        self.mass = None if mass is None else as_number("mass", mass, 0.0, 1.0)
        self.min_size = min_size
        self.stem = stem
        self.enabled = enabled

    def build(self, input_shape):
        check_rank("images", input_shape, 4, "(batch, height, width, channels)")
        self.features = self._default_stem() if self.stem is None else self.stem
        self.head = keras.layers.Conv2D(
            1,
            3,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="head",
        )
        working = (*self.working_size, input_shape[-1])
        if not self.features.built:
            self.features.build((None, *working))
        shape = self.features.compute_output_shape((None, *working))
        self.head.build(shape)
        self.switch = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(float(self.enabled)),
            trainable=False,
            dtype="float32",
            autocast=False,
            name="switch",
        )

    @property
    def working_size(self):
        """Height and width in pixels that images are resized to."""
        # The 3x3 convolution without padding takes one cell off each side.
        return tuple((side + 2) * STEM_STRIDE for side in self.output_size)

    def _default_stem(self):
        conv = keras.layers.Conv2D
        options = {
            "padding": "same",
            "data_format": "channels_last",
            "activation": "relu",
            "kernel_initializer": "he_normal",
            "dtype": self.dtype_policy,
        }
        layers = [
            keras.layers.Rescaling(1 / 127.5, -1.0, dtype=self.dtype_policy),
            conv(32, 3, strides=2, **options),
            conv(64, 3, strides=2, **options),
            conv(64, 3, **options),
        ]
        return keras.Sequential(layers, name="stem")

    def call(self, images, training=False):
        # An image of bytes would be rounded to bytes again.
        images = ops.cast(images, self.compute_dtype)
        small = ops.image.resize(
            images, self.working_size, data_format="channels_last"
        )
        heatmap = self.head(self.features(small, training=training))
        # A stem that does not pad leaves a smaller map.
        if tuple(heatmap.shape[1:3]) != self.output_size:
            heatmap = ops.image.resize(
                heatmap, self.output_size, data_format="channels_last"
            )
        heatmap = ops.cast(heatmap[..., 0], "float32")
        return heatmap, self._boxes(heatmap, ops.shape(images)[1:3])

    def _boxes(self, heatmap, image_size):
        normalized = minmax_normalize(ops.stop_gradient(heatmap))
        share = self.min_size if self.min_size <= 1 else 0.0
        threshold = self.threshold if self.mass is None else None
        boxes = heatmap_to_box(normalized, threshold, share, mass=self.mass)
        used = ops.convert_to_tensor(self.switch) > 0.5
        if self.min_size > 1:
            image_size = ops.stack([ops.cast(x, "float32") for x in image_size])
            pixels = (boxes[:, 2:] - boxes[:, :2]) * image_size
            fits = ops.min(pixels, axis=1, keepdims=True) + ROUNDING
            used = ops.logical_and(used, fits >= self.min_size)
        whole = ops.convert_to_tensor([0.0, 0.0, 1.0, 1.0])
        boxes = ops.where(used, boxes, whole)
        return ops.expand_dims(boxes, 1)

    def enable(self, value: bool = True) -> None:
        """Turns the boxes on (or, with `False`, back to the whole image)."""
        if self.built:
            self.switch.assign(float(value))
        else:
            self.enabled = value

    def compute_output_shape(self, input_shape):
        batch = input_shape[0]
        return (batch, *self.output_size), (batch, 1, 4)

    def compute_output_spec(self, images, training=False):
        shapes = self.compute_output_shape(images.shape)
        return tuple(keras.KerasTensor(shape, "float32") for shape in shapes)

    def get_config(self):
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "threshold": self.threshold,
            "mass": self.mass,
            "min_size": self.min_size,
            "stem": keras.saving.serialize_keras_object(self.stem),
            "enabled": self.enabled,
        }

    @classmethod
    def from_config(cls, config):
        stem = keras.saving.deserialize_keras_object(config["stem"])
        return cls(**{**config, "stem": stem})
