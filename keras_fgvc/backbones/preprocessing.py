"""Raw RGB pixels 0..255 to the values a pretrained backbone expects.

Only stock Keras layers, so that a saved backbone loads anywhere.
"""

import keras
from keras import ops

# Names of `build`'s argument -> names of `preprocess`.
CHOICES = {"own": None, "imagenet": "torch", "tf": "tf", "none": None}
_BGR_MEAN = (103.939, 116.779, 123.68)
_RGB_MEAN = (0.485, 0.456, 0.406)
_RGB_DEVIATION = (0.229, 0.224, 0.225)


def preprocess(images, pixels: str):
    """Applies `preprocess_input` of `keras.applications` as layers.

    Args:
        images: symbolic tensor `(batch, height, width, 3)`.
        pixels: "caffe", "tf", "torch" or "included" (no change).

    Returns:
        A symbolic tensor of the same shape.
    """
    if pixels == "included":
        return images
    if pixels == "tf":
        return _rescale(images, 1 / 127.5, -1.0)
    if pixels == "torch":
        scale = [1 / (255 * deviation) for deviation in _RGB_DEVIATION]
        pairs = zip(_RGB_MEAN, _RGB_DEVIATION, strict=True)
        offset = [-mean / deviation for mean, deviation in pairs]
        return _rescale(images, scale, offset)
    return _rescale(ops.flip(images, axis=-1), 1.0, [-m for m in _BGR_MEAN])


def as_step(preprocessing, own=None):
    """Returns a function of a symbolic tensor, or None for raw pixels.

    Args:
        preprocessing: "own", "imagenet", "tf", "none" or a callable.
        own: what "own" stands for.
    """
    if callable(preprocessing):
        return preprocessing
    if preprocessing not in CHOICES:
        raise ValueError(
            f"`preprocessing` must be one of {', '.join(map(repr, CHOICES))} "
            "or a layer or function from images to images. "
            f"Received: preprocessing={preprocessing!r}."
        )
    kind = CHOICES[preprocessing]
    if kind is None:
        return own if preprocessing == "own" else None
    return lambda images: preprocess(images, kind)


def scale_and_offset(scale, offset):
    """Returns the layer that computes `scale * pixels + offset`, or None."""
    if scale is None and offset is None:
        return None
    scale, offset = (
        value if isinstance(value, (int, float, type(None))) else list(value)
        for value in (scale, offset)
    )
    scale = 1.0 if scale is None else scale
    offset = 0.0 if offset is None else offset
    return lambda images: _rescale(images, scale, offset)


def _rescale(images, scale, offset):
    # float32 under mixed precision too: bfloat16 has three digits only, and
    # subtracting the mean would lose one of them.
    layer = keras.layers.Rescaling(
        scale, offset, dtype="float32", name="rescale_pixels"
    )
    return layer(images)
