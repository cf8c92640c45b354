"""Keras layers for fine-grained recognition; each usable alone."""

from keras_fgvc.layers.class_mean_embedding_loss import ClassMeanEmbeddingLoss
from keras_fgvc.layers.global_k_max_pooling import GlobalKMaxPooling
from keras_fgvc.layers.localization_module import LocalizationModule
from keras_fgvc.layers.part_crop import PartCrop
from keras_fgvc.layers.roi_align import ROIAlign

__all__ = [
    "ClassMeanEmbeddingLoss",
    "GlobalKMaxPooling",
    "LocalizationModule",
    "PartCrop",
    "ROIAlign",
]
