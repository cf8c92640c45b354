"""Stateless loss functions, one idea per file."""

from keras_fgvc.losses.heatmap_regression import heatmap_regression

__all__ = ["heatmap_regression"]
