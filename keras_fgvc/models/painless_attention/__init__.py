"""Painless attention: masks on any layers, gated with the network's output."""

from keras_fgvc.models.painless_attention.model import PainlessAttention
from keras_fgvc.models.painless_attention.recipes import RECIPES

__all__ = ["RECIPES", "PainlessAttention"]
