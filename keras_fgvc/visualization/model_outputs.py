"""Finds the meaning of a model's outputs by names and shapes.

Names and shapes are those of the docstrings in `keras_fgvc.models`, so that a
model loaded from a file, or one of your own, is read like ours. An output of
another name, or of another rank, is passed over.
"""

import re

import keras
import numpy as np

from keras_fgvc.ops import saliency_map

# Cells a side of a map that is made here.
CANVAS = 112
WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)
MASKS = re.compile(r"masks_(\d+)")


def read_maps(outputs: dict) -> dict:
    """Maps `(n, i, j)` that span the whole image, by a title."""
    maps = {}
    if _has(outputs, "heatmap", 3):
        # Of the maps below, if there are any.
        title = "mean attention" if "attention" in outputs else "heat map"
        maps[title] = outputs["heatmap"]
    if _has(outputs, "mean_activation", 3):
        maps["mean activation"] = _seen_in(
            outputs["mean_activation"], outputs.get("boxes")
        )
    if _has(outputs, "part_scores", 2):
        boxes = keras.ops.convert_to_tensor(outputs["part_boxes"])
        saliency = saliency_map(boxes, CANVAS, CANVAS)
        maps["part saliency"] = keras.ops.convert_to_numpy(saliency)
    for title, stack in _stacks(outputs):
        for number in range(stack.shape[-1]):
            maps[f"{title} {number + 1}"] = stack[..., number]
    return maps


def read_boxes(outputs: dict) -> dict:
    """Boxes `(n, k, 4)` by a title."""
    boxes = {}
    if _has(outputs, "boxes", 3):
        # What was cut out for the backbone, or what the attention is high on.
        crops = "attention" not in outputs
        boxes["crop" if crops else "object"] = outputs["boxes"]
    if _has(outputs, "part_boxes", 3):
        glimpses = "view_logits" in outputs
        boxes["glimpses" if glimpses else "parts"] = outputs["part_boxes"]
    return boxes


def read_gates(outputs: dict) -> dict:
    """Weights `(n,)` of the members of a prediction, by their names."""
    if not _has(outputs, "gates", 2):
        return {}
    gates = outputs["gates"]
    return dict(zip(_heads(outputs, gates.shape[1]), gates.T, strict=True))


def read_members(outputs: dict) -> dict:
    """Logits `(n, classes)` of those who made the prediction together."""
    members = {}
    if _has(outputs, "hypotheses", 3):
        names = _heads(outputs, outputs["hypotheses"].shape[1])
        members |= _members(names, outputs["hypotheses"])
    if _has(outputs, "view_logits", 3):
        count = outputs["view_logits"].shape[1]
        glimpses = [f"glimpse {number}" for number in range(1, count)]
        members |= _members(["whole image", *glimpses], outputs["view_logits"])
    named = {
        "coarse_logits": "first look",
        "fine_logits": "second look",
        "student_logits": "student",
        "teacher_logits": "teacher",
        "fusion_logits": "fusion",
    }
    for output, name in named.items():
        if _has(outputs, output, 2):
            members[name] = outputs[output]
    return members if len(members) > 1 else {}


def _has(outputs, name, rank):
    return name in outputs and outputs[name].ndim == rank


def _stacks(outputs):
    """Pairs of a title and maps `(n, i, j, k)`."""
    for module in _modules(outputs):
        yield f"module {module + 1}, head", outputs[f"masks_{module}"]
    if _has(outputs, "attention", 4):
        yield "attention map", outputs["attention"]
    if _has(outputs, "score_maps", 4):
        yield "score map", outputs["score_maps"]


def _modules(outputs):
    """Numbers of the modules that have masks, in order."""
    found = [MASKS.fullmatch(name) for name in outputs]
    numbers = sorted(int(match[1]) for match in found if match)
    return [n for n in numbers if _has(outputs, f"masks_{n}", 4)]


def _heads(outputs, count):
    """Names of the members that gates weigh, the network first."""
    names = ["network"]
    for module in _modules(outputs):
        for head in range(outputs[f"masks_{module}"].shape[-1]):
            names.append(f"module {module + 1}, head {head + 1}")
    if len(names) != count:  # a model of another make
        names = [f"member {number + 1}" for number in range(count)]
    return names


def _members(names, logits):
    """Splits `(n, members, classes)` into one entry per member."""
    return dict(zip(names, np.moveaxis(logits, 1, 0), strict=True))


def _seen_in(maps, boxes):
    """Maps of what a backbone saw of an image, laid over the whole of it.

    Outside the crop they are NaN. Boxes are `(n, 1, 4)`, or None for a
    backbone that saw all.
    """
    if boxes is None or np.allclose(boxes, WHOLE_IMAGE):
        return maps
    placed = []
    for values, (y_min, x_min, y_max, x_max) in zip(
        maps, boxes[:, 0], strict=True
    ):
        rows = _interpolation(y_min, y_max, values.shape[0])
        columns = _interpolation(x_min, x_max, values.shape[1])
        placed.append(rows @ values @ columns.T)
    return np.stack(placed)


def _interpolation(low, high, cells):
    """`(CANVAS, cells)` of linear weights; NaN outside of low..high."""
    places = (np.arange(CANVAS) + 0.5) / CANVAS
    inside = (places - low) / max(high - low, 1e-6) * cells - 0.5
    nearest = np.clip(inside, 0, cells - 1)[:, None]
    weights = np.maximum(0, 1 - np.abs(nearest - np.arange(cells)))
    weights[(places < low) | (places >= high)] = np.nan
    return weights.astype("float32")
