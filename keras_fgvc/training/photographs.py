"""Photographs as pictures show them: upright, in their own aspect ratio.

A network may see each image squashed to a square. Boxes are relative to the
sides of the image, and maps span it, so both lie on the photograph as they
lay on the square. An image that is cropped or padded keeps its aspect ratio
and is shown as the network sees it, because boxes and maps lie on that part.
"""

import os

from keras_fgvc.data.images import decode, resize
from keras_fgvc.decoding.images import Encoded
from keras_fgvc.decoding.resizing import SQUASH, place

LONGEST = 480  # pixels of the longer side


def read_photograph(path, seen_as: str = SQUASH):
    """Pixels of an image file, uint8 `(height, width, 3)`, at most `LONGEST`.

    Args:
        path: Path of the file.
        seen_as: How the network's images are resized, see
            `decoding.resizing`.

    Raises:
        OSError: The file cannot be read.
        tf.errors.InvalidArgumentError: It is no whole image.
    """
    with open(path, "rb") as file:
        return _shown(Encoded(file.read()), seen_as)


def photographs_of(examples, indices, seen_as: str = SQUASH) -> list:
    """Pixels of images of a split, wherever they are kept.

    Args:
        examples: `data.Examples`.
        indices: Integers, their places in the split.
        seen_as: See `read_photograph`.
    """
    read = examples.source.reader()
    return [_shown(read(int(index), None), seen_as) for index in indices]


def names_of(examples) -> list[str]:
    """Names of the images of a split: paths below their folder, or numbers."""
    if examples.paths is None:
        return [f"image {number}" for number in range(len(examples))]
    folders = [os.path.dirname(path) for path in examples.paths]
    root = os.path.commonpath(folders) if folders else ""
    return [os.path.relpath(path, root) for path in examples.paths]


def _shown(image, seen_as):
    """Decodes a file; makes what is larger than is shown smaller."""
    import tensorflow as tf

    with tf.device("CPU:0"):
        if isinstance(image, Encoded):
            least = (LONGEST, LONGEST)
            image = decode(image.content, least, kinds=image.kinds)
        image = tf.convert_to_tensor(image)
        if seen_as != SQUASH:
            return place(image, (LONGEST, LONGEST), seen_as)[0].numpy()
        height, width = image.shape[:2]
        scale = LONGEST / max(height, width)
        if scale < 1:
            size = [max(1, round(side * scale)) for side in (height, width)]
            image = resize(image, tuple(size))
    return image.numpy()
