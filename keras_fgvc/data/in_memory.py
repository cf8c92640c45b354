"""Images decoded once and kept in memory."""

import dataclasses
import pathlib
import re

import numpy as np

from keras_fgvc._checks import as_size
from keras_fgvc.data.examples import Examples
from keras_fgvc.data.pipeline import make_batches

BATCH_SIZE = 64
LONG = 2_000  # More images than this take a while.
PROGRESS_INTERVAL = 1.0  # seconds
MEMINFO = pathlib.Path("/proc/meminfo")  # of Linux


def read_into_memory(data, image_size):
    """`LabeledImages.in_memory`, which describes it."""
    height, width = as_size("image_size", image_size)
    needed = sum(data.split_sizes.values()) * height * width * 3
    _check_memory(data.name, needed)
    splits = {
        name: _read(f"{data.name}, {name}", examples, (height, width))
        for name, examples in data.splits.items()
    }
    return dataclasses.replace(data, splits=splits)


def _read(title, examples, size):
    if examples.images is not None and examples.images.shape[1:3] == size:
        return examples
    batches = make_batches(
        examples,
        image_size=size,
        batch_size=BATCH_SIZE,
        training=False,
        seed=0,
        augmentation=None,
        with_boxes=False,
        epochs=None,
        drop_remainder=False,
        share=None,
    )
    images = np.empty((len(examples), *size, 3), np.uint8)
    progress = _progress(title, len(examples))
    for number, (pixels, _) in enumerate(batches.as_numpy_iterator()):
        start = number * BATCH_SIZE
        images[start : start + len(pixels)] = pixels
        progress(start + len(pixels))
    return Examples(labels=examples.labels, images=images, boxes=examples.boxes)


def _progress(title, count):
    if count < LONG:
        return lambda done: None
    import keras

    bar = keras.utils.Progbar(
        count, unit_name="image", interval=PROGRESS_INTERVAL
    )
    print(f"Reading {title}")
    return bar.update


def _check_memory(name, needed) -> None:
    free = _free_bytes()
    if free is not None and needed > free:
        raise MemoryError(
            f"{name} takes {needed / 1e9:.1f} GB at this size and "
            f"{free / 1e9:.1f} GB of memory are free. Give a smaller "
            "`image_size`, or leave the images where they are."
        )


def _free_bytes():
    """Returns the free memory, page cache included; None where unknown."""
    if not MEMINFO.exists():  # Not on every system.
        return None
    found = re.search(r"MemAvailable:\s*(\d+) kB", MEMINFO.read_text())
    return found and 1024 * int(found[1])
