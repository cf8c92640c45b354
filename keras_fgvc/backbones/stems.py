"""A few early layers of a backbone at a fine stride, for small images."""

import keras

from keras_fgvc.backbones.builder import clone, clone_stem
from keras_fgvc.backbones.freezing import release
from keras_fgvc.backbones.nested import find_nested
from keras_fgvc.backbones.taps import input_of


def clone_early_layers(model: keras.Model, stride: int) -> keras.Model | None:
    """Copies a backbone's first layers for small images, as a model.

    Of a convolutional network `clone_stem`. A transformer has no early map of
    a fine stride: of it the copy is the patch embedding and the first block,
    on images enlarged so that a patch covers `stride` of their pixels. At 64
    pixels and stride 4 the block attends over 16 x 16 patches, as many as it
    was trained with.

    Args:
        model: a model that `build` returned.
        stride: pixels per cell.

    Returns:
        A functional `keras.Model`, or None for a network that ends in tokens
        and whose blocks are unknown.

    Raises:
        ValueError: if a convolutional network has no such stride.

    Example:

    ```python
    from keras_fgvc import backbones

    backbone = backbones.build("mobilenet_v2", weights=None)
    stem = backbones.clone_early_layers(backbone, 4)
    assert stem.output.shape == (None, None, None, 144)
    ```
    """
    nested = find_nested(model)
    if nested is None or nested.family.has_maps:
        return _released(clone_stem(model, stride))
    first = nested.family.first_stride
    if first is None:
        return None
    early = nested.tapped(("block_1",), zoom=max(first / stride, 1))
    name = f"{model.name}_stem"
    images = input_of(model, nested)
    early = keras.Model(model.inputs[0], early(images), name=name)
    return _released(clone(early, name))


def _released(stem):
    """A copy learns by itself, whatever is frozen in the backbone."""
    release(stem)
    return stem
