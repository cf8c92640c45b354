import math

import keras
from keras import ops

from keras_fgvc._checks import (
    as_int,
    as_number,
    as_plain,
)
from keras_fgvc.layers._feature_pyramid import FeaturePyramid
from keras_fgvc.ops import (
    anchor_boxes,
    decode_boxes,
    foreground,
    non_max_suppression,
)
from keras_fgvc.ops._precision import at_least_float32
from keras_fgvc.ops._resizing import resize_nearest
from keras_fgvc.ops.regions.anchors import (
    ANCHOR_RATIOS,
    ANCHOR_SCALES,
    check_anchors,
)

# A box's ratio of height to width, over its anchor's: 1 / 2 to 2.
MAX_LOG_STRETCH = math.log(2)


def bounded_deltas(deltas, cells):
    """Keeps boxes near their anchors: deltas `(..., 4)` as `decode_boxes`'s.

    The centre moves by a share `1 / cells` of the anchor's sides at most, one
    cell for an anchor of scale and ratio 1, so that it stays close to the
    foreground which its anchor was chosen for; the logarithm of height over
    width by `MAX_LOG_STRETCH`. The size is free, zeros remain zeros. `cells`
    is one number, or two, for down and across.
    """
    deltas = at_least_float32(deltas)
    center = ops.tanh(deltas[..., :2]) / ops.cast(cells, deltas.dtype)
    height, width = deltas[..., 2], deltas[..., 3]
    size = (height + width) / 2
    stretch = ops.tanh((height - width) / MAX_LOG_STRETCH)
    stretch = MAX_LOG_STRETCH / 2 * stretch
    sides = ops.stack([size + stretch, size - stretch], axis=-1)
    return ops.concatenate([center, sides], axis=-1)


