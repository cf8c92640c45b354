"""DAF: a student finds parts, a teacher is shown where they are.

"Dual Attention Fusion" for fine-grained image classification; its parents are
Yang et al., "Learning to Navigate for Fine-grained Classification" (NTS-Net),
ECCV 2018, https://arxiv.org/abs/1809.00287, and Zheng et al., "Learning Deep
Bilinear Transformation for Fine-grained Image Representation", NeurIPS 2019,
https://arxiv.org/abs/1911.03621.

| paper              | here                                  | where          |
|--------------------|---------------------------------------|----------------|
| location heatmap   | `"heatmap"`, `LocationHeatmap`        | section 3.2    |
| SPPN, M            | `SaliencyPartProposals`, `num_parts`  | section 3.3    |
| PAF                | `PartAttentionFilter`                 | section 3.4    |
| DBT                | `DeepBilinearTransformation`          | section 3.4    |
| hint, regressor    | layer `hint`                          | section 3.5    |
| CSF                | `ClassScoreFusion`                    | section 3.6    |
| alpha              | `loss_weights["overlap"]`             | section 3.7.1  |
| N, S               | `parts_per_object`, the heat map      | section 3.7.2  |
| alpha, beta, gamma | `loss_weights`                        | eq. 6          |

```
image (b, H, W, 3) -> square (b, s, s, 3)
  -> features -> three maps, the last one (b, h, w, c) -> student_logits
  maps        -> heatmap (b, i, j) -> part_boxes (b, M, 4), part_scores (b, M)
  square, heat maps, part boxes -> guided image (b, s, s, 3)
  -> teacher_features -> filter -> bilinear (b, h, w, c) -> teacher_logits
  student_logits, teacher_logits -> fusion_logits (b, classes)
for the loss alone: square, part boxes -> views (b, M, s, s, 3)
  -> features -> part_logits (b, M, classes)
```
"""

import keras
from keras import ops

from keras_fgvc import backbones
from keras_fgvc._checks import check_choice, check_in_range, check_positive_int
from keras_fgvc.backbones.own_models import check_takes
from keras_fgvc.layers import ProposalViews
from keras_fgvc.models._classification import check_model_arguments
from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.daf import graph, terms
from keras_fgvc.models.daf.phases import make_phases
from keras_fgvc.models.daf.recipes import RECIPES
from keras_fgvc.models.registry import register_method


