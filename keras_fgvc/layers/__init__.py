"""Keras layers for fine-grained recognition; each usable alone."""

from keras_fgvc.layers.attention_center_loss import AttentionCenterLoss
from keras_fgvc.layers.attention_upsampler import AttentionUpsampler
from keras_fgvc.layers.bilinear_attention_pooling import (
    BilinearAttentionPooling,
)
from keras_fgvc.layers.class_mean_embedding_loss import ClassMeanEmbeddingLoss
from keras_fgvc.layers.gated_output_heads import GatedOutputHeads
from keras_fgvc.layers.glimpse_attention import GlimpseAttention
from keras_fgvc.layers.global_k_max_pooling import GlobalKMaxPooling
from keras_fgvc.layers.localization_module import LocalizationModule
from keras_fgvc.layers.part_crop import PartCrop
from keras_fgvc.layers.roi_align import ROIAlign
from keras_fgvc.layers.spatial_softmax_attention import (
    SpatialSoftmaxAttention,
)

__all__ = [
    "AttentionCenterLoss",
    "AttentionUpsampler",
    "BilinearAttentionPooling",
    "ClassMeanEmbeddingLoss",
    "GatedOutputHeads",
    "GlimpseAttention",
    "GlobalKMaxPooling",
    "LocalizationModule",
    "PartCrop",
    "ROIAlign",
    "SpatialSoftmaxAttention",
]
