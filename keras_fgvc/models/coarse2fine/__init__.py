"""Coarse2Fine: the coarse look's attention lights up the image for a second."""

from keras_fgvc.models.coarse2fine.model import Coarse2Fine
from keras_fgvc.models.coarse2fine.recipes import RECIPES

__all__ = ["RECIPES", "Coarse2Fine"]
