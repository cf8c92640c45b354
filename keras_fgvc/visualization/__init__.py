"""Pictures of what a model saw. Needs the extra `demo`."""

from keras_fgvc.visualization.comparison_picture import save_comparison
from keras_fgvc.visualization.confusion_picture import save_confusions
from keras_fgvc.visualization.confusions import ConfusedPair, most_confused
from keras_fgvc.visualization.drawing import PREDICTED_COLOUR, TRUE_COLOUR
from keras_fgvc.visualization.explanation_picture import save_explanations
from keras_fgvc.visualization.explanations import (
    Explanation,
    TopClass,
    explain,
)
from keras_fgvc.visualization.grid import save_grid
from keras_fgvc.visualization.report import write_report
from keras_fgvc.visualization.sections import (
    Section,
    confusion_section,
    explanation_section,
    training_section,
)
from keras_fgvc.visualization.training_curves import save_training_curves

__all__ = [
    "PREDICTED_COLOUR",
    "TRUE_COLOUR",
    "ConfusedPair",
    "Explanation",
    "Section",
    "TopClass",
    "confusion_section",
    "explain",
    "explanation_section",
    "most_confused",
    "save_comparison",
    "save_confusions",
    "save_explanations",
    "save_grid",
    "save_training_curves",
    "training_section",
    "write_report",
]
