"""FCAN: glimpses chosen by a learned policy, one network for each view.

Liu et al., "Fully Convolutional Attention Localization Networks: Efficient
Attention Localization for Fine-Grained Recognition", 2016,
https://arxiv.org/abs/1603.06765.

| paper               | here                                 | where         |
|---------------------|--------------------------------------|---------------|
| T, part sizes       | `part_sizes`, in cells               | section 3, 5.1|
| f(I)                | `features`                           | figure 2      |
| g_t, p_theta        | `glimpse_t`, `"score_maps"`          | section 3     |
| A_t                 | `"part_boxes"`                       | eq. 3         |
| K                   | `num_samples`                        | eq. 6         |
| r, c, l             | `ops.greedy_reward`                  | eq. 4         |
| lambda              | `classification_weight`              | eq. 1         |

```
image (b, H, W, 3)
  -> features  -> map (b, h, w, c) of the image at image_size
  -> glimpse_t -> score_maps (b, h, w, T), part_boxes (b, T, 4)
  -> crops     -> (b, T, crop_size, crop_size, 3) out of the image as it came
  -> one classifier a view -> view_logits (b, 1 + T, classes)
  -> mean of the probabilities (b, classes)
```
"""

import keras

from keras_fgvc import backbones
from keras_fgvc._checks import check_choice, check_in_range, check_positive_int
from keras_fgvc.layers import GlimpseAttention
from keras_fgvc.models._classification import check_model_arguments
from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.fcan import crop_judges, graph, tasks
from keras_fgvc.models.fcan.phases import make_phases
from keras_fgvc.models.fcan.recipes import RECIPES
from keras_fgvc.models.registry import register_method

REGIONS = ("attention", "center")


