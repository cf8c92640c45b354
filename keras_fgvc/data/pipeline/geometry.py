"""Moves an image and its boxes: normalises, cuts, mirrors, turns.

A crop that is not turned needs no map of each pixel: it is cut out of the
image as it is stored, and only what was cut out is resized, once. Against
resizing the whole image and then resampling a part of it, the crop is sharper
and costs a fraction. A crop that is turned is one affine map.

Coordinates are (x, y) in pixels, continuous: the centre of the first pixel
is (0.5, 0.5). A map takes a place in the output to its source in the input:
`source = matrix (place - output_centre) + source_centre`.
"""

import dataclasses
import math

import numpy as np

from keras_fgvc.decoding.images import Encoded, decode, decode_window
from keras_fgvc.decoding.resizing import (
    SQUASH,
    WHOLE,
    place,
    resize,
    to_frame,
)

FILL_MODES = {"reflect": "REFLECT", "nearest": "NEAREST"}


@dataclasses.dataclass(frozen=True)
class AffineMap:
    """Maps output to input coordinates; `matrix` (2, 2), centres (2,)."""

    matrix: object
    source_centre: object
    output_centre: tuple[float, float]


def affine_map(input_size, output_size, *, angle, mirror, share, place):
    """Builds the map of one crop, mirrored and turned about its centre.

    Args:
        input_size: (height, width) of the input image.
        output_size: (height, width) of the output image.
        angle: Scalar tensor in degrees, counter-clockwise as seen.
        mirror: Scalar float tensor, -1 to mirror left and right, else 1.
        share: Scalar tensor, the crop's share of the image's area.
        place: Tensor (2,) in 0..1, the crop's place (x, y): 0 is far left or
            at the top, 1 far right or at the bottom.
    """
    import tensorflow as tf

    source = tf.constant(input_size[::-1], tf.float32)
    crop = source * tf.sqrt(share)
    scale = crop / tf.constant(output_size[::-1], tf.float32)
    radians = angle * (math.pi / 180.0)
    cosine, sine = tf.cos(radians), tf.sin(radians)
    turn = tf.stack([[cosine * mirror, -sine], [sine * mirror, cosine]])
    return AffineMap(
        matrix=scale[:, None] * turn,
        source_centre=crop / 2 + place * (source - crop),
        output_centre=(output_size[1] / 2, output_size[0] / 2),
    )


def move_image(image, affine: AffineMap, output_size, fill):
    """(height, width, 3) -> float32 (*output_size, 3), bilinear."""
    import tensorflow as tf

    # The op counts pixels by their index: half a pixel less, on both sides.
    to_centre = 0.5 - tf.constant(affine.output_centre)
    offset = tf.linalg.matvec(affine.matrix, to_centre)
    offset += affine.source_centre - 0.5
    rows = tf.concat([affine.matrix, offset[:, None]], axis=1)
    transform = tf.concat([tf.reshape(rows, [6]), [0.0, 0.0]], axis=0)
    is_mode = fill in FILL_MODES
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[None],
        transforms=transform[None],
        output_shape=tf.constant(output_size, tf.int32),
        fill_value=0.0 if is_mode else float(fill),
        interpolation="BILINEAR",
        fill_mode=FILL_MODES[fill] if is_mode else "CONSTANT",
    )
    return tf.ensure_shape(moved[0], (*output_size, 3))


def move_box(box, affine: AffineMap, input_size, output_size):
    """Normalised (..., 4) -> upright boxes around the moved corners, clipped.

    A box that lies wholly outside the output becomes all zeros; NaN, no box,
    stays so.
    """
    import tensorflow as tf

    y_min, x_min, y_max, x_max = tf.unstack(box, axis=-1)
    x = tf.stack([x_min, x_min, x_max, x_max], axis=-1)
    y = tf.stack([y_min, y_max, y_min, y_max], axis=-1)
    corners = tf.stack([x, y], axis=-1)  # (..., 4, 2)
    corners *= tf.constant(input_size[::-1], tf.float32)
    inverse = tf.linalg.inv(affine.matrix)
    moved = tf.linalg.matmul(
        corners - affine.source_centre, inverse, transpose_b=True
    )
    moved += tf.constant(affine.output_centre)
    moved /= tf.constant(output_size[::-1], tf.float32)
    low = tf.clip_by_value(tf.reduce_min(moved, axis=-2), 0.0, 1.0)
    high = tf.clip_by_value(tf.reduce_max(moved, axis=-2), 0.0, 1.0)
    is_visible = tf.reduce_all(high > low, axis=-1, keepdims=True)
    found = tf.concat([low[..., ::-1], high[..., ::-1]], axis=-1)
    found = tf.where(is_visible, found, tf.zeros_like(found))
    return tf.where(tf.math.is_nan(box), box, found)


def flip_image(image, mirror):
    """Mirrors (height, width, 3) left and right where `mirror` is -1."""
    import tensorflow as tf

    return tf.raw_ops.Reverse(tensor=image, dims=[False, mirror < 0, False])


def flip_box(box, mirror):
    """Mirrors normalised (..., 4) boxes left and right if `mirror` is -1.

    All zeros, a box that is not there, stay zeros.
    """
    import tensorflow as tf

    y_min, x_min, y_max, x_max = tf.unstack(box, axis=-1)
    flipped = tf.stack([y_min, 1.0 - x_max, y_max, 1.0 - x_min], axis=-1)
    is_there = tf.reduce_any(tf.not_equal(box, 0.0), axis=-1, keepdims=True)
    return tf.where((mirror < 0) & is_there, flipped, box)


