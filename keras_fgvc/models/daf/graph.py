"""The pieces of DAF's graph: the student, the guided image, the teacher."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_fgvc import losses
from keras_fgvc.layers import (
    ClassScoreFusion,
    DeepBilinearTransformation,
    LocationHeatmap,
    PartAttentionFilter,
    ProposalViews,
    SaliencyPartProposals,
)
from keras_fgvc.models._declared import DeclaredModel
from keras_fgvc.models.outputs import MapOf, Members, PartBoxes
from keras_fgvc.ops import saliency_map
from keras_fgvc.ops._precision import wide_dtype


class GuidedImage(keras.layers.Layer):
    """An image and its attention maps as three channels, `(b, h, w, 3)`.

    A 1x1 convolution of the pixels, the heat maps `(b, i, j, n)` where there
    are any, and the part boxes `(b, m, 4)` as a mask. It begins as the plain
    image, so that a pretrained backbone sees what it knows. Maps are scaled
    as pixels are, 0..255: a weight on them is worth as much as on a colour.
    """

    def build(self, images_shape, boxes_shape, heatmaps_shape=None):
        maps = 1 if heatmaps_shape is None else 1 + heatmaps_shape[-1]
        plain = np.concatenate([np.eye(3), np.zeros((maps, 3))])
        self.kernel = self.add_weight(
            shape=plain.shape,
            initializer=keras.initializers.Constant(plain),
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(3,), initializer="zeros", name="bias"
        )

    def call(self, images, boxes, heatmaps=None):
        size = images.shape[1:3]
        maps = [ops.expand_dims(saliency_map(boxes, *size), -1)]
        if heatmaps is not None:
            maps.append(ops.image.resize(heatmaps, size))
        maps = 255.0 * ops.concatenate(maps, axis=-1)
        channels = ops.concatenate([images, maps], axis=-1)
        return ops.matmul(channels, self.kernel) + self.bias

    def compute_output_shape(
        self, images_shape, boxes_shape, heatmaps_shape=None
    ):
        return images_shape


class SaliencyMap(keras.layers.Layer):
    """Part boxes `(b, m, 4)` as a mask of some size, `(b, h, w, 1)`."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, boxes):
        return ops.expand_dims(saliency_map(boxes, *self.size), -1)

    def compute_output_shape(self, boxes_shape):
        return (boxes_shape[0], *self.size, 1)


class Hint(keras.layers.Layer):
    """Distance of a regressor on a student's map to a teacher's, `(b,)`.

    A 1x1 convolution that begins as the identity: the maps are of two copies
    of one backbone, so their channels are the same.
    """

    def build(self, student_shape, teacher_shape):
        self.regressor = keras.layers.Dense(
            teacher_shape[-1],
            kernel_initializer="identity",
            dtype=self.dtype_policy,
            name="regressor",
        )
        self.regressor.build(student_shape)

    def call(self, student, teacher):
        return losses.hint(teacher, self.regressor(student))

    def compute_output_shape(self, student_shape, teacher_shape):
        return (student_shape[0],)

    def compute_output_spec(self, student, teacher):
        # `losses.hint` computes in float32 at least.
        dtype = wide_dtype(self.compute_dtype)
        return keras.KerasTensor(student.shape[:1], dtype)


def head(num_classes, name):
    """The layers from a feature map to logits."""
    pooling = keras.layers.GlobalAveragePooling2D(name="pooling")
    dense = keras.layers.Dense(num_classes, dtype="float32", name="logits")
    return keras.Sequential([pooling, dense], name=name)


def make_views(model):
    """The layer that shows each part of a `DAF` alone."""
    views = ProposalViews(
        noise_stddev=model.noise_stddev,
        blur_sigma=model.blur_sigma,
        seed=model.seed,
        dtype="float32",
        name="views",
    )
    side = (None, model.image_size, model.image_size, 3)
    views.build([side, (None, model.num_parts, 4)])
    return views


class Student(NamedTuple):
    """Outputs of the student for an image, as symbolic tensors."""

    square: object  # (b, s, s, 3)
    feature_map: object  # (b, h, w, c), the last one
    heatmaps: object  # (b, i, j, n) or None
    outputs: dict


