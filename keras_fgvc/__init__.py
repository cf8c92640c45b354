"""Fine-grained image recognition for Keras 3.

Layers for your own model, complete published methods on any backbone, and
what lies between a folder of photographs and a served model.
"""

from keras_fgvc._quiet import less_noise, set_level_of_module
from keras_fgvc._version import __version__

set_level_of_module()
with less_noise():  # of TensorFlow's libraries
    from keras_fgvc import (
        backbones,
        data,
        evaluation,
        export,
        layers,
        losses,
        metrics,
        models,
        ops,
        recipes,
        training,
        visualization,
    )

__all__ = [
    "__version__",
    "backbones",
    "data",
    "evaluation",
    "export",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "recipes",
    "training",
    "visualization",
]
