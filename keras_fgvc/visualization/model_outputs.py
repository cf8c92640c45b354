"""Reads maps, boxes and members from outputs by what the model declares.

In each function `meanings` is the model's declaration (see
`keras_fgvc.models.outputs`) and `outputs` has arrays by the same names.
"""

import keras
import numpy as np

from keras_fgvc.models.declaration import declared, object_box
from keras_fgvc.models.outputs import (
    Gates,
    MapOf,
    MapsOf,
    Members,
    ObjectBox,
    PartBoxes,
)
from keras_fgvc.ops import saliency_map

# Cells per side of a map that is made here.
CANVAS = 112
WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)


def read_maps(meanings: dict, outputs: dict) -> dict:
    """Returns maps `(n, i, j)` that span the whole image, by title."""
    maps, box = {}, object_box(meanings)
    for name, meaning in declared(meanings, MapOf, MapsOf, PartBoxes).items():
        for title, values in _maps_of(meaning, outputs[name]):
            if not isinstance(meaning, PartBoxes) and meaning.of_crop:
                values = _seen_in(values, outputs[box])
            maps[title] = values
    return maps


def read_boxes(meanings: dict, outputs: dict) -> dict:
    """Returns boxes `(n, k, 4)` by title."""
    boxes = declared(meanings, ObjectBox, PartBoxes)
    return {m.titles[0]: outputs[name] for name, m in boxes.items()}


def read_gates(meanings: dict, outputs: dict) -> dict:
    """Returns weights `(n,)` of the members of a prediction, by name."""
    gates = {}
    for name, meaning in declared(meanings, Gates).items():
        gates |= dict(zip(meaning.names, outputs[name].T, strict=True))
    return gates


def read_members(meanings: dict, outputs: dict) -> dict:
    """Returns logits `(n, classes)` of the members of a prediction, by name."""
    members = {}
    for name, meaning in declared(meanings, Members).items():
        logits = outputs[name]  # (n, classes) or (n, members, classes)
        each = [logits] if logits.ndim == 2 else np.moveaxis(logits, 1, 0)
        members |= dict(zip(meaning.names, each, strict=True))
    return members


def _maps_of(meaning, values):
    """Yields pairs of a title and a map `(n, i, j)`."""
    if isinstance(meaning, MapOf):
        yield meaning.title, values
    elif isinstance(meaning, MapsOf):
        for number in range(values.shape[-1]):
            yield f"{meaning.title} {number + 1}", values[..., number]
    elif meaning.saliency:
        boxes = keras.ops.convert_to_tensor(values)
        saliency = saliency_map(boxes, CANVAS, CANVAS)
        yield "part saliency", keras.ops.convert_to_numpy(saliency)


def _seen_in(maps, boxes):
    """Lays maps of a crop over the whole image, NaN outside the crop.

    Boxes are `(n, 1, 4)`.
    """
    if np.allclose(boxes, WHOLE_IMAGE):
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