def study(square, features, head, with_heatmap, views=None, **options):
    """The student's look: logits, heat maps, the boxes of the parts.

    Args:
        square: Images of the side that `features` sees.
        features: A backbone with several taps, from fine to coarse.
        head: From the last map to logits.
        with_heatmap: Whether parts are sought in the foreground only.
        views: `ProposalViews` where the logits are the mean of the whole
            image's and of the parts'.
        **options: Of `SaliencyPartProposals`.
    """
    maps = features(square)
    heatmaps = None
    if with_heatmap:
        heatmaps = LocationHeatmap(dtype="float32", name="heatmaps")(maps)
    proposals = SaliencyPartProposals(**options, name="proposals")
    boxes, scores = proposals(maps, heatmaps)
    outputs = {
        "student_logits": head(maps[-1]),
        "part_boxes": boxes,
        "part_scores": scores,
    }
    if views is not None:
        parts = classify_views(square, boxes, views, features, head)
        outputs["part_logits"] = parts
        outputs["student_logits"] = mean_logits(
            outputs["student_logits"], ops.mean(parts, axis=1)
        )
    if with_heatmap:
        outputs["heatmap"] = ops.mean(heatmaps, axis=-1)
    return Student(square, maps[-1], heatmaps, outputs)


def classify_views(square, boxes, views, features, head, training=None):
    """Classifies each part's view of each image, `(b, parts, classes)`."""
    seen = views([square, boxes], training=training)
    seen = ops.reshape(seen, (-1, *seen.shape[2:]))  # (b * M, s, s, 3)
    logits = head(features(seen, training=training)[-1], training=training)
    return ops.reshape(logits, (-1, boxes.shape[1], logits.shape[-1]))


def mean_logits(first, second):
    """The mean of two predictions, which nothing has to learn."""
    return (first + second) / 2


def teach(student, features, num_classes, groups, distill, fusion):
    """The outputs of the teacher and of the fusion, by name.

    Args:
        student: A `Student`.
        features: The teacher's backbone.
        num_classes: Logits of each.
        groups: Of the bilinear transformation.
        distill: Whether the student's map is compared to the teacher's.
        fusion: `"mean"` or `"learned"`.
    """
    square, boxes = student.square, student.outputs["part_boxes"]
    guided = GuidedImage(dtype="float32", name="guided_image")(
        square, boxes, student.heatmaps
    )
    parts = SaliencyMap(square.shape[1:3], dtype="float32", name="part_mask")
    filtered = PartAttentionFilter(name="part_filter")(
        [features(guided), parts(boxes)]
    )
    bilinear = DeepBilinearTransformation(groups, name="bilinear")
    taught, grouping = bilinear(filtered, return_loss=True)
    logits = head(num_classes, "teacher")(taught)
    both = [student.outputs["student_logits"], logits]
    outputs = {
        "teacher_logits": logits,
        "fusion_logits": mean_logits(*both),
        "grouping": grouping,
    }
    if fusion == "learned":
        outputs["mean_logits"] = outputs["fusion_logits"]
        fuse = ClassScoreFusion(num_classes, dtype="float32", name="fusion")
        outputs["fusion_logits"] = fuse(both)
    if distill:
        outputs["hint"] = Hint(name="hint")(student.feature_map, taught)
    return outputs


def prediction(logits):
    """The outputs that every method has."""
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    return {"probabilities": softmax(logits), "logits": logits}


def meanings(outputs):
    """Declares the outputs; not all have a heat map, or a teacher."""
    found = {"part_boxes": PartBoxes("parts", saliency=True)}
    if "heatmap" in outputs:
        found = {"heatmap": MapOf("image", "heat map"), **found}
    if "teacher_logits" in outputs:
        for member in ("student", "teacher", "mean", "fusion"):
            if f"{member}_logits" in outputs:
                found[f"{member}_logits"] = Members((member,))
    return found


def student_only(model):
    """A model of what needs no teacher, out of the whole's outputs."""
    outputs = model.output
    kept = ("part_boxes", "part_scores", "heatmap")
    chosen = {key: outputs[key] for key in kept if key in outputs}
    softmax = keras.layers.Softmax(dtype="float32", name="student_softmax")
    logits = outputs["student_logits"]
    chosen |= {"logits": logits, "probabilities": softmax(logits)}
    student = DeclaredModel(model.input, chosen, name=f"{model.name}_student")
    return student.declare(meanings(chosen), num_classes=model.num_classes)
