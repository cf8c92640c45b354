"""ELoPE: localise on a tiny image, crop, pool k maxima, embed, classify."""

from keras_fgvc.models.elope.model import ELoPE
from keras_fgvc.models.elope.recipes import RECIPES

__all__ = ["RECIPES", "ELoPE"]