@register_method("daf", recipes=RECIPES)
@keras.saving.register_keras_serializable(package="keras_fgvc")
class DAF(FineGrainedModel):
    """Saliency proposals, two attentions, a student and a teacher.

    The loss is the sum of these terms by their weights (section 3.7; all 1
    but for the grouping's, the paper gives none):

    - `student`, `teacher`, `fusion`: cross-entropy of each one's logits;
    - `concentrate`: of the mean of the views' logits, a view being the image
      with one part sharp, the others under noise and the rest blurred;
    - `ranking`: of the parts' scores, by how sure their views are;
    - `overlap`, `area`: keep boxes apart and at 1 / N of the object;
    - `soft_target`, `hint`: the student learns from the teacher;
    - `grouping`: the bilinear transformation's own, of DBTNet.

    The views are taken in `fit` and `evaluate` only: a prediction costs the
    student, the proposals and the teacher, or with `student_model()` the
    student alone.

    Args:
        backbone: A name of `keras_fgvc.backbones.available()` or any
            `keras.Model` from raw pixels 0..255 to feature maps.
        num_classes: Integer, the number of classes.
        image_size: Side in pixels of the square that both backbones see.
            Defaults to 448.
        num_parts: Parts an image (M). Defaults to 3.
        parts_per_object: How many parts an object has (N). Defaults to 4,
            the paper's for birds.
        heatmap: Whether parts are sought, and their area measured, in the
            heat map's foreground. Defaults to `True`; without it the whole
            image is the object.
        teacher: Whether there is a teacher. Defaults to `True`.
        distill: Whether the student learns from it. Defaults to `True`.
        predict_with: Whose probabilities are predicted: `"student"`,
            `"teacher"` or `"fusion"`. Defaults to `"fusion"`, without a
            teacher to `"student"`.
        temperature: Of the soft targets. Defaults to 4.
        groups: Of channels in the bilinear transformation; a divisor of the
            feature map's channels. Defaults to 16.
        term_weights: Weights of terms by name, where not the default; a term
            of weight 0 is not computed.
        noise_stddev, blur_sigma: See `ProposalViews`.
        iou_threshold: Overlap still allowed between two parts. Defaults to
            0.25.
        taps: Strides or layer names of the maps that parts are sought on,
            from fine to coarse; the last one is classified. Defaults to
            `(8, 16, 32)`.
        weights: Of a named backbone: `"imagenet"` (default), `None` for random
            ones, or a local file.
        batch_norm: `"frozen"` (default) or `"train"`, of both backbones.
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
        seed: Of the views' noise. Defaults to 0.
        **kwargs: `name` and the like.

    Outputs:
        `"probabilities"`, `"logits"`, `"student_logits"` and, with a teacher,
        `"teacher_logits"`, `"fusion_logits"` `(batch, classes)`;
        `"part_boxes"` `(batch, parts, 4)` and `"part_scores"`
        `(batch, parts)`, best first; `"heatmap"` `(batch, h, w)`, the share
        of the taps that see the object; `"grouping"` and `"hint"` `(batch,)`,
        terms of the loss.

    Raises:
        ValueError: If an argument is not as described.

    Example:

    ```python
    from keras_fgvc.models import DAF

    model = DAF(
        "mobilenet_v2", num_classes=200, image_size=96, weights=None
    )
    model.compile("adam", metrics=["accuracy"])
    ```
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        image_size: int = 448,
        num_parts: int = 3,
        parts_per_object: float = 4.0,
        heatmap: bool = True,
        teacher: bool = True,
        distill: bool = True,
        predict_with: str | None = None,
        temperature: float = 4.0,
        groups: int = 16,
        term_weights: dict | None = None,
        noise_stddev: float = 64.0,
        blur_sigma: float = 0.03,
        iou_threshold: float = 0.25,
        taps: tuple = (8, 16, 32),
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
        check_positive_int("num_parts", num_parts)
        check_in_range("parts_per_object", parts_per_object, 1.0, float("inf"))
        check_in_range("temperature", temperature, 1e-3, float("inf"))
        predictors = ("fusion", "teacher", "student")[0 if teacher else 2 :]
        check_choice("predict_with", predict_with or predictors[0], predictors)
        taps = _checked(taps)

        # ---- graph ----
        features = backbones.build(
            backbone,
            taps=taps,
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
        square = keras.layers.Resizing(
            image_size, image_size, dtype="float32", name="square"
        )
        student_head = graph.head(num_classes, "student")
        student = graph.study(
            square(image),
            features,
            student_head,
            heatmap,
            num_parts=num_parts,
            iou_threshold=iou_threshold,
        )
        outputs = dict(student.outputs)
        if teacher:
            outputs |= graph.teach(
                student,
                backbones.clone_stem(features, taps[-1], "teacher_features"),
                num_classes,
                groups,
                distill,
            )
        outputs |= graph.prediction(
            outputs[f"{predict_with or predictors[0]}_logits"]
        )
        super().__init__(
            image,
            outputs,
            num_classes=num_classes,
            output_meanings=graph.meanings(outputs),
            **kwargs,
        )
        self.features = features
        self.square = square
        self.student_head = student_head

        self.views = ProposalViews(
            noise_stddev=noise_stddev,
            blur_sigma=blur_sigma,
            seed=seed,
            dtype="float32",
            name="views",
        )
        side = (None, image_size, image_size, 3)
        self.views.build([side, (None, num_parts, 4)])

    def phases(self):
        """See `FineGrainedModel.phases`."""
        return make_phases(self)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Computes the loss; classifies the views of the parts first."""
        outputs = dict(y_pred)
        if not self.loss_weights.keys().isdisjoint(("concentrate", "ranking")):
            (images,) = keras.tree.flatten(x)
            outputs["part_logits"] = self.part_logits(
                images, y_pred["part_boxes"], training=training
            )
        return super().compute_loss(x, y, outputs, sample_weight, training)

    def part_logits(self, images, part_boxes, training=False):
        """Classifies each part's view of each image with the student.

        Args:
            images: `(batch, height, width, 3)`.
            part_boxes: `(batch, parts, 4)`.
            training: As for any layer; else the noise is always the same.

        Returns:
            `(batch, parts, classes)`.
        """
        square = self.square(ops.cast(images, "float32"))
        views = self.views([square, part_boxes], training=training)
        views = ops.reshape(views, (-1, *views.shape[2:]))  # (b * M, s, s, 3)
        feature_map = self.features(views, training=training)[-1]
        logits = self.student_head(feature_map, training=training)
        return ops.reshape(logits, (-1, self.num_parts, self.num_classes))

    def loss_terms(self, labels, outputs, training):
        return {
            name: terms.TERMS[name](self, labels, outputs)
            for name in self.loss_weights
            if name in terms.TERMS  # the base names any other
        }

    def feature_extractors(self) -> list:
        """See `FineGrainedModel.feature_extractors`; two backbones here."""
        if not self.teacher:
            return [self.features]
        return [self.features, self.get_layer("teacher_features")]

    def student_model(self) -> keras.Model:
        """The student and its proposals, on the same weights, no teacher.

        For inference; `"probabilities"` and `"logits"` are the student's.
        """
        return graph.student_only(self)


def _checked(taps):
    if not isinstance(taps, (tuple, list)) or len(taps) < 2:
        raise ValueError(
            "`taps` must be a tuple of at least two strides or layer names, "
            f"from fine to coarse, such as (8, 16, 32). Received: {taps!r}."
        )
    return tuple(taps)
