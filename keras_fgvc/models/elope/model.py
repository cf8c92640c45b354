"""ELoPE: localise on a tiny image, crop, pool k maxima, embed, classify.

Hanselmann and Ney, "ELoPE: Fine-Grained Visual Classification with Efficient
Localization, Pooling and Embedding", WACV 2020,
https://arxiv.org/abs/1911.07344.

| paper          | here                               | where              |
|----------------|------------------------------------|--------------------|
| K, w_k         | `k`, `pooling` layer's rank_weights| eq. 3, 4           |
| f(x_n)         | `"embedding"`, the loss normalises | section 4.1        |
| mu_c           | `embedding_loss.means`             | eq. 6 to 8         |
| alpha          | `mean_rate`                        | eq. 6              |
| gamma, m       | `between_weight`, `margin`         | eq. 10             |
| lambda         | `embedding_weight`                 | eq. 1              |
| tau            | `threshold`                        | section 5          |

```
image (b, H, W, 3)
  -> localizer  -> heatmap (b, 14, 14), boxes (b, 1, 4)
  -> crop       -> (b, image_size, image_size, 3)
  -> features   -> feature_map (b, i, j, c)
  -> pooling    -> (b, c)
  -> embedding  -> (b, 512), batch norm, PReLU
  -> logits     -> probabilities (b, classes)
```
"""

import keras

from keras_fgvc import backbones
from keras_fgvc._checks import check_choice, check_in_range, check_positive_int
from keras_fgvc.backbones.own_models import check_takes
from keras_fgvc.layers import ClassMeanEmbeddingLoss
from keras_fgvc.losses import heatmap_regression
from keras_fgvc.models._classification import (
    check_model_arguments,
    cross_entropy,
)
from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.elope import graph as elope_graph
from keras_fgvc.models.elope.phases import make_phases
from keras_fgvc.models.elope.recipes import RECIPES
from keras_fgvc.models.registry import register_method

# Far above any use; the width would be searched for without an end.
MOST_LOCALIZER_WEIGHTS = 10**8


