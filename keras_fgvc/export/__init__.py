"""Trained models as files that other programs run."""

from keras_fgvc.export.litert import export_litert
from keras_fgvc.export.onnx import export_onnx
from keras_fgvc.export.saved_model import export_saved_model
from keras_fgvc.export.versions import next_version

__all__ = [
    "export_litert",
    "export_onnx",
    "export_saved_model",
    "next_version",
]
