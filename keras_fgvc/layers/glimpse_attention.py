import keras
from keras import ops

from keras_fgvc._checks import as_int, as_plain, check_rank
from keras_fgvc._replicas import SeedGenerator
from keras_fgvc.ops import (
    best_location,
    sample_locations,
    spatial_softmax,
    window_scores,
)
from keras_fgvc.ops.policy import NEVER, check_places

# A map without any contrast is all zeros then, not NaN.
EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="keras_fgvc")
class GlimpseAttention(keras.layers.Layer):
    """Scores every window of a feature map and picks where to look closely.

    Two convolutions give each cell a score, the softmax of the scores over
    the cells that stand for a window is the policy. In training it is
    sampled, so that it can be learned by reinforcement (`losses.reinforce`);
    in inference the window with the highest score is taken. A later glimpse
    also sees the score maps of the glimpses before it:

        g_t = conv_1(relu(conv_64([f, p_1, ..., p_t-1])))
        p_t = spatial_softmax(g_t)
        A_t ~ p_t in training, arg max p_t in inference

    The maps p are multiplied by the number of windows, so that a flat one is
    1 whatever its size, and let no gradient through: each glimpse answers for
    its own choice (eq. 3). `ops.window_boxes` and `ops.gather_windows` make a
    region of `region_size` cells of a location.

    The rate at which a glimpse learns matters: on feature maps that are all
    positive, one step moves the scores of all places by the sum over the
    channels. At the paper's RMSProp with 0.01 the policy of a map of 512
    channels settles on one place within 30 steps, before any reward has told
    it where. `standardize` keeps it open, and is ours: the paper does not say
    how it scales its map.

    Source: Liu et al., "Fully Convolutional Attention Localization Networks",
    2016, https://arxiv.org/abs/1603.06765, section 3; the activation between
    the convolutions is ours, the paper names none.

    Args:
        region_size: Side of the region in cells of the map.
        places: What it chooses among, see `ops.window_scores`: `"windows"`
            (default), every window once; an integer for a grid of so many
            windows per side; or `"cells"`, where a window at the border
            counts as often as there are cells that it is moved away from.
        standardize: Whether each channel's mean over the map is taken off
            and the map then divided by one number per image, so that its
            cells have a length of 1 on average. Defaults to `True`.
        num_samples: Locations drawn for each image in training (K).
            Defaults to 16.
        filters: Channels between the convolutions. Defaults to 64.
        kernel_size: Side of both kernels. Defaults to 3.
        seed: Of the samples. Defaults to `None`, a random one.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        features: Feature map of the whole image.
        previous: List of the scores of earlier glimpses; as many at each
            call.
        training: Whether locations are drawn; otherwise the best is taken.

    Input shape:
        features `(batch, height, width, channels)`, previous
        `(batch, height, width)` each.

    Output shape:
        Tuple of the scores g, `(batch, height, width)`, float32, -32768 where a
        cell stands for no window, and the locations (row, column),
        `(batch, samples, 2)`, int32, with `num_samples` samples in training
        and 1 otherwise.

    Raises:
        ValueError: If an argument is not as described, or the region is
            larger than the map.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.layers import GlimpseAttention
    from keras_fgvc.ops import window_boxes

    features = np.random.rand(2, 16, 16, 32).astype("float32")
    scores, locations = GlimpseAttention(region_size=8)(features)
    boxes = window_boxes(locations, 8, (16, 16))  # (2, 1, 4)
    ```
    """

    def __init__(
        self,
        region_size: int,
        *,
        places="windows",
        standardize: bool = True,
        num_samples: int = 16,
        filters: int = 64,
        kernel_size: int = 3,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        region_size = as_int("region_size", region_size)
        check_places(places)
        num_samples = as_int("num_samples", num_samples)
        filters = as_int("filters", filters)
        kernel_size = as_int("kernel_size", kernel_size)
        self.region_size = region_size
        self.places = as_plain(places)
        self.standardize = bool(standardize)
        self.num_samples = num_samples
        self.filters = filters
        self.kernel_size = kernel_size
        self.seed = as_plain(seed)
        self.seed_generator = SeedGenerator(self.seed)

    def build(self, features_shape, previous_shape=None):
        check_rank(
            "features", features_shape, 4, "(batch, height, width, channels)"
        )
        self._check_region(features_shape)
        *places, channels = features_shape
        inputs = (*places, channels + len(previous_shape or ()))
        self.hidden = self._convolution(self.filters, "relu", "hidden")
        self.hidden.build(inputs)
        # A bias would cancel in the softmax.
        self.score = self._convolution(1, None, "score", use_bias=False)
        self.score.build((*places, self.filters))

    def _check_region(self, features_shape):
        sides = [side for side in features_shape[1:3] if side is not None]
        if any(side < self.region_size for side in sides):
            raise ValueError(
                "`region_size` must not exceed the height and width of the "
                f"map. Received: region_size={self.region_size} for features "
                f"of shape {tuple(features_shape)}. Give a larger image, an "
                "earlier layer or a smaller region."
            )

    def _convolution(self, filters, activation, name, use_bias=True):
        return keras.layers.Conv2D(
            filters,
            self.kernel_size,
            padding="same",
            data_format="channels_last",
            activation=activation,
            use_bias=use_bias,
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, features, previous=None, training=False):
        maps = [_standardized(features) if self.standardize else features]
        for scores in previous or ():
            maps.append(ops.cast(_flat_is_one(scores), features.dtype))
        hidden = self.hidden(ops.concatenate(maps, axis=-1))
        scores = ops.cast(self.score(hidden)[..., 0], "float32")
        scores = window_scores(scores, self.region_size, self.places)
        if training:
            locations = sample_locations(
                scores, self.num_samples, self.seed_generator
            )
        else:
            locations = best_location(scores)
        return scores, locations

    def compute_output_shape(self, features_shape, previous_shape=None):
        return tuple(features_shape[:3]), (features_shape[0], 1, 2)

    def compute_output_spec(self, features, previous=None, training=None):
        scores = keras.KerasTensor(features.shape[:3], "float32")
        # Unknown where the same graph will train and predict.
        samples = {True: self.num_samples, False: 1}.get(training)
        locations = (features.shape[0], samples, 2)
        return scores, keras.KerasTensor(locations, "int32")

    @classmethod
    def from_config(cls, config):
        """Layers from before 0.9 chose among cells, on maps as they came."""
        return cls(**{"places": "cells", "standardize": False, **config})

    def get_config(self):
        return {
            **super().get_config(),
            "region_size": self.region_size,
            "places": self.places,
            "standardize": self.standardize,
            "num_samples": self.num_samples,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "seed": self.seed,
        }


def _flat_is_one(scores):
    """Scores `(b, h, w)` -> policy times places, `(b, h, w, 1)`."""
    scores = ops.expand_dims(ops.stop_gradient(scores), -1)
    policy = spatial_softmax(scores)
    are_places = ops.cast(scores > NEVER, policy.dtype)
    return policy * ops.sum(are_places, axis=(1, 2), keepdims=True)


def _standardized(features):
    """Takes off each channel's mean over the map; unit length on average."""
    maps = ops.cast(features, "float32")
    maps = maps - ops.mean(maps, axis=(1, 2), keepdims=True)
    squares = ops.sum(ops.square(maps), axis=-1, keepdims=True)
    mean = ops.mean(squares, axis=(1, 2), keepdims=True)
    return ops.cast(maps / ops.sqrt(mean + EPSILON), features.dtype)