@dataclasses.dataclass(frozen=True)
class Window:
    """Whole pixels of an image: `(2,)` int32 tensors, row before column."""

    stored_size: object
    corner: object
    size: object


def choose_window(stored_size, share, place) -> Window:
    """The window that is nearest to a share and a place.

    Args:
        stored_size: int32 tensor `(2,)`, height and width in pixels.
        share: Scalar tensor, the window's share of the image's area.
        place: Tensor `(2,)` in 0..1, the window's place (x, y): 0 is far left
            or at the top, 1 far right or at the bottom.
    """
    import tensorflow as tf

    sides = tf.cast(stored_size, tf.float32) * tf.sqrt(share)
    size = tf.maximum(tf.cast(tf.round(sides), tf.int32), 1)
    free = tf.cast(stored_size - size, tf.float32)
    corner = tf.cast(tf.round(place[::-1] * free), tf.int32)
    return Window(stored_size, corner, size)


def cut_image(image, window: Window, output_size):
    """`(height, width, 3)` -> uint8 `(*output_size, 3)`."""
    import tensorflow as tf

    row, column = tf.unstack(window.corner)
    height, width = tf.unstack(window.size)
    cut = image[row : row + height, column : column + width]
    return tf.ensure_shape(resize(cut, output_size), (*output_size, 3))


def cut_file(encoded, choose, output_size):
    """Decodes and resizes a window of an image file, and only the window.

    Args:
        encoded: `decoding.images.Encoded`, the file.
        choose: Function from the image's size, int32 `(2,)`, to a `Window`.
        output_size: Pair (height, width) of the result.

    Returns:
        uint8 `(*output_size, 3)`, and the `Window` in pixels of the file.
    """

    def choose_place(stored_size):
        window = choose(stored_size)
        return window.corner, window.size

    image, stored_size = decode_window(encoded, choose_place, output_size)
    return resize(image, output_size), choose(stored_size)


def cut_box(box, window: Window):
    """Normalised `(..., 4)` -> what of it lies in the window, normalised.

    A box that lies wholly outside becomes all zeros; NaN, no box, stays so.
    """
    import tensorflow as tf

    stored_size, corner, size = (
        tf.tile(tf.cast(pair, tf.float32), [2])
        for pair in (window.stored_size, window.corner, window.size)
    )
    cut = tf.clip_by_value((box * stored_size - corner) / size, 0.0, 1.0)
    is_there = tf.reduce_all(cut[..., 2:] > cut[..., :2], -1, keepdims=True)
    cut = tf.where(is_there, cut, tf.zeros_like(cut))
    return tf.where(tf.math.is_nan(box), box, cut)


@dataclasses.dataclass(frozen=True)
class Placing:
    """Way to bring images and their boxes to one size.

    Args:
        load_size: Pair (height, width) of what a model gets, in pixels.
        resize: One of `decoding.resizing.RESIZES`.
        boxes_are_resized: Whether boxes are those of the resized images; else
            of the stored ones.
    """

    load_size: tuple[int, int]
    resize: str
    boxes_are_resized: bool

    def __call__(self, read, index, size, box):
        """The image at a size, its box there, and its frame.

        A size of None, which asks for the stored image, is for squashed
        images only.
        """
        if self.resize == SQUASH:
            return read(index, size), box, WHOLE
        image = read(index, None)
        if isinstance(image, Encoded):
            image = decode(image.content, size, kinds=image.kinds)
        image, frame = place(image, size, self.resize)
        if box is not None and not self.boxes_are_resized:
            box = to_frame(box, frame)
        return image, box, frame


def normalize_box(box, size) -> tuple[np.ndarray, bool]:
    """Pixels of the image -> `[y_min, x_min, y_max, x_max]` in 0..1.

    Args:
        box: (x_min, y_min, x_max, y_max) in pixels.
        size: (height, width) of the upright image in pixels.

    Returns:
        float32 array (4,), clipped to the image, and whether it was clipped.

    Raises:
        ValueError: The box is turned round, empty or outside the image.
    """
    x_min, y_min, x_max, y_max = box
    height, width = size
    shown = f"x {x_min:g} to {x_max:g}, y {y_min:g} to {y_max:g}"
    if x_min >= x_max or y_min >= y_max:
        raise ValueError(f"the box is turned round or empty: {shown}")
    if x_min >= width or y_min >= height or x_max <= 0 or y_max <= 0:
        raise ValueError(
            f"the box lies outside the image of {width} x {height} pixels: "
            f"{shown}"
        )
    normalized = np.array(
        [y_min / height, x_min / width, y_max / height, x_max / width],
        np.float32,
    )
    clipped = np.clip(normalized, 0.0, 1.0)
    return clipped, bool((clipped != normalized).any())


def check_clipped(clipped, count: int) -> None:
    """Raises if most boxes reach beyond their image, as if it were another.

    Args:
        clipped: Paths of the images whose boxes do.
        count: Number of all boxes.
    """
    if len(clipped) > max(3, count / 2):
        raise ValueError(
            f"{len(clipped)} of {count} boxes reach beyond their image, so "
            "they seem to be in percent, or in pixels of images before they "
            f"were resized; the first is of {clipped[0]}. Give pixels of the "
            "images that are there, or shares from 0 to 1."
        )
