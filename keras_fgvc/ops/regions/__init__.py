"""Regions of an image: boxes, heat maps and the pixels inside them.

The box convention of the whole package, stated once: a box is
`[y_min, x_min, y_max, x_max]`, normalised so that 0..1 spans the image, as in
tf.image and TFDS. Cell i of h rows spans `[i / h, (i + 1) / h]`, so the whole
image is `[0, 0, 1, 1]` at any resolution. Boxes are float32 also under mixed
precision: in bfloat16 a pixel of a 448 pixel image could not be told from its
neighbour. A box with `y_max <= y_min` or `x_max <= x_min` is empty.
"""

from keras_fgvc.ops.regions.anchors import anchor_boxes, decode_boxes
from keras_fgvc.ops.regions.boxes import (
    box_area,
    box_iou,
    non_max_suppression,
)
from keras_fgvc.ops.regions.formats import denormalize_boxes, normalize_boxes
from keras_fgvc.ops.regions.heatmaps import heatmap_to_box, minmax_normalize
from keras_fgvc.ops.regions.isolation import isolate_boxes
from keras_fgvc.ops.regions.masks import box_masks, saliency_map
from keras_fgvc.ops.regions.sampling import crop_and_resize, roi_align
from keras_fgvc.ops.regions.windows import gather_windows, window_boxes

__all__ = [
    "anchor_boxes",
    "box_area",
    "box_iou",
    "box_masks",
    "crop_and_resize",
    "decode_boxes",
    "denormalize_boxes",
    "gather_windows",
    "heatmap_to_box",
    "isolate_boxes",
    "minmax_normalize",
    "non_max_suppression",
    "normalize_boxes",
    "roi_align",
    "saliency_map",
    "window_boxes",
]
