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
from keras_fgvc.ops.blur import gaussian_blur
from keras_fgvc.ops.centers import updated_centers
from keras_fgvc.ops.embedding import (
    between_class_loss,
    updated_class_means,
    within_class_loss,
)
from keras_fgvc.ops.gating import confidence_gates, mix_hypotheses
from keras_fgvc.ops.group_bilinear import (
    group_bilinear,
    group_codes,
    interpolate_channels,
)
from keras_fgvc.ops.policy import (
    best_location,
    final_reward,
    greedy_reward,
    log_probability,
    sample_locations,
    window_scores,
)
from keras_fgvc.ops.pooling import global_k_max_pool
from keras_fgvc.ops.regions import (
    anchor_boxes,
    box_area,
    box_iou,
    box_masks,
    crop_and_resize,
    decode_boxes,
    denormalize_boxes,
    gather_windows,
    heatmap_to_box,
    isolate_boxes,
    minmax_normalize,
    non_max_suppression,
    normalize_boxes,
    roi_align,
    saliency_map,
    window_boxes,
)
from keras_fgvc.ops.saliency import foreground, location_heatmap

__all__ = [
    "anchor_boxes",
    "attention_drop",
    "best_location",
    "between_class_loss",
    "bilinear_attention_pool",
    "box_area",
    "box_iou",
    "box_masks",
    "confidence_gates",
    "crop_and_resize",
    "decode_boxes",
    "denormalize_boxes",
    "final_reward",
    "foreground",
    "gather_windows",
    "gaussian_blur",
    "global_k_max_pool",
    "greedy_reward",
    "group_bilinear",
    "group_codes",
    "heatmap_to_box",
    "interpolate_channels",
    "isolate_boxes",
    "location_heatmap",
    "log_probability",
    "minmax_normalize",
    "mix_hypotheses",
    "non_max_suppression",
    "normalize_boxes",
    "roi_align",
    "saliency_map",
    "sample_locations",
    "sample_maps",
    "signed_sqrt",
    "spatial_softmax",
    "updated_centers",
    "updated_class_means",
    "window_boxes",
    "window_scores",
    "within_class_loss",
]
