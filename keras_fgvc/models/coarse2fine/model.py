"""Coarse2Fine: the coarse look's attention lights up the image for a second.

Eshratifar, Eigen, Gormish and Pedram, "Coarse2Fine: A Two-stage Training
Method for Fine-grained Visual Classification", 2019,
https://arxiv.org/abs/1909.02680; with `augment="crop_drop"` its parent, Hu
and Qi, "See Better Before Looking Closer" (WS-DAN), 2019,
https://arxiv.org/abs/1901.09891.

| paper             | here                                   | where        |
|-------------------|----------------------------------------|--------------|
| M                 | `num_maps`                             | setup        |
| f, feature matrix | `"parts"`, `BilinearAttentionPooling`  | eq. 1        |
| c, beta           | `center_loss`, `center_rate`           | eq. 2, 3     |
| lambda            | `center_weight`                        | eq. 4        |
| Deconv            | `upsampler`                            | algorithm 1  |
| A_k * B_i         | layer `highlight`                      | algorithm 1  |
| SVD               | `orthogonal`                           | algorithm 1  |

```
image (b, H, W, 3) -> square (b, s, s, 3)
  -> features     -> feature map (b, h, w, c) -> attention (b, h, w, M)
  -> part pooling -> parts (b, M, c) -> coarse_logits (b, classes)
  attention -> one map (the mean at inference) -> upsampler (b, s, s, 1)
  -> highlight (b, s, s, 3) -> the same features and attention
  -> part pooling -> fine_parts (b, M, c) -> fine_logits (b, classes)
  mean map -> upsampler -> boxes (b, 1, 4)
```
"""

import keras
from keras import ops

from keras_fgvc import backbones
from keras_fgvc._checks import check_choice, check_in_range, check_positive_int
from keras_fgvc.backbones.own_models import check_takes
from keras_fgvc.layers import AttentionCenterLoss
from keras_fgvc.models._classification import (
    check_model_arguments,
    cross_entropy,
    mean_over_views,
)
from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.coarse2fine import graph
from keras_fgvc.models.coarse2fine.attention_views import with_norm
from keras_fgvc.models.coarse2fine.phases import make_phases
from keras_fgvc.models.coarse2fine.recipes import RECIPES
from keras_fgvc.models.registry import register_method

PREDICTIONS = ("both", "coarse", "fine")
MAP_NORMS = ("standardize", "batch", "none")