@keras.saving.register_keras_serializable(package="keras_fgvc")
class SaliencyPartProposals(keras.layers.Layer):
    """Proposes the boxes of the most telling parts of an object.

    A detector that no box has to teach: a feature pyramid over the maps of a
    backbone, and heads shared by its levels that give each anchor a score s
    and four deltas t,

        hidden = relu(conv_3x3(level)),
        s = conv_1x1(hidden),    box = decode(bound(conv_1x1(hidden)), anchor)

    A box takes any size but stays in its anchor's place and shape, see
    `bounded_deltas`: no true box says where it belongs, and losses on overlap
    and area alone are content with strips from border to border.

    Anchors centred on the foreground of a location heat map are candidates.
    The best by score that overlap each other by `iou_threshold` at most are
    the proposals. What orders the scores is a ranking loss against how well
    each part alone is recognised; what moves the boxes, losses on their
    overlap and area. Gradients reach the heads through the chosen ones only.

    Source: "Dual Attention Fusion" (DAF) for fine-grained image
    classification, section 3.3; without boxes as in Yang et al., "Learning to
    Navigate for Fine-grained Classification", ECCV 2018,
    https://arxiv.org/abs/1809.00287; heads as in Ren et al., "Faster R-CNN",
    NeurIPS 2015, https://arxiv.org/abs/1506.01497. DAF does not give filters,
    anchors, bounds or the rule for the foreground: these are ours, see
    `ops.anchor_boxes` and `ops.foreground`. The deltas' convolution starts at
    zero, so the first boxes are the anchors, clipped to the image.

    Args:
        num_parts: Integer, number of proposals (M). Defaults to 3.
        filters: Channels of the pyramid and of the heads. Defaults to 128.
        cells: Side of a square anchor of scale 1, in cells of its level.
            Defaults to 6.0.
        side: Side of a square anchor of scale 1 on the coarsest level, as a
            share of the image's sides, half of it on each finer level,
            instead of `cells`. `3 / 7` equals 6 cells at 448 pixels and
            strides 8, 16 and 32, the sizes of NTS-Net, and covers the same
            share of a smaller image. Defaults to None.
        scales: Tuple of factors of the side. Defaults to 1, 2^(1/3) and
            2^(2/3).
        ratios: Tuple of heights over widths. Defaults to 2/3, 1 and 3/2.
        iou_threshold: Intersection over union still allowed between two
            proposals, 0 to 1. Defaults to 0.25.
        hold_features: Whether to keep the gradients of the proposals out of
            the feature maps, as NTS-Net does, so that the ranking does not
            disturb the classifier; DAF is silent. Defaults to `True`.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        feature_maps: List of feature maps from fine to coarse (strides 8, 16
            and 32 in the paper), as many at each call.
        heatmap: Location heat map, see `LocationHeatmap`. A cell's anchors
            are candidates where the heat map's cell under its centre is
            foreground. Without one, or where the foreground holds no centre,
            every anchor is a candidate.
        return_candidates: Whether what was chosen from comes back too.
            Defaults to `False`.

    Input shape:
        feature_maps `(batch, height_i, width_i, channels_i)`; heatmap
        `(batch, height, width, maps)`, of any size. All but the channels may
        be unknown.

    Output shape:
        A pair, both float32 and best first: boxes `(batch, num_parts, 4)`,
        `[y_min, x_min, y_max, x_max]` from 0 to 1 of the image, and their
        scores `(batch, num_parts)`. Where fewer boxes are left, the best is
        repeated at the end. With `return_candidates` also the boxes
        `(batch, n, 4)` and scores `(batch, n)` of all anchors, level by
        level, the score -inf where an anchor is no candidate.

    Raises:
        ValueError: If an argument is not as described, `feature_maps` is not
            a list of maps from fine to coarse, or `heatmap` does not have
            four axes.

    Example:

    ```python
    import keras
    from keras_fgvc.layers import LocationHeatmap, SaliencyPartProposals

    maps = [keras.Input((28, 28, 64)), keras.Input((14, 14, 128))]
    heatmap = LocationHeatmap()(maps)
    boxes, scores = SaliencyPartProposals(3)(maps, heatmap)  # (None, 3, 4)
    ```
    """

    def __init__(
        self,
        num_parts: int = 3,
        *,
        filters: int = 128,
        cells: float = 6.0,
        side: float | None = None,
        scales=ANCHOR_SCALES,
        ratios=ANCHOR_RATIOS,
        iou_threshold: float = 0.25,
        hold_features: bool = True,
        **kwargs,
    ):
        # A heat map is compared as it is, the convolutions cast their own.
        super().__init__(autocast=False, **kwargs)
        num_parts = as_int("num_parts", num_parts)
        filters = as_int("filters", filters)
        check_anchors(cells, scales, ratios, side)
        iou_threshold = as_number("iou_threshold", iou_threshold, 0.0, 1.0)
        self.num_parts = num_parts
        self.filters = filters
        self.cells = as_plain(cells)
        self.side = as_plain(side)
        self.scales = as_plain(tuple(scales))
        self.ratios = as_plain(tuple(ratios))
        self.iou_threshold = iou_threshold
        self.hold_features = hold_features

    @property
    def _anchors_per_cell(self):
        return len(self.scales) * len(self.ratios)

    def build(self, feature_maps_shape, heatmap_shape=None):
        self.pyramid = FeaturePyramid(
            self.filters, dtype=self.dtype_policy, name="pyramid"
        )
        self.pyramid.build(feature_maps_shape)
        level = (None, None, None, self.filters)
        self.hidden = self._convolution(
            self.filters, 3, "hidden", activation="relu"
        )
        self.hidden.build(level)
        self.score = self._convolution(self._anchors_per_cell, 1, "score")
        self.score.build(level)
        self.deltas = self._convolution(
            4 * self._anchors_per_cell, 1, "deltas", kernel_initializer="zeros"
        )
        self.deltas.build(level)

    def _convolution(self, filters, kernel_size, name, **options):
        return keras.layers.Conv2D(
            filters,
            kernel_size,
            padding="same",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name=name,
            **options,
        )

    def call(self, feature_maps, heatmap=None, return_candidates=False):
        if self.hold_features:
            feature_maps = [ops.stop_gradient(x) for x in feature_maps]
        levels = self.pyramid(feature_maps)
        sizes = [ops.shape(level)[1:3] for level in levels]
        boxes, scores = self._predict(levels, sizes)
        ranked = scores
        if heatmap is not None:
            inside = self._on_foreground(heatmap, sizes)
            ranked = ops.where(inside, scores, -float("inf"))
        indices, valid = non_max_suppression(
            boxes, ranked, self.num_parts, self.iou_threshold
        )
        indices = ops.where(valid, indices, indices[:, :1])
        chosen = (
            ops.take_along_axis(boxes, indices[..., None], axis=1),
            ops.take_along_axis(scores, indices, axis=1),
        )
        return (*chosen, boxes, ranked) if return_candidates else chosen

    def _predict(self, levels, sizes):
        """Boxes (b, n, 4) and scores (b, n) of all anchors, float32."""
        scores, deltas, anchors = [], [], []
        for number, (height, width) in enumerate(sizes):
            hidden = self.hidden(levels[number])
            count = height * width * self._anchors_per_cell
            scores.append(ops.reshape(self.score(hidden), (-1, count)))
            raw = ops.reshape(self.deltas(hidden), (-1, count, 4))
            cells, side = self.cells, self.side
            if side is not None:
                side /= 2 ** (len(levels) - 1 - number)
                shape = [ops.cast(n, "float32") for n in (height, width)]
                cells = side * ops.stack(shape)
            deltas.append(bounded_deltas(raw, cells))
            options = {"scales": self.scales, "ratios": self.ratios}
            options |= {"cells": self.cells, "side": side}
            anchors.append(anchor_boxes(height, width, **options))
        deltas = ops.concatenate(deltas, axis=1)
        boxes = decode_boxes(deltas, ops.concatenate(anchors, axis=0))
        scores = ops.concatenate(scores, axis=1)
        return ops.cast(boxes, "float32"), ops.cast(scores, "float32")

    def _on_foreground(self, heatmap, sizes):
        """Tells which anchors have their centre on the foreground, (b, n)."""
        mask = foreground(heatmap)[..., None]  # (b, h, w, 1)
        levels = []
        for height, width in sizes:
            cells = resize_nearest(mask, height, width)
            count = height * width * self._anchors_per_cell
            anchors = cells * ops.ones(self._anchors_per_cell)
            levels.append(ops.reshape(anchors, (-1, count)))
        inside = ops.concatenate(levels, axis=1) > 0.5
        # A foreground between the centres would leave nothing to choose.
        found = ops.any(inside, axis=1, keepdims=True)
        return ops.logical_or(inside, ops.logical_not(found))

    def compute_output_shape(self, feature_maps_shape, heatmap_shape=None):
        batch = feature_maps_shape[0][0]
        return (batch, self.num_parts, 4), (batch, self.num_parts)

    def compute_output_spec(
        self, feature_maps, heatmap=None, return_candidates=False
    ):
        shapes = self.compute_output_shape([x.shape for x in feature_maps])
        if return_candidates:
            count = self._count([x.shape[1:3] for x in feature_maps])
            batch = shapes[0][0]
            shapes = (*shapes, (batch, count, 4), (batch, count))
        return tuple(keras.KerasTensor(s, "float32") for s in shapes)

    def _count(self, sizes):
        """Number of all anchors, None where a size is unknown."""
        if any(None in size for size in sizes):
            return None
        cells = sum(height * width for height, width in sizes)
        return cells * self._anchors_per_cell

    def get_config(self):
        return {
            **super().get_config(),
            "num_parts": self.num_parts,
            "filters": self.filters,
            "cells": self.cells,
            "side": self.side,
            "scales": self.scales,
            "ratios": self.ratios,
            "iou_threshold": self.iou_threshold,
            "hold_features": self.hold_features,
        }
