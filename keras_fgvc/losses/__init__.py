"""Stateless loss functions, one idea per file."""

from keras_fgvc.losses.heatmap_regression import heatmap_regression
from keras_fgvc.losses.mask_diversity import mask_diversity
from keras_fgvc.losses.reinforce import reinforce

__all__ = ["heatmap_regression", "mask_diversity", "reinforce"]
