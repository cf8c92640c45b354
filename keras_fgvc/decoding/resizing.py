"""Brings images to one size: squashed, cropped or padded.

A network sees images of one height and width; photographs have many. There
are three ways, named by the argument `resize`, and training, evaluation,
prediction and the served model share the code below:

- "squash" (the default everywhere): the whole image, its aspect ratio
  changed.
- "crop": the largest central rectangle of the aspect ratio that is asked for.
- "pad": the whole image, centred, as large as fits; the rest is `PADDING`.

Shrinking averages areas and enlarging is bilinear. Rectangles are whole
pixels, so an aspect ratio is kept to half a pixel.

Each way maps places of the photograph to places of what the network sees by a
scale and a shift. A *frame* holds both: the box of the whole photograph,
`[y_min, x_min, y_max, x_max]`, in coordinates of 0..1 of what the network
sees. It is (0, 0, 1, 1) where the image is squashed, lies within where it is
padded and reaches beyond where it is cropped.

TensorFlow is imported where it is used.
"""

from keras_fgvc._checks import check_choice

RESIZES = ("squash", "crop", "pad")
SQUASH, CROP, PAD = RESIZES
WHOLE = (0.0, 0.0, 1.0, 1.0)  # frame of an image that is seen as a whole
# Mid-grey, which the preprocessing of all backbones takes to about 0: the
# value that their convolutions pad with. Black would be an extreme value with
# a strong edge around the photograph.
PADDING = 127


def check_resize(resize) -> None:
    """Raises a `ValueError` if there is no such way to resize."""
    check_choice("resize", resize, RESIZES)


def resize(image, load_size):
    """Resizes raw pixels: area average to shrink, bilinear to enlarge.

    Args:
        image: Tensor `(height, width, 3)` or `(batch, height, width, 3)`.
        load_size: Pair `(height, width)` in pixels.

    Returns:
        uint8 tensor of the new height and width.
    """
    import tensorflow as tf

    image = tf.convert_to_tensor(image)
    images = image if image.shape.rank == 4 else image[None]
    resized = _resized(images, load_size)
    resized = tf.ensure_shape(resized, (images.shape[0], *load_size, 3))
    return resized if image.shape.rank == 4 else resized[0]


def place(image, load_size, resize: str = SQUASH):
    """Brings one image to a size in one of the three ways.

    Args:
        image: Tensor `(height, width, 3)`, raw pixels 0..255.
        load_size: Pair `(height, width)` in pixels.
        resize: `"squash"` (default), `"crop"` or `"pad"`.

    Returns:
        Pair of the image, uint8 `(*load_size, 3)`, and its frame, float32
        `(4,)`.

    Raises:
        ValueError: If `resize` is none of the three.
    """
    import tensorflow as tf

    check_resize(resize)
    ways = {SQUASH: _squash, CROP: _crop, PAD: _pad}
    placed, frame = ways[resize](tf.convert_to_tensor(image)[None], load_size)
    placed = tf.ensure_shape(placed[0], (*load_size, 3))
    return placed, tf.ensure_shape(frame, (4,))


def to_frame(boxes, frame):
    """Takes boxes of a photograph to what the network sees of it.

    Args:
        boxes: float tensor `(..., 4)`, in 0..1 of the photograph.
        frame: float tensor `(4,)`.

    Returns:
        Tensor `(..., 4)` in 0..1 of what the network sees, clipped: of a box
        that is cut off in part the rest, of one that is cut off as a whole
        zeros. Zeros and NaN, which mean that there is no box, stay.
    """
    import tensorflow as tf

    low, span = _low_and_span(frame)
    moved = tf.clip_by_value(boxes * span + low, 0.0, 1.0)
    is_seen = tf.reduce_all(moved[..., 2:] > moved[..., :2], -1, keepdims=True)
    seen = tf.where(is_seen, moved, tf.zeros_like(moved))
    is_known = tf.reduce_all(tf.math.is_finite(boxes), -1, keepdims=True)
    is_box = is_known & tf.reduce_any(boxes != 0, -1, keepdims=True)
    return tf.where(is_box, seen, boxes)


