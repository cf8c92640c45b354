"""Images in memory, and reading images into it."""

import dataclasses
import hashlib
import pathlib
import re

import numpy as np

from keras_fgvc._checks import as_size
from keras_fgvc.data.sources.source import add_array, digests_of_alike
from keras_fgvc.decoding.resizing import SQUASH, resize

BATCH_SIZE = 64  # for reading
SAMPLES = 8  # rows and columns that tell most images apart
LONG = 2_000  # More images than this take a while.
PROGRESS_INTERVAL = 1.0  # seconds
MEMINFO = pathlib.Path("/proc/meminfo")  # of Linux


@dataclasses.dataclass(frozen=True)
class ArraySource:
    """Images as one array; an `ImageSource`.

    Args:
        images: uint8 array `(n, height, width, 3)`.

    Raises:
        ValueError: It is something else.
    """

    images: np.ndarray

    def __post_init__(self):
        images = self.images
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise ValueError(
                "`images` must be a uint8 array (n, height, width, 3). "
                f"Received: {images.dtype} of shape {images.shape}."
            )

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices) -> "ArraySource":
        return ArraySource(self.images[indices])

    def reader(self):
        import tensorflow as tf

        stored = tf.constant(_without_repeats(self.images))
        stored_size = self.images.shape[1:3]

        def read(index, size):
            image = tf.gather(stored, index)
            if image.shape[-1] == 1:
                image = tf.image.grayscale_to_rgb(image)
            return image if size in (None, stored_size) else resize(image, size)

        return read

    def identity(self) -> str:
        digest = hashlib.sha256()
        add_array(digest, self.images)
        _, height, width, _ = self.images.shape
        return f"pixels {height}x{width} {digest.hexdigest()}"

    def add_facts(self, digest) -> None:
        add_array(digest, self.images)


def read_into_memory(data, load_size):
    """`LabeledImages.in_memory`, which describes it."""
    size = as_size("load_size", load_size)
    _check_memory(data.name, sum(data.split_sizes.values()), size)
    splits = {split: _read(data, split, size) for split in data.splits}
    way = data.resize
    if any(splits[split] is not data.splits[split] for split in splits):
        way = way or SQUASH  # it can no longer be chosen
    return dataclasses.replace(data, splits=splits, resize=way)


def pixel_digests(splits) -> list:
    """Returns a digest of each array that may be another's copy, else None.

    Args:
        splits: Dictionary from the name of a split to its `Examples`.
    """
    rows = [
        (examples.images, number)
        for examples in splits.values()
        for number in range(len(examples))
    ]

    def sample(place):
        images, number = rows[place]
        if images is None:
            return place
        image = images[number]
        steps = (max(1, side // SAMPLES) for side in image.shape[:2])
        every = tuple(slice(step // 2, None, step) for step in steps)
        return image.shape, image[every].tobytes()

    def content(place):
        images, number = rows[place]
        digest = hashlib.sha256()
        add_array(digest, images[number])
        return digest.hexdigest()

    return digests_of_alike(len(rows), sample, content)


def _read(data, split, size):
    examples = data.splits[split]
    if examples.images is not None and examples.images.shape[1:3] == size:
        return examples
    has_boxes = examples.boxes is not None
    batches = data.batches(
        split, load_size=size, batch_size=BATCH_SIZE, with_boxes=has_boxes
    )
    images = np.empty((len(examples), *size, 3), np.uint8)
    boxes = np.empty_like(examples.boxes) if has_boxes else None
    progress, done = _progress(f"{data.name}, {split}", len(examples)), 0
    for pixels, target in batches.as_numpy_iterator():
        own = slice(done, done + len(pixels))
        images[own] = pixels
        if has_boxes:
            boxes[own] = target["box"]
        done += len(pixels)
        progress(done)
    return dataclasses.replace(
        examples, images=images, boxes=boxes, paths=None, records=None
    )


def _check_memory(name, count, size) -> None:
    needed, free = 3 * count * size[0] * size[1], _free_bytes()
    if free is not None and needed > free:
        raise MemoryError(
            f"{name} takes {needed / 1e9:.1f} GB at this size and "
            f"{free / 1e9:.1f} GB of memory are free. Give a smaller "
            "`load_size`, or leave the images where they are."
        )


def _without_repeats(images):
    """One channel of grey images that np.broadcast_to made RGB.

    A tensor cannot see the same bytes three times, and 200,000 scenes of
    40 x 40 pixels are 320 MB as it is.
    """
    return images[..., :1] if images.strides[3] == 0 else images


def _progress(title, count):
    if count < LONG:
        return lambda done: None
    import keras

    bar = keras.utils.Progbar(
        count, unit_name="image", interval=PROGRESS_INTERVAL
    )
    print(f"Reading {title}")
    return bar.update


def _free_bytes():
    """Returns the free memory, page cache included; None where unknown."""
    if not MEMINFO.exists():  # Not on every system.
        return None
    found = re.search(r"MemAvailable:\s*(\d+) kB", MEMINFO.read_text())
    return found and 1024 * int(found[1])
