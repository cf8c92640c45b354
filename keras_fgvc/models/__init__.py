"""The published methods, each a `keras.Model` around any backbone."""

from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.baseline import Baseline
from keras_fgvc.models.coarse2fine import Coarse2Fine
from keras_fgvc.models.daf import DAF
from keras_fgvc.models.elope import ELoPE
from keras_fgvc.models.fcan import FCAN
from keras_fgvc.models.painless_attention import PainlessAttention
from keras_fgvc.models.phases import Phase
from keras_fgvc.models.registry import register_method
from keras_fgvc.models.with_losses import with_losses

__all__ = [
    "DAF",
    "FCAN",
    "Baseline",
    "Coarse2Fine",
    "ELoPE",
    "FineGrainedModel",
    "PainlessAttention",
    "Phase",
    "register_method",
    "with_losses",
]
