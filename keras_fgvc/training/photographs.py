"""Photographs as pictures show them: upright, in their own aspect ratio.

A network sees each image squashed to a square. Boxes are relative to the
sides of the image, and maps span it, so both lie on the photograph as they
lay on the square.
"""

import os

from keras_fgvc.data.images import decode, resize
from keras_fgvc.decoding.images import Encoded

LONGEST = 480  # pixels of the longer side


def read_photograph(path):
    """Pixels of an image file, uint8 `(height, width, 3)`, at most `LONGEST`.

    Raises:
        OSError: The file cannot be read.
        tf.errors.InvalidArgumentError: It is no whole image.
    """
    with open(path, "rb") as file:
        return _shown(Encoded(file.read()))


def photographs_of(examples, indices) -> list:
    """Pixels of images of a split, wherever they are kept.

    Args:
        examples: `data.Examples`.
        indices: Integers, their places in the split.
    """
    read = examples.source.reader()
    return [_shown(read(int(index), None)) for index in indices]


def names_of(examples) -> list[str]:
    """Names of the images of a split: paths below their folder, or numbers."""
    if examples.paths is None:
        return [f"image {number}" for number in range(len(examples))]
    folders = [os.path.dirname(path) for path in examples.paths]
    root = os.path.commonpath(folders) if folders else ""
    return [os.path.relpath(path, root) for path in examples.paths]


def _shown(image):
    """Decodes a file; makes what is larger than is shown smaller."""
    import tensorflow as tf

    with tf.device("CPU:0"):
        if isinstance(image, Encoded):
            least = (LONGEST, LONGEST)
            image = decode(image.content, least, kinds=image.kinds)
        image = tf.convert_to_tensor(image)
        height, width = image.shape[:2]
        scale = LONGEST / max(height, width)
        if scale < 1:
            size = [max(1, round(side * scale)) for side in (height, width)]
            image = resize(image, tuple(size))
    return image.numpy()
