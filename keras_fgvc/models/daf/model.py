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
| CSF                | `fusion`, `ClassScoreFusion`          | section 3.6    |
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
for the loss, and with `student_parts` for student_logits as well:
  square, part boxes -> views (b, M, s, s, 3)
  -> features -> part_logits (b, M, classes)
```
"""

import keras
from keras import ops

from keras_fgvc import backbones
from keras_fgvc.backbones.own_models import check_takes
from keras_fgvc.models._classification import check_model_arguments
from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.daf import arguments, graph, terms
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
        anchor_side: Side of the largest square anchors of scale 1, as a
            share of the image's, see `side` of `SaliencyPartProposals`.
            Defaults to `3 / 7`, which equals NTS-Net's anchors at 448 pixels;
            None gives 6 cells of each map at any size of the image.
        overlap_moves: What the overlap's gradient moves: `"centers"`
            (default) or `"corners"`, which also makes boxes narrow, see
            `losses.box_overlap`.
        student_parts: Whether the student's logits are the mean of the whole
            image's and of the parts' mean ones, in predictions as well, which
            then cost `num_parts` more passes. Defaults to `False`.
        teacher: Whether there is a teacher. Defaults to `True`.
        distill: Whether the student learns from it. Defaults to `True`.
        fusion: How the two are fused: `"mean"` (default) of their logits, or
            `"learned"`, the paper's layer, which is fitted to training images
            that both know by heart.
        predict_with: Whose probabilities are predicted: `"student"`,
            `"teacher"`, `"fusion"`, or `"mean"` beside a learned fusion.
            Defaults to `"fusion"`, without a teacher to `"student"`.
        temperature: Of the soft targets. Defaults to 4.
        groups: Of channels in the bilinear transformation; a divisor of the
            feature map's channels. Defaults to 16.
        term_weights: Weights of terms by name, where not the default; a term
            of weight 0 is not computed.
        noise_stddev, blur_sigma, seed: Of `ProposalViews`.
        iou_threshold: Overlap still allowed between two parts. Defaults to
            0.25.
        taps: Strides or layer names of the maps that parts are sought on,
            from fine to coarse; the last one is classified. Defaults to
            `(8, 16, 32)`.
        weights: Of a named backbone: `"imagenet"` (default), `None` for random
            ones, or a local file.
        batch_norm: `"frozen"` (default) or `"train"`, of both backbones.
        output_stride, preprocessing, tokens, trainable, remat: See
            `keras_fgvc.backbones.build`.
        **kwargs: `name` and the like.

    Outputs:
        `"probabilities"`, `"logits"`, `"student_logits"` and, with a teacher,
        `"teacher_logits"`, `"fusion_logits"` and, beside a learned fusion,
        `"mean_logits"` `(batch, classes)`; with `student_parts`
        `"part_logits"` `(batch, parts, classes)`;
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
        anchor_side: float | None = 3 / 7,
        overlap_moves: str = "centers",
        student_parts: bool = False,
        teacher: bool = True,
        distill: bool = True,
        fusion: str = "mean",
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
        whose, taps = arguments.checked(self)

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
        views = graph.make_views(self)
        student = graph.study(
            square(image),
            features,
            student_head,
            heatmap,
            views if student_parts else None,
            num_parts=num_parts,
            side=anchor_side,
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
                fusion,
            )
        outputs |= graph.prediction(outputs[f"{whose}_logits"])
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
        self.views = views

    def get_config(self):
        return {**super().get_config(), **arguments.MARK}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Files from before 0.9 keep their anchors, overlap and fusion."""
        return super().from_config(arguments.filled(config), custom_objects)

    def phases(self):
        """See `FineGrainedModel.phases`."""
        return make_phases(self)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Computes the loss; classifies the views of the parts first."""
        outputs = dict(y_pred)
        needed = {"concentrate", "ranking"} & set(self.loss_weights)
        if needed and "part_logits" not in outputs:
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
        looking = self.views, self.features, self.student_head
        return graph.classify_views(square, part_boxes, *looking, training)

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

    def head_variables(self) -> list:
        """See `FineGrainedModel.head_variables`.

        Without the guided image's: it is the first layer of the teacher's
        backbone and starts as the plain image, so that it learns as slowly.
        """
        guided = self.get_layer("guided_image") if self.teacher else None
        slow = {id(v) for v in guided.variables} if guided else ()
        return [v for v in super().head_variables() if id(v) not in slow]

    def student_model(self) -> keras.Model:
        """The student and its proposals, on the same weights, no teacher.

        For inference; `"probabilities"` and `"logits"` are the student's.
        """
        return graph.student_only(self)