@register_method("elope", recipes=RECIPES)
@keras.saving.register_keras_serializable(package="keras_fgvc")
class ELoPE(FineGrainedModel):
    """Three light parts around any backbone, one pass through it.

    Global k-max pooling, an embedding layer trained by class means, and a
    localiser that crops the image before the backbone sees it. The loss is
    `cross_entropy + embedding_weight * embedding` (eq. 1).

    The stages of training, which `keras_fgvc.training.fit` runs in order:

    - `classifier`: backbone and head on whole images;
    - `localizer`: it alone, from a copy of the classifier's first stage, to
      the classifier's mean feature map (smooth L1);
    - `crops`: the classifier on the frozen localiser's (or fixed) crops;
    - `weighted`: the same with the pooling's rank weights released (eq. 4).

    Args:
        backbone: A name of `keras_fgvc.backbones.available()` or any
            `keras.Model` from raw pixels 0..255 to feature maps. Its layers
            train as the stage says, those you froze too.
        num_classes: Integer, the number of classes.
        image_size: Side in pixels of the square that the backbone sees.
            Images may come larger: the crop is cut from what comes.
            Defaults to 448.
        pooling: `"k_max"` (default) or `"average"`, for the ablation.
        k: Number of maxima, see `GlobalKMaxPooling`. Defaults to 4.
        embedding_dim: Width of the embedding. Defaults to 512.
        embedding_weight: Weight of the embedding loss (lambda). Defaults to
            2; 0 leaves the plain cross-entropy.
        mean_rate, between_weight, margin, renormalize: See
            `ClassMeanEmbeddingLoss`.
        localize: Whether images are cropped. Defaults to `True`.
        box: What is cropped: `"learned"` (default), the box of a localiser;
            for controls `"center"`, 0.7 of each side in the middle of every
            image, or `(y_min, x_min, y_max, x_max)` from 0 to 1. A fixed box
            has no localiser, no stage `localizer` and no `"heatmap"`.
        threshold: Share of the heat map's range (tau) from which a cell
            belongs to the object. Defaults to 0.3; the paper has 0.2 for
            cars and aircraft.
        mass: Share of the heat map's sum along each side that the box holds,
            in place of `threshold`, see `LocalizationModule`. Defaults to
            None, the paper's threshold.
        min_size: Smallest side of a box, see `LocalizationModule`. Defaults
            to 10 pixels.
        localizer_weights: Weights that the localiser has at least, before its
            head: behind a thinner first stage than the paper's ResNet-50 has
            come two convolutions. Defaults to 220,000, the paper's; 0 leaves
            every first stage alone.
        tap: Stride or layer name of the pooled feature map. Defaults to 32.
        weights: Of a named backbone: `"imagenet"` (default), `None` for random
            ones, or a local file.
        batch_norm: `"frozen"` (default) or `"train"`, of the backbone.
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
        **kwargs: `name` and the like.

    Outputs:
        `"probabilities"`, `"logits"` `(batch, classes)`; `"embedding"`
        `(batch, embedding_dim)`, of any length; `"mean_activation"`
        `(batch, i, j)`, the channel mean of the last feature map; with a
        localiser `"boxes"` `(batch, 1, 4)`, `"heatmap"` `(batch, 14, 14)`.

    Raises:
        ValueError: If an argument is not as described, or the backbone has no
            feature map at stride 4 for the localiser to start from.

    Example:

    ```python
    from keras_fgvc.models import ELoPE

    model = ELoPE(
        "mobilenet_v2", num_classes=200, image_size=96, weights=None
    )
    model.compile("adam", metrics=["accuracy"])
    ```
    """

    threshold_stage = "localizer"

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        image_size: int = 448,
        pooling: str = "k_max",
        k: int = 4,
        embedding_dim: int = 512,
        embedding_weight: float = 2.0,
        mean_rate: float = 0.5,
        between_weight: float = 16.0,
        margin: float = 0.75,
        renormalize: bool = False,
        localize: bool = True,
        box="learned",
        threshold: float = 0.3,
        mass: float | None = None,
        min_size: float = 10.0,
        localizer_weights: int = 220_000,
        tap=32,
        weights: str | None = "imagenet",
        batch_norm: str = "frozen",
        output_stride: int | None = None,
        preprocessing="own",
        tokens: int | None = None,
        trainable: str = "all",
        remat: bool = False,
        **kwargs,
    ):
        # ---- check ----
        num_classes = check_model_arguments(num_classes)
        check_positive_int("image_size", image_size)
        check_positive_int("embedding_dim", embedding_dim)
        check_choice("pooling", pooling, ("k_max", "average"))
        check_in_range("embedding_weight", embedding_weight, 0.0, float("inf"))
        check_in_range(
            "localizer_weights", localizer_weights, 0, MOST_LOCALIZER_WEIGHTS
        )
        box = elope_graph.check_box(box, localize)

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
        image = keras.Input((None, None, 3), name="image", dtype="float32")
        cropper = (
            elope_graph.make_cropper(
                features,
                box,
                least_weights=localizer_weights,
                threshold=threshold,
                mass=mass,
                min_size=min_size,
            )
            if localize
            else None
        )
        outputs = elope_graph.crop_boxes(cropper, image)
        square = elope_graph.square(image, outputs.get("boxes"), image_size)
        feature_map = features(square)
        outputs.update(
            elope_graph.classify(
                feature_map, num_classes, pooling, k, embedding_dim
            )
        )
        super().__init__(
            image,
            outputs,
            num_classes=num_classes,
            output_meanings=elope_graph.meanings(outputs),
            **kwargs,
        )
        self.features = features
        self.localizer = cropper if "heatmap" in outputs else None

        self.embedding_loss = ClassMeanEmbeddingLoss(
            num_classes,
            rate=mean_rate,
            between_weight=between_weight,
            margin=margin,
            renormalize=renormalize,
            name="embedding_loss",
        )
        self.embedding_loss.build((None, embedding_dim))

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Older files: a `min_size` that never acts, the first stage alone."""
        config = {"min_size": 10 / 448, "localizer_weights": 0, **config}
        return super().from_config(config, custom_objects)

    def phases(self):
        """See `FineGrainedModel.phases`."""
        return make_phases(self)

    def loss_terms(self, labels, outputs, training):
        terms = {}
        if "cross_entropy" in self.loss_weights:
            terms["cross_entropy"] = cross_entropy(labels, outputs["logits"])
        if "embedding" in self.loss_weights:
            terms["embedding"] = self.embedding_loss(
                outputs["embedding"], labels, training=training
            )
        if "heatmap" in self.loss_weights:
            terms["heatmap"] = heatmap_regression(
                outputs["mean_activation"], outputs["heatmap"]
            )
        return terms

    def set_threshold(self, value: float) -> None:
        """Moves `threshold` (tau), such as to the best one on validation.

        Raises:
            ValueError: If `value` is outside 0..1 or there is no localiser.
        """
        check_in_range("value", value, 0.0, 1.0)
        if self.localizer is None or self.mass is not None:
            raise ValueError(
                "`set_threshold` needs a localiser that has a threshold. "
                f"Received: a model made with localize={self.localize}, "
                f"box={self.box!r}, mass={self.mass}."
            )
        self.threshold = value
        self.localizer.threshold = value
        self.forget_traces()
