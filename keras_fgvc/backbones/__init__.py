"""Feature extractors: raw pixels in, feature maps at chosen taps out.

Any model of `keras.applications` and the wide ResNets by their names, or any
`keras.Model` with one image input, KerasHub's transformers included:

- `available` lists the names, `build` makes the extractor;
- `insert` puts layers behind some of its maps;
- `set_trainable` freezes and thaws without waking batch normalisation;
- `clone` copies a whole backbone, `clone_stem` and
  `clone_early_layers` its first layers,
  `clone_batch_norm` its batch normalisation, `copy_weights` their values;
- `wide_resnet` is the network that `keras.applications` lacks, by itself.
"""

from keras_fgvc.backbones.builder import (
    build,
    clone,
    clone_batch_norm,
    clone_stem,
)
from keras_fgvc.backbones.freezing import set_trainable
from keras_fgvc.backbones.insertion import insert
from keras_fgvc.backbones.registry import available
from keras_fgvc.backbones.stems import clone_early_layers
from keras_fgvc.backbones.weights import copy_weights
from keras_fgvc.backbones.wide_resnet import wide_resnet

__all__ = [
    "available",
    "build",
    "clone",
    "clone_batch_norm",
    "clone_early_layers",
    "clone_stem",
    "copy_weights",
    "insert",
    "set_trainable",
    "wide_resnet",
]