@register_method("fcan", recipes=RECIPES)
@keras.saving.register_keras_serializable(package="keras_fgvc")
class FCAN(FineGrainedModel):
    """Looks where a policy says the classes differ, and looks again closely.

    A small network on a feature map of the whole image gives every place a
    score, once for each part. The regions with the highest scores are cut
    out of the full image and enlarged; each of them and the whole image has
    a classification network of its own; the prediction is the mean of their
    probabilities. The policy is learned by reinforcement: a region is good
    if the class can be told from it.

    The stages of training, which `keras_fgvc.training.fit` runs in order:

    - `whole`: the whole image's network, a plain fine-tune; its backbone then
      also becomes `features` and the beginning of every part's network;
    - `localizer`: the glimpses alone, on feature maps that are computed once
      and kept on disk;
    - `parts`: all classification networks, on regions that are found once.

    A recipe may name them several times: the paper repeats them.

    Args:
        backbone: A name of `keras_fgvc.backbones.available()` or any
            `keras.Model` from raw pixels 0..255 to feature maps. Its layers
            train as the stage says, those you froze too.
        num_classes: Integer, the number of classes.
        image_size: Side in pixels at which the places are scored. Defaults to
            512, a map of 16 x 16 cells at stride 32.
        crop_size: Side in pixels of what every classification network sees.
            Defaults to 448. Regions are cut from the image as it comes.
        part_sizes: Side of each part's region in cells of the map. Defaults
            to `(4, 8)`.
        regions: `"attention"` (default), or `"center"` for regions of these
            sizes in the middle of every image, the paper's "rigid
            combination".
        condition: Whether a glimpse sees the score maps before it. Defaults
            to `True`, as the text has it; the figure shows none.
        places: What a glimpse chooses among: `"windows"` (default), or an
            integer for a grid of so many windows per side; see
            `layers.GlimpseAttention`.
        standardize: Whether a glimpse standardizes its map, which keeps the
            policy open; see `layers.GlimpseAttention`. Defaults to `True`.
        num_samples: Regions drawn for each image and part in training (K).
            Defaults to 16. With `judge="crops"` also `None`: the expected
            reward over all places, exactly.
        reward: `"greedy"` (default, eq. 4) or `"final"`: every step gets
            whether the last one names the class.
        judge: What tells the class in the localiser's training: `"part"`
            (default), the region of the map alone; `"all"`, also the regions
            before it and the whole map. The paper's text can be read both
            ways. `"crops"`, ours: real crops of a grid of `places`, which go
            through the network once and are cached.
        folds: With `judge="crops"`, the number of judges that share the
            training images: each image is judged by one that never saw it.
            1 for a judge of the images it learns from. Defaults to 2.
        moving_baseline: Whether the mean reward of the past is taken off, for
            less variance. Defaults to `False`, the paper's.
        entropy_weight: Weight of the policy's entropy, which keeps it from
            settling early. Defaults to 0, the paper's.
        classification_weight: Weight of the judges' own loss (lambda).
            Defaults to 1; the paper gives no value.
        taps: Pair of strides or layer names: of the map that the places are
            scored on, and of the map that the classification networks pool.
            Defaults to `(32, 32)`.
        weights: Of a named backbone: `"imagenet"` (default), `None` for random
            ones, or a local file.
        batch_norm: `"frozen"` (default) or `"train"`, of the backbones.
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
        seed: Of the regions drawn. Defaults to 0.
        **kwargs: `name` and the like.

    Outputs:
        `"probabilities"`, `"logits"` `(batch, classes)`; `"view_logits"`
        `(batch, 1 + parts, classes)`, the whole image's first;
        `"part_boxes"` `(batch, parts, 4)`; with attention `"score_maps"`
        `(batch, h, w, parts)`, each of which sums to one.

    Raises:
        ValueError: If an argument is not as described, or a region is larger
            than the map.

    Example:

    ```python
    from keras_fgvc.models import FCAN

    model = FCAN(
        "mobilenet_v2",
        num_classes=200,
        image_size=256,
        crop_size=96,
        part_sizes=(2, 4),
        weights=None,
    )
    model.compile("adam", metrics=["accuracy"])
    ```
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        image_size: int = 512,
        crop_size: int = 448,
        part_sizes: tuple = (4, 8),
        regions: str = "attention",
        condition: bool = True,
        places="windows",
        standardize: bool = True,
        num_samples: int | None = 16,
        reward: str = "greedy",
        judge: str = "part",
        folds: int = 2,
        moving_baseline: bool = False,
        entropy_weight: float = 0.0,
        classification_weight: float = 1.0,
        taps: tuple = (32, 32),
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
        check_positive_int("crop_size", crop_size)
        part_sizes = graph.check_part_sizes(part_sizes)
        scored_tap, classified_tap = graph.check_taps(taps)
        check_choice("regions", regions, REGIONS)
        check_choice("reward", reward, tasks.REWARDS)
        check_choice("judge", judge, tasks.JUDGES)
        check_positive_int("folds", folds)
        check_in_range("entropy_weight", entropy_weight, 0.0, float("inf"))
        check_in_range(
            "classification_weight", classification_weight, 0.0, float("inf")
        )

        # ---- graph ----
        classifiers = graph.make_classifiers(
            backbones.build(
                backbone,
                taps=(classified_tap,),
                weights=weights,
                batch_norm=batch_norm,
                output_stride=output_stride,
                preprocessing=preprocessing,
                tokens=tokens,
                trainable=trainable,
                remat=remat,
                name=graph.view_name(0) + "_features",
            ),
            num_classes,
            crop_size,
            len(part_sizes),
        )
        features = backbones.clone_stem(
            graph.backbone_of(classifiers[0]), scored_tap
        )
        map_size = graph.map_size(features, image_size)
        graph.check_parts_fit(part_sizes, map_size)
        places = crop_judges.places_per_side(
            judge, places, part_sizes, map_size, num_samples
        )
        glimpses = [
            GlimpseAttention(
                size,
                places=places,
                standardize=standardize,
                num_samples=num_samples or 1,
                seed=seed + t,
                name=f"glimpse_{t}",
            )
            for t, size in enumerate(part_sizes)
        ]
        image = keras.Input((None, None, 3), name="image", dtype="float32")
        if regions == "attention":
            outputs = graph.localize(
                image, features, glimpses, condition, image_size
            )
        else:
            outputs = graph.middle(image, part_sizes, map_size)
            features, glimpses = graph.backbone_of(classifiers[0]), []
        view_logits = graph.classify(
            image, outputs["part_boxes"], classifiers, crop_size
        )
        outputs |= graph.prediction(view_logits)
        super().__init__(
            image,
            outputs,
            num_classes=num_classes,
            output_meanings=graph.meanings(outputs, len(part_sizes)),
            **kwargs,
        )
        self.features = features
        self.map_size = map_size
        self.glimpses = glimpses
        self.classifiers = classifiers

        # Whether the parts' networks have begun from the whole image's: a
        # second round goes on from where the first one ended.
        self.parts_begun = graph.Latch(name="parts_begun")
        self.parts_begun.build(None)

    def phases(self):
        """See `FineGrainedModel.phases`.

        The networks of the score maps and of the parts begin as the one that
        was trained on whole images; each part's only once.
        """
        return make_phases(self)

    @classmethod
    def _with_new_names(cls, config):
        """Files from before 0.9 say `tap`, `classifier_tap` for `taps`."""
        if "tap" in config or "classifier_tap" in config:
            old = [config.pop(n, 32) for n in ("tap", "classifier_tap")]
            config["taps"] = tuple(old)
        if "stage" in config:  # of a file
            config.setdefault("places", "cells")
            config.setdefault("standardize", False)
        return config

    def loss_terms(self, labels, outputs, training):
        if training and self.stage == "localizer":
            raise ValueError(
                "The stage 'localizer' of FCAN trains on feature maps, which "
                "the model itself does not take: train it with "
                "`keras_fgvc.training.fit`, or call begin_stage('whole') or "
                "begin_stage('parts') before `fit`."
            )
        return {
            "cross_entropy": tasks.sum_over_views(
                labels, outputs["view_logits"]
            )
        }

    def feature_extractors(self) -> list:
        """See `FineGrainedModel.feature_extractors`; one a classifier."""
        return [graph.backbone_of(network) for network in self.classifiers]
