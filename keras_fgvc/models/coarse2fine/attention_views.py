"""Makes the second look of Coarse2Fine and WS-DAN of attention maps.

Each step is a layer of the model's graph. Maps are `(b, h, w, m)`, images
raw pixels; nothing loops over the batch.
"""

import keras
from keras import ops

from keras_fgvc._replicas import SeedGenerator, must_synchronize
from keras_fgvc.ops import (
    attention_drop,
    crop_and_resize,
    heatmap_to_box,
    minmax_normalize,
    mix_hypotheses,
    sample_maps,
)

# What hides a pixel: mid grey, the zero of most backbones' preprocessing, so
# that a mask multiplies the image as the network sees it.
GREY = 127.5
# Below any activation that matters; a dead map then hides everything.
SMALLEST_PEAK = 1e-6
# A map this flat has nothing to show, and must not show its rounding errors.
SMALLEST_VARIANCE = 1e-5
# Of Hu et al.'s code: shares of a map's maximum, shares of the image's side.
CROP_THRESHOLDS = (0.4, 0.6)
CROP_PADDING = 0.1
DROP_THRESHOLDS = (0.2, 0.5)
INFERENCE_CROP_THRESHOLD = 0.1
INFERENCE_CROP_PADDING = 0.05


@keras.saving.register_keras_serializable(package="keras_fgvc")
class AttentionMaps(keras.layers.Layer):
    """A 1x1 convolution without bias, a normalisation of each map, and ReLU.

    `offset / sqrt(channels)` is added to every initial weight: features behind
    a ReLU are positive, so each map then starts where the features are strong.
    `norm="standardize"` gives each map mean 0 and variance 1 over its places,
    `"batch"` normalises it over the batch, in each look by itself. `hold=True`
    keeps the gradient of a call from the kernel, not from the features.
    """

    def __init__(
        self,
        num_maps,
        orthogonal=True,
        norm="standardize",
        *,
        offset=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_maps = num_maps
        self.orthogonal = orthogonal
        self.norm = norm
        self.offset = offset
        self.batch_norms = [
            keras.layers.BatchNormalization(
                momentum=0.9,
                synchronized=must_synchronize(),
                dtype=self.dtype_policy,
                name=name,
            )
            for name in ("norm", "second_norm")
            if norm == "batch"
        ]

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(1, 1, input_shape[-1], self.num_maps),
            initializer=self._initial_kernel,
            name="kernel",
        )
        for layer in self.batch_norms:
            layer.build((*input_shape[:-1], self.num_maps))

    def _initial_kernel(self, shape, dtype):
        name = "orthogonal" if self.orthogonal else "glorot_uniform"
        start = keras.initializers.get(name)(shape, dtype=dtype)
        return start + self.offset / shape[2] ** 0.5

    def call(self, features, hold=False, second=False, training=False):
        kernel = ops.convert_to_tensor(self.kernel)
        if hold:
            kernel = ops.stop_gradient(kernel)
        scores = ops.conv(features, kernel, data_format="channels_last")
        if self.norm == "standardize":
            scores = _standardized(scores)
        elif self.norm == "batch":
            scores = self.batch_norms[second](scores, training=training)
        return ops.relu(scores)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.num_maps)

    def get_config(self):
        return {
            **super().get_config(),
            "num_maps": self.num_maps,
            "orthogonal": self.orthogonal,
            "norm": self.norm,
            "offset": self.offset,
        }

    @classmethod
    def from_config(cls, config):
        """Files from before 0.9 say `standardize`, which is one `norm`."""
        return cls(**with_norm(config, "standardize", "norm"))


class MapChoice(keras.layers.Layer):
    """One map at random in training, their mean otherwise: `(b, h, w, 1)`."""

    def __init__(self, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = SeedGenerator(seed)

    def call(self, attention, training=False):
        if training:
            chosen = sample_maps(attention, self.seed_generator, uniform=True)
        else:
            chosen = ops.mean(attention, axis=-1)
        return ops.expand_dims(chosen, -1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)


class Highlight(keras.layers.Layer):
    """Keeps an image where its mask is high and greys it where it is low."""

    def call(self, inputs):
        images, masks = inputs
        masks = ops.cast(masks, "float32")
        size = tuple(images.shape[1:3])
        if tuple(masks.shape[1:3]) != size:
            masks = ops.image.resize(masks, size, data_format="channels_last")
        # A trained up-sampler may dip below zero.
        masks = ops.relu(masks)
        peaks = ops.max(masks, axis=(1, 2), keepdims=True)
        masks = masks / ops.maximum(peaks, SMALLEST_PEAK)
        return GREY + masks * (ops.cast(images, "float32") - GREY)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])


