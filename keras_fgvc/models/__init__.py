"""The published methods, each a `keras.Model` around any backbone."""

from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.baseline import Baseline
from keras_fgvc.models.elope import ELoPE

__all__ = ["Baseline", "ELoPE", "FineGrainedModel"]
