"""The mathematics of the package as pure tensor functions.

Letters in shapes: b batch, h w height and width, c channels, n m boxes.
Everything is channels last and stateless.
"""

from keras_fgvc.ops.attention import (
    attention_drop,
    sample_maps,
    spatial_softmax,
)
from keras_fgvc.ops.bilinear import bilinear_attention_pool, signed_sqrt
from keras_fgvc.ops.centers import updated_centers
from keras_fgvc.ops.embedding import (
    between_class_loss,
    updated_class_means,
    within_class_loss,
)
from keras_fgvc.ops.gating import confidence_gates, mix_hypotheses
from keras_fgvc.ops.policy import (
    best_location,
    final_reward,
    greedy_reward,
    log_probability,
    sample_locations,
)
from keras_fgvc.ops.pooling import global_k_max_pool
from keras_fgvc.ops.regions import (
    box_area,
    box_iou,
    crop_and_resize,
    gather_windows,
    heatmap_to_box,
    minmax_normalize,
    non_max_suppression,
    roi_align,
    window_boxes,
)

__all__ = [
    "attention_drop",
    "best_location",
    "between_class_loss",
    "bilinear_attention_pool",
    "box_area",
    "box_iou",
    "confidence_gates",
    "crop_and_resize",
    "final_reward",
    "gather_windows",
    "global_k_max_pool",
    "greedy_reward",
    "heatmap_to_box",
    "log_probability",
    "minmax_normalize",
    "mix_hypotheses",
    "non_max_suppression",
    "roi_align",
    "sample_locations",
    "sample_maps",
    "signed_sqrt",
    "spatial_softmax",
    "updated_centers",
    "updated_class_means",
    "window_boxes",
    "within_class_loss",
]
