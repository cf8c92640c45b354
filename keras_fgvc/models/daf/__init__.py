"""DAF: a student finds parts, a teacher is shown where they are."""

from keras_fgvc.models.daf.model import DAF
from keras_fgvc.models.daf.recipes import RECIPES

__all__ = ["DAF", "RECIPES"]
