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
from keras_fgvc.layers import ClassMeanEmbeddingLoss
from keras_fgvc.losses import heatmap_regression
from keras_fgvc.models._classification import (
    check_model_arguments,
    cross_entropy,
)
from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.elope import graph as elope_graph
from keras_fgvc.models.elope.recipes import RECIPES
from keras_fgvc.models.registry import register_method

# What each stage minimises; "embedding" gets the model's own weight.
STAGE_TERMS = {
    "classifier": ("cross_entropy", "embedding"),
    "localizer": ("heatmap",),
    "crops": ("cross_entropy", "embedding"),
    "weighted": ("cross_entropy", "embedding"),
}


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
    - `crops`: the classifier on the frozen localiser's crops;
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
        localize: Whether the model has a localiser. Defaults to `True`.
        threshold: Share of the heat map's range (tau) from which a cell
            belongs to the object. Defaults to 0.3; the paper has 0.2 for
            cars and aircraft.
        tap: Stride or layer name of the pooled feature map. Defaults to 32.
        weights: `None`, `"imagenet"` or a local file, for a named backbone.
        batch_norm: `"frozen"` (default) or `"train"`, of the backbone.
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

    model = ELoPE("mobilenet_v2", num_classes=200, image_size=96)
    model.compile("adam", metrics=["accuracy"])
    ```
    """

    stages = tuple(STAGE_TERMS)
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
        threshold: float = 0.3,
        tap=32,
        weights: str | None = None,
        batch_norm: str = "frozen",
        **kwargs,
    ):
        # ---- check ----
        num_classes = check_model_arguments(num_classes)
        check_positive_int("image_size", image_size)
        check_positive_int("embedding_dim", embedding_dim)
        check_choice("pooling", pooling, ("k_max", "average"))
        check_in_range("embedding_weight", embedding_weight, 0.0, float("inf"))

        # ---- graph ----
        features = backbones.build(
            backbone,
            taps=(tap,),
            weights=weights,
            batch_norm=batch_norm,
            name="features",
        )
        image = keras.Input((None, None, 3), name="image", dtype="float32")
        localizer = (
            elope_graph.make_localizer(features, threshold)
            if localize
            else None
        )
        outputs = elope_graph.localize(localizer, image)
        square = elope_graph.square(image, outputs.get("boxes"), image_size)
        feature_map = features(square)
        outputs.update(
            elope_graph.classify(
                feature_map, num_classes, pooling, k, embedding_dim
            )
        )
        super().__init__(image, outputs, num_classes=num_classes, **kwargs)
        self.features = features
        self.localizer = localizer

        # ---- config ----
        self.keep_arguments(
            backbone=backbone,
            image_size=image_size,
            pooling=pooling,
            k=k,
            embedding_dim=embedding_dim,
            embedding_weight=embedding_weight,
            mean_rate=mean_rate,
            between_weight=between_weight,
            margin=margin,
            renormalize=renormalize,
            localize=localize,
            threshold=threshold,
            tap=tap,
            batch_norm=batch_norm,
        )
        self._prepare_training()

    def _prepare_training(self):
        self.embedding_loss = ClassMeanEmbeddingLoss(
            self.num_classes,
            rate=self.mean_rate,
            between_weight=self.between_weight,
            margin=self.margin,
            renormalize=self.renormalize,
            name="embedding_loss",
        )
        self.embedding_loss.build((None, self.embedding_dim))
        missing = set()
        if not self.localize:
            missing |= {"localizer", "crops"}
        if self.pooling != "k_max":
            missing |= {"weighted"}
        self.stages = tuple(s for s in STAGE_TERMS if s not in missing)
        self._set_up("classifier")

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
                outputs["heatmap"], outputs["mean_activation"]
            )
        return terms

    def begin_stage(self, name):
        """See `FineGrainedModel.begin_stage`."""
        super().begin_stage(name)
        self._set_up(name)
        if self.localizer is None:
            return
        if name == "localizer":
            backbones.copy_weights(self.features, self.localizer.stem)
        self.localizer.enable(name in ("crops", "weighted"))

    def set_threshold(self, value: float) -> None:
        """Moves `threshold` (tau), such as to the best one on validation.

        Raises:
            ValueError: If `value` is outside 0..1 or there is no localiser.
        """
        check_in_range("value", value, 0.0, 1.0)
        if self.localizer is None:
            raise ValueError(
                "`set_threshold` needs a localiser. Received: a model made "
                "with localize=False."
            )
        self.threshold = value
        self.localizer.threshold = value
        self.forget_traces()

    def _set_up(self, stage):
        weights = {
            "cross_entropy": 1.0,
            "embedding": self.embedding_weight,
            "heatmap": 1.0,
        }
        self.loss_weights = {
            term: weights[term] for term in STAGE_TERMS[stage] if weights[term]
        }
        localizing = stage == "localizer"
        for layer in self.layers:
            trains = (layer is self.localizer) == localizing
            backbones.set_trainable(layer, trains, batch_norm="train")
        if self.localizer is not None:
            self._freeze_if(self.localizer.stem, localizing)
        self._freeze_if(self.features, not localizing)
        self.get_layer("pooling").trainable = stage == "weighted"

    def _freeze_if(self, model, trains):
        backbones.set_trainable(model, trains, batch_norm=self.batch_norm)
