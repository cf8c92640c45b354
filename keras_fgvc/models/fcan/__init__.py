"""FCAN: glimpses chosen by a learned policy, one network for each view."""

from keras_fgvc.models.fcan.model import FCAN
from keras_fgvc.models.fcan.recipes import RECIPES

__all__ = ["FCAN", "RECIPES"]
