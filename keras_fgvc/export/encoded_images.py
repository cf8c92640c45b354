"""A batch of encoded images, where a bad one harms no other.

TF Serving joins the requests of several clients to one batch. A decoder's
error would fail them all, so each row is read in a tf.data pipeline of its
own, inside the graph, that drops its errors; a row that gives nothing gets a
black image and a sentence.

What is decided, for what `data.images.decode` decides nothing about:

- A declared size over the limit is refused before any pixel is decoded.
- An animated GIF is its first frame; later frames are not even decoded. An
  animated WebP is refused: TensorFlow does not decode it.
- A truncated file of any kind is refused, also where its first rows could be
  shown: half an image is not what the client sent.
- JPEG has no checksum: damage within its data that leaves it decodable is
  not found. PNG has checksums, and they are verified.
"""

from keras_fgvc.decoding.images import try_to_decode
from keras_fgvc.decoding.resizing import SQUASH, WHOLE, place
from keras_fgvc.decoding.webp import is_webp

UNREADABLE = "is cut short or corrupt and cannot be decoded"
UNREADABLE_WEBP = f"{UNREADABLE}, or is animated WebP"
# Each holds one image in full size, so that more would need more memory.
PARALLEL_DECODERS = 4


def read_images(encoded, load_size, max_pixels: int):
    """Decodes and resizes a batch of image files, as `read_placed`.

    Returns:
        Pair of the images and the errors.
    """
    images, errors, _ = read_placed(encoded, load_size, max_pixels)
    return images, errors


def read_placed(encoded, load_size, max_pixels: int, resize: str = SQUASH):
    """Decodes and resizes a batch of image files.

    Args:
        encoded: String tensor `(batch,)`, at least one file.
        load_size: Pair `(height, width)` in pixels.
        max_pixels: A file that declares more is refused undecoded.
        resize: How images are brought to that size, see
            `decoding.resizing`. Defaults to `"squash"`.

    Returns:
        Three tensors: `images`, uint8 `(batch, *load_size, 3)`; `errors`,
        string `(batch,)`, empty where all is well, else what is wrong with
        the file, whose image is black; and the frames, float32 `(batch, 4)`.
    """
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices(encoded).map(
        lambda row: _read_alone(row, load_size, max_pixels, resize),
        num_parallel_calls=PARALLEL_DECODERS,
        deterministic=True,
    )
    rows = rows.batch(tf.size(encoded, tf.int64))
    images, errors, frames = _without_rewriting(rows).get_single_element()
    return tf.ensure_shape(images, (None, *load_size, 3)), errors, frames


def _read_alone(encoded, load_size, max_pixels, resize):
    import tensorflow as tf

    black = tf.zeros((*load_size, 3), tf.uint8)
    attempt = tf.data.Dataset.from_tensors(encoded).map(
        lambda row: _read(row, load_size, max_pixels, resize)
    )
    reason = tf.where(is_webp(encoded), UNREADABLE_WEBP, UNREADABLE)
    whole = tf.constant(WHOLE)
    failed = tf.data.Dataset.from_tensors((black, reason, whole))
    either = attempt.ignore_errors().concatenate(failed).take(1)
    return _without_rewriting(either).get_single_element()


def _read(encoded, load_size, max_pixels, resize):
    import tensorflow as tf

    image, error = try_to_decode(encoded, load_size, max_pixels)
    image, frame = tf.cond(
        error == "",
        lambda: place(image, load_size, resize),
        lambda: (tf.zeros((*load_size, 3), tf.uint8), tf.constant(WHOLE)),
    )
    return image, error, frame


def _without_rewriting(dataset):
    """tf.data would search each request's pipeline for what to optimise."""
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return dataset.with_options(options)
