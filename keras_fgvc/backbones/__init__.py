"""Feature extractors: raw pixels in, feature maps at chosen taps out.

Any model of `keras.applications` by its name, or any `keras.Model` with one
image input:

- `available` lists the names, `build` makes the extractor;
- `set_trainable` freezes and thaws without waking batch normalisation;
- `clone_stem` copies the first layers, `copy_weights` copies their values.
"""

from keras_fgvc.backbones.builder import build, clone_stem
from keras_fgvc.backbones.freezing import set_trainable
from keras_fgvc.backbones.registry import available
from keras_fgvc.backbones.weights import copy_weights

__all__ = [
    "available",
    "build",
    "clone_stem",
    "copy_weights",
    "set_trainable",
]
