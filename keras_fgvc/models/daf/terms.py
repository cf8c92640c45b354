"""The terms of DAF's loss by name, each one value an image.

Each is called with the model, the labels `(b,)` and the outputs by name.
"""

from keras import ops

from keras_fgvc import losses
from keras_fgvc.models._classification import cross_entropy
from keras_fgvc.ops import foreground


def of_logits(name):
    """The cross-entropy of one output."""
    return lambda model, labels, outputs: cross_entropy(labels, outputs[name])


def concentrate(model, labels, outputs):
    """Equation 4: the views' logits are averaged first."""
    return cross_entropy(labels, ops.mean(outputs["part_logits"], axis=1))


def ranking(model, labels, outputs):
    """Equation 5, in NTS-Net's form."""
    logits = ops.cast(outputs["part_logits"], "float32")
    own = ops.one_hot(labels, model.num_classes, dtype="float32")
    confidences = ops.sum(
        ops.softmax(logits, axis=-1) * ops.expand_dims(own, 1),
        axis=-1,
    )
    return losses.pairwise_ranking(confidences, outputs["part_scores"])


def overlap(model, labels, outputs):
    return losses.box_overlap(
        outputs["part_boxes"], centers_only=model.overlap_moves == "centers"
    )


def area(model, labels, outputs):
    """Section 3.7.2: a box is to have an N-th of the object."""
    boxes = outputs["part_boxes"]
    if "heatmap" in outputs:
        heatmaps = ops.expand_dims(outputs["heatmap"], -1)
        shares = ops.mean(foreground(heatmaps), axis=(1, 2))
    else:
        shares = ops.ones_like(boxes[:, 0, 0])
    return losses.box_area_penalty(
        shares, boxes, parts_per_object=model.parts_per_object
    )


def soft_target(model, labels, outputs):
    return losses.soft_target(
        outputs["teacher_logits"],
        outputs["student_logits"],
        temperature=model.temperature,
    )


TERMS = {
    "student": of_logits("student_logits"),
    "concentrate": concentrate,
    "ranking": ranking,
    "overlap": overlap,
    "area": area,
    "teacher": of_logits("teacher_logits"),
    "fusion": of_logits("fusion_logits"),
    "grouping": lambda model, labels, outputs: outputs["grouping"],
    "soft_target": soft_target,
    "hint": lambda model, labels, outputs: outputs["hint"],
}
STUDENT_WEIGHTS = {
    "student": 1.0,
    "concentrate": 1.0,
    "ranking": 1.0,
    "overlap": 1.0,
    "area": 1.0,
}
TEACHER_WEIGHTS = {"teacher": 1.0, "fusion": 1.0, "grouping": 0.1}
DISTILLATION_WEIGHTS = {"soft_target": 1.0, "hint": 1.0}


def default_weights(teacher, distill):
    """The weight of each term that there is."""
    weights = dict(STUDENT_WEIGHTS)
    if teacher:
        weights |= TEACHER_WEIGHTS
    if teacher and distill:
        weights |= DISTILLATION_WEIGHTS
    return weights
