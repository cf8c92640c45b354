"""Stateless loss functions, one idea per file.

A loss with a target takes it first, as Keras's do: (target, prediction). It
returns one value per image and works in `compile(loss=...)`; the target gets
no gradient. Losses without a target take the prediction alone. Options are
keyword-only.
"""

from keras_fgvc.losses.box_area_penalty import box_area_penalty
from keras_fgvc.losses.box_overlap import box_overlap
from keras_fgvc.losses.channel_grouping import channel_grouping
from keras_fgvc.losses.heatmap_regression import heatmap_regression
from keras_fgvc.losses.hint import hint
from keras_fgvc.losses.mask_diversity import mask_diversity
from keras_fgvc.losses.pairwise_ranking import pairwise_ranking
from keras_fgvc.losses.reinforce import reinforce
from keras_fgvc.losses.soft_target import soft_target

__all__ = [
    "box_area_penalty",
    "box_overlap",
    "channel_grouping",
    "heatmap_regression",
    "hint",
    "mask_diversity",
    "pairwise_ranking",
    "reinforce",
    "soft_target",
]