def from_frame(boxes, frame):
    """Takes boxes of what the network sees back to the photograph.

    Args:
        boxes: float tensor `(batch, ..., 4)` or `(..., 4)`, in 0..1 of what
            the network sees.
        frame: float tensor `(batch, 4)`, or `(4,)`.

    Returns:
        Tensor of the shape of `boxes`, in 0..1 of the photograph, clipped: a
        box does not reach into the padding. Zeros stay.
    """
    import tensorflow as tf

    boxes, frame = map(tf.convert_to_tensor, (boxes, frame))
    for _ in range(boxes.shape.rank - frame.shape.rank):
        frame = frame[..., None, :]
    low, span = _low_and_span(tf.cast(frame, boxes.dtype))
    moved = tf.clip_by_value((boxes - low) / span, 0.0, 1.0)
    is_box = tf.reduce_any(boxes != 0, -1, keepdims=True)
    return tf.where(is_box, moved, boxes)


def _squash(images, load_size):
    import tensorflow as tf

    return _resized(images, load_size), tf.constant(WHOLE)


def _crop(images, load_size):
    import tensorflow as tf

    stored_size = tf.shape(images, tf.int64)[1:3]
    corner, size = _inscribed(stored_size, load_size)
    (row, column), (height, width) = map(tf.unstack, (corner, size))
    cut = images[:, row : row + height, column : column + width]
    return _resized(cut, load_size), _as_box(-corner, stored_size, size)


def _pad(images, load_size):
    import tensorflow as tf

    stored_size = tf.shape(images, tf.int64)[1:3]
    corner, size = _inscribed(load_size, stored_size)
    behind = tf.cast(load_size, tf.int64) - corner - size
    rows, columns = tf.unstack(tf.stack([corner, behind], axis=1))
    none = tf.zeros_like(rows)
    padded = tf.pad(
        _resized(images, size),
        tf.stack([none, rows, columns, none]),
        constant_values=tf.constant(PADDING, tf.uint8),
    )
    return padded, _as_box(corner, size, load_size)


def _resized(images, size):
    """uint8 `(batch, height, width, 3)`; the size may be a tensor."""
    import tensorflow as tf

    size = tf.cast(size, tf.int32)
    stored_size = tf.shape(images)[1:3]

    def shrink(size):
        return tf.raw_ops.ResizeArea(images=images, size=size)

    def enlarge():
        shrunk = shrink(tf.minimum(stored_size, size))
        return tf.image.resize(shrunk, size)

    resized = tf.cond(
        tf.reduce_all(stored_size >= size), lambda: shrink(size), enlarge
    )
    # Averages of 0..255 stay within.
    return tf.cast(resized + 0.5, tf.uint8)


def _inscribed(within, aspect):
    """Corner and size of the largest central rectangle of an aspect ratio.

    Args:
        within: int64 pair (height, width) of what it lies in, in pixels.
        aspect: int64 pair (height, width), the aspect ratio.
    """
    import tensorflow as tf

    within, aspect = (tf.cast(pair, tf.int64) for pair in (within, aspect))
    # Each side by the other one, rounded: only one of the two fits.
    other = aspect[::-1]
    sides = (2 * within[::-1] * aspect + other) // (2 * other)
    size = tf.clip_by_value(sides, 1, within)
    return (within - size) // 2, size


def _as_box(corner, size, whole):
    import tensorflow as tf

    ends = tf.concat([corner, corner + size], axis=0)
    whole = tf.cast(tf.tile(whole, [2]), tf.float32)
    return tf.cast(ends, tf.float32) / whole


def _low_and_span(frame):
    import tensorflow as tf

    low, high = frame[..., :2], frame[..., 2:]
    return (tf.concat([pair, pair], -1) for pair in (low, high - low))