@register_method("coarse2fine", recipes=RECIPES)
@keras.saving.register_keras_serializable(package="keras_fgvc")
class Coarse2Fine(FineGrainedModel):
    """Attention maps that are trained by what they light up in the image.

    The loss is `coarse + fine + center_weight * centers` (eq. 4): the
    cross-entropies of the two looks and the attention centre loss of the part
    features of both. In the second look the attention convolution's kernel is
    held, so the fine loss teaches the maps through the mask alone.

    With `augment="crop_drop"` the second look is WS-DAN's: in training a crop
    to where a map is high and a copy with such a place cut out, otherwise the
    crop by the mean map. The three looks share one head and weigh a third
    each; only the first one's parts are pulled to centres.

    The stages of training:
    - `upsampler`: it alone, on synthetic maps and their up-sampled versions
      by three interpolations (only with `augment="highlight"`);
    - `classifier`: everything, layers that you froze too.

    Args:
        backbone: A name of `keras_fgvc.backbones.available()` or any
            `keras.Model` from raw pixels 0..255 to feature maps.
        num_classes: Integer, the number of classes.
        image_size: Side in pixels of the square that the backbone sees.
            Defaults to 448.
        num_maps: Number of attention maps (M). Defaults to 8.
        orthogonal: Whether the attention weights start orthogonal, the
            paper's table 8. Defaults to `True`.
        kernel_offset: Added to every initial attention weight, over the square
            root of the number of channels. Defaults to 0.1: features behind a
            ReLU are positive, and purely orthogonal kernels (0, the paper's)
            light half of the maps up on the background at first. Give 0 where
            features are strongest at the border, as at stride 16 of a
            MobileNetV2.
        maps_norm: Of each map before its ReLU: `"standardize"` (default, mean
            0 and variance 1 over the image), `"batch"` (batch normalisation,
            WS-DAN's code) or `"none"`: a map whose scores are all negative is
            then dead for good. The paper is silent.
        pooling: `"average"` (default) or `"max"`, of the parts.
        scale: Factor of the normalised part features. Default 100, WS-DAN's.
        augment: `"highlight"` (default) or `"crop_drop"`.
        predict_with: Whose probabilities: `"both"` (default, their mean),
            `"coarse"` or `"fine"`. Both are taken; see `coarse_model()`.
        center_weight: Weight of the centre loss (lambda). Defaults to 1.
        center_rate, normalize_centers: See `AttentionCenterLoss`.
        threshold: Share of the heat map's range that the object's box holds.
            Defaults to 0.3; the paper does not say.
        tap: Stride or layer name of the map. Defaults to 16, the paper's.
        weights: Of a named backbone: `"imagenet"` (default), `None` for random
            ones, or a local file.
        batch_norm: `"frozen"` (default) or `"train"`, of each look by itself.
        output_stride: 16 or 8 for a denser last map, see
            `keras_fgvc.backbones.build`. Defaults to None.
        preprocessing: Of a backbone that is no name, see
            `keras_fgvc.backbones.build`. Defaults to "own".
        tokens: Of a network that ends in tokens, see
            `keras_fgvc.backbones.build`. Defaults to None.
        trainable: `"all"` (default), `"none"`, or `"last:3"` for the last
            three blocks, see `keras_fgvc.backbones.build`.
        remat: Whether training saves memory by computing activations twice,
            see `keras_fgvc.backbones.build`. Defaults to `False`.
        seed: Of the choice of maps in training. Defaults to 0.
        **kwargs: `name` and the like.

    Outputs:
        `"probabilities"`, `"logits"`, `"coarse_logits"`, `"fine_logits"`
        `(batch, classes)`; `"attention"` `(batch, h, w, num_maps)` and its
        mean `"heatmap"` `(batch, h, w)`; `"boxes"` `(batch, 1, 4)`; `"parts"`
        and `"fine_parts"` `(batch, num_maps, c)`. In training with
        `"crop_drop"` what is fine has twice the batch.

    Raises:
        ValueError: If an argument is not as described.

    Example:

    ```python
    from keras_fgvc.models import Coarse2Fine

    model = Coarse2Fine(
        "mobilenet_v2", num_classes=200, image_size=96, weights=None
    )
    model.compile("adam", metrics=["accuracy"])
    ```
    """

    threshold_stage = "classifier"

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        image_size: int = 448,
        num_maps: int = 8,
        orthogonal: bool = True,
        kernel_offset: float = 0.1,
        maps_norm: str = "standardize",
        pooling: str = "average",
        scale: float = 100.0,
        augment: str = "highlight",
        predict_with: str = "both",
        center_weight: float = 1.0,
        center_rate: float = 0.05,
        normalize_centers: bool = False,
        threshold: float = 0.3,
        tap=16,
        weights: str | None = "imagenet",
        batch_norm: str = "frozen",
        output_stride: int | None = None,
        preprocessing="own",
        tokens: int | None = None,
        trainable: str = "all",
        remat: bool = False,
        seed: int = 0,
        **kwargs,
    ):
        # ---- check ----
        num_classes = check_model_arguments(num_classes)
        check_positive_int("image_size", image_size)
        check_positive_int("num_maps", num_maps)
        check_choice("augment", augment, ("highlight", "crop_drop"))
        check_choice("predict_with", predict_with, PREDICTIONS)
        check_choice("maps_norm", maps_norm, MAP_NORMS)
        check_in_range("kernel_offset", kernel_offset, 0.0, float("inf"))
        check_in_range("scale", scale, 0.0, float("inf"))
        check_in_range("center_weight", center_weight, 0.0, float("inf"))

        # ---- graph ----
        features = backbones.build(
            backbone,
            taps=(tap,),
            weights=weights,
            batch_norm=batch_norm,
            output_stride=output_stride,
            preprocessing=preprocessing,
            tokens=tokens,
            trainable=trainable,
            remat=remat,
            name="features",
        )
        check_takes(features, image_size, "image_size")
        image, square = graph.inputs(image_size)
        look = graph.Look(
            features,
            pooling,
            scale,
            batch_norm,
            num_maps=num_maps,
            orthogonal=orthogonal,
            norm=maps_norm,
            offset=kernel_offset,
        )
        coarse_head = graph.head(num_classes, "coarse_logits")
        attention, parts, coarse = look(square, coarse_head)
        upsampler = graph.make_upsampler(attention, image_size)
        if lit := augment == "highlight":
            second = graph.highlight(square, attention, upsampler, seed)
            fine_head = graph.head(num_classes, "fine_logits")
        else:
            second = graph.crop_and_drop(square, attention, seed)
            fine_head = coarse_head
        _, fine_parts, fine = look(second, fine_head, second=True, hold=lit)
        outputs = {
            **graph.prediction(coarse, fine, predict_with),
            **graph.localization(attention, upsampler, threshold),
            "parts": parts,
            "fine_parts": fine_parts,
        }
        super().__init__(
            image,
            outputs,
            num_classes=num_classes,
            output_meanings=graph.meanings(outputs),
            **kwargs,
        )
        self.features = features
        self.second_features = look.second_features
        self.upsampler = upsampler

        self.center_loss = AttentionCenterLoss(
            num_classes,
            rate=center_rate,
            normalize=normalize_centers,
            name="center_loss",
        )
        self.center_loss.build(parts.shape)

    @classmethod
    def _with_new_names(cls, config):
        """Files from before 0.9 say `standardize_maps`, which is one norm."""
        return with_norm(config, "standardize_maps", "maps_norm")

    def phases(self):
        """See `FineGrainedModel.phases`."""
        return make_phases(self)

    def loss_terms(self, labels, outputs, training):
        coarse, fine = outputs["coarse_logits"], outputs["fine_logits"]
        terms = {
            "coarse": cross_entropy(labels, coarse),
            "fine": mean_over_views(
                lambda labels: cross_entropy(labels, fine),
                labels,
                # In training with "crop_drop": the crops and the drops.
                views=2 if training and self.augment == "crop_drop" else 1,
            ),
        }
        if "centers" in self.loss_weights:
            terms["centers"] = self._centers(labels, outputs, training)
        return terms

    def _centers(self, labels, outputs, training):
        if self.augment == "crop_drop":
            return self.center_loss(outputs["parts"], labels, training=training)
        # One call, so that a centre counts the parts of both looks together.
        parts = ops.concatenate([outputs["parts"], outputs["fine_parts"]])
        return mean_over_views(
            lambda labels: self.center_loss(parts, labels, training=training),
            labels,
            views=2,
        )

    def feature_extractors(self) -> list:
        """See `FineGrainedModel.feature_extractors`; one for each look."""
        return [self.features, self.second_features]

    def coarse_model(self) -> keras.Model:
        """The first look alone, at half the cost, on the same weights.

        For inference by the coarse head. After `set_threshold` call it again.
        """
        return graph.first_look(self)

    def set_threshold(self, value: float) -> None:
        """Moves `threshold`, such as to the best one on validation.

        Raises:
            ValueError: If `value` is outside 0..1.
        """
        check_in_range("value", value, 0.0, 1.0)
        self.threshold = self.get_layer("boxes").threshold = value
        self.forget_traces()