class CropAndDrop(keras.layers.Layer):
    """WS-DAN's views: in training `(2b, ...)`, crops and then drops.

    Otherwise the `(b, ...)` crops by the mean map.
    """

    def __init__(self, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = SeedGenerator(seed)

    def call(self, inputs, training=False):
        images, attention = inputs
        images = ops.cast(images, "float32")
        attention = ops.stop_gradient(attention)
        if not training:
            return _crop(
                images,
                ops.mean(attention, axis=-1),
                INFERENCE_CROP_THRESHOLD,
                INFERENCE_CROP_PADDING,
            )
        batch = ops.shape(images)[0]
        crops = _crop(
            images,
            sample_maps(attention, self.seed_generator),
            self._draw(batch, CROP_THRESHOLDS),
            CROP_PADDING,
        )
        # As if the preprocessed image were multiplied by a mask of 0 and 1.
        drops = GREY + attention_drop(
            images - GREY,
            sample_maps(attention, self.seed_generator),
            self._draw(batch, DROP_THRESHOLDS),
        )
        return ops.concatenate([crops, drops], axis=0)

    def _draw(self, batch, limits):
        return keras.random.uniform((batch,), *limits, seed=self.seed_generator)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])


@keras.saving.register_keras_serializable(package="keras_fgvc")
class ObjectBox(keras.layers.Layer):
    """Up-sampled map to the tight box of what lies above a threshold.

    The map is averaged over squares of about one attention cell first.
    """

    def __init__(self, threshold, cell, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold
        self.cell = cell

    def call(self, masks):
        masks = ops.stop_gradient(ops.cast(masks, "float32"))
        # One direction after the other: the same mean for far fewer sums.
        window = self.cell + 1 - self.cell % 2  # odd: the mean stays in place
        for size in ((window, 1), (1, window)):
            masks = ops.average_pool(
                masks, size, 1, padding="same", data_format="channels_last"
            )
        heatmap = minmax_normalize(masks[..., 0])
        boxes = heatmap_to_box(heatmap, self.threshold)
        return ops.expand_dims(boxes, 1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1, 4)

    def get_config(self):
        config = {"threshold": self.threshold, "cell": self.cell}
        return {**super().get_config(), **config}


class HeadFusion(keras.layers.Layer):
    """Logits of the prediction from those of the two heads."""

    def __init__(self, predict_with, **kwargs):
        super().__init__(**kwargs)
        self.predict_with = predict_with

    def call(self, inputs):
        coarse, fine = inputs
        fine = fine[: ops.shape(coarse)[0]]  # in training: the crops
        if self.predict_with != "both":
            chosen = coarse if self.predict_with == "coarse" else fine
            return ops.cast(chosen, "float32")
        hypotheses = ops.stack([coarse, fine], axis=1)  # (b, 2, classes)
        halves = ops.full_like(hypotheses[..., 0], 0.5)
        return mix_hypotheses(hypotheses, halves, "probabilities")

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])


def with_norm(config, old, new):
    """Replaces whether maps are standardised by how they are normalised."""
    config = dict(config)
    if old in config and new not in config:
        config[new] = "standardize" if config.pop(old) else "none"
    return config


def _standardized(scores):
    """Mean 0 and variance 1 over the places of each map, `(b, h, w, m)`."""
    values = ops.cast(scores, "float32")
    values = values - ops.mean(values, axis=(1, 2), keepdims=True)
    variance = ops.mean(values**2, axis=(1, 2), keepdims=True)
    values = values * ops.rsqrt(variance + SMALLEST_VARIANCE)
    return ops.cast(values, scores.dtype)


def _crop(images, maps, threshold, padding):
    """The part of each image in which its map is high, at full size."""
    size = tuple(images.shape[1:3])
    maps = ops.cast(maps, "float32")
    maps = ops.image.resize(
        ops.expand_dims(maps, -1), size, data_format="channels_last"
    )[..., 0]
    peaks = ops.max(maps, axis=(1, 2), keepdims=True)
    threshold = ops.reshape(ops.cast(threshold, "float32"), (-1, 1, 1))
    boxes = heatmap_to_box(maps - threshold * peaks, 0.0)
    outwards = ops.convert_to_tensor([-1.0, -1.0, 1.0, 1.0])
    boxes = ops.clip(boxes + padding * outwards, 0.0, 1.0)
    return crop_and_resize(images, boxes, size)
