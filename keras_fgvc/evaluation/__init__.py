"""Evaluates trained models on a split, alone and beside each other.

`predict` runs the model once; everything else is counted on its
`Predictions`, which can be saved.
"""

from keras_fgvc.evaluation.calibration import (
    calibration_error,
    negative_log_likelihood,
)
from keras_fgvc.evaluation.comparison import (
    Comparison,
    compare,
    mean_and_spread,
)
from keras_fgvc.evaluation.constant_boxes import (
    best_centered_box,
    constant_boxes,
)
from keras_fgvc.evaluation.figures import (
    Evaluation,
    evaluate,
    evaluate_predictions,
    macro_f1,
)
from keras_fgvc.evaluation.predicting import predict
from keras_fgvc.evaluation.predictions import Predictions
from keras_fgvc.evaluation.tables import Row, Table, tabulate
from keras_fgvc.evaluation.thresholds import best_threshold

__all__ = [
    "Comparison",
    "Evaluation",
    "Predictions",
    "Row",
    "Table",
    "best_centered_box",
    "best_threshold",
    "calibration_error",
    "compare",
    "constant_boxes",
    "evaluate",
    "evaluate_predictions",
    "macro_f1",
    "mean_and_spread",
    "negative_log_likelihood",
    "predict",
    "tabulate",
]
