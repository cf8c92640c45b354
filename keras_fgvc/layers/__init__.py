"""Keras layers for fine-grained recognition; each usable alone."""

from keras_fgvc.layers.attention_center_loss import AttentionCenterLoss
from keras_fgvc.layers.attention_upsampler import AttentionUpsampler
from keras_fgvc.layers.bilinear_attention_pooling import (
    BilinearAttentionPooling,
)
from keras_fgvc.layers.class_mean_embedding_loss import ClassMeanEmbeddingLoss
from keras_fgvc.layers.class_score_fusion import ClassScoreFusion
from keras_fgvc.layers.deep_bilinear_transformation import (
    DeepBilinearTransformation,
)
from keras_fgvc.layers.gated_output_heads import GatedOutputHeads
from keras_fgvc.layers.glimpse_attention import GlimpseAttention
from keras_fgvc.layers.global_k_max_pooling import GlobalKMaxPooling
from keras_fgvc.layers.group_bilinear import GroupBilinear
from keras_fgvc.layers.localization_module import LocalizationModule
from keras_fgvc.layers.location_heatmap import LocationHeatmap
from keras_fgvc.layers.part_attention_filter import PartAttentionFilter
from keras_fgvc.layers.part_crop import PartCrop
from keras_fgvc.layers.proposal_views import ProposalViews
from keras_fgvc.layers.roi_align import ROIAlign
from keras_fgvc.layers.saliency_part_proposals import SaliencyPartProposals
from keras_fgvc.layers.semantic_grouping import SemanticGrouping
from keras_fgvc.layers.spatial_softmax_attention import (
    SpatialSoftmaxAttention,
)

__all__ = [
    "AttentionCenterLoss",
    "AttentionUpsampler",
    "BilinearAttentionPooling",
    "ClassMeanEmbeddingLoss",
    "ClassScoreFusion",
    "DeepBilinearTransformation",
    "GatedOutputHeads",
    "GlimpseAttention",
    "GlobalKMaxPooling",
    "GroupBilinear",
    "LocalizationModule",
    "LocationHeatmap",
    "PartAttentionFilter",
    "PartCrop",
    "ProposalViews",
    "ROIAlign",
    "SaliencyPartProposals",
    "SemanticGrouping",
    "SpatialSoftmaxAttention",
]
