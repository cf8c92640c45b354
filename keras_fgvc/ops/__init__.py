"""The mathematics of the package as pure tensor functions.

Letters in shapes: b batch, h w height and width, c channels, n m boxes.
Everything is channels last and stateless.
"""

from keras_fgvc.ops.embedding import (
    between_class_loss,
    updated_class_means,
    within_class_loss,
)
from keras_fgvc.ops.pooling import global_k_max_pool
from keras_fgvc.ops.regions import (
    box_area,
    box_iou,
    crop_and_resize,
    heatmap_to_box,
    minmax_normalize,
    non_max_suppression,
    roi_align,
)

__all__ = [
    "between_class_loss",
    "box_area",
    "box_iou",
    "crop_and_resize",
    "global_k_max_pool",
    "heatmap_to_box",
    "minmax_normalize",
    "non_max_suppression",
    "roi_align",
    "updated_class_means",
    "within_class_loss",
]
