"""Finds image files, and reads them in batches."""

import concurrent.futures
import os
from typing import Any, NamedTuple

from keras_fgvc.data.sources.files import (
    is_image_name,
    not_a_file,
    visible_files,
)
from keras_fgvc.decoding.headers import read_size
from keras_fgvc.decoding.images import check, decode, why_refused
from keras_fgvc.decoding.resizing import SQUASH, place


class Image(NamedTuple):
    """One image: what was read, or why it could not be."""

    path: str
    content: Any = None
    error: str | None = None


def find_images(names) -> list[str]:
    """Returns the paths of all image files, in the order of `names`.

    Args:
        names: One path or several, of files and of folders, which are
            searched to the bottom for files with the ending of an image.

    Returns:
        Paths, those of a folder sorted. A folder without images stands for
        itself, and so does what does not exist: reading tells of both.
    """
    if isinstance(names, (str, bytes, os.PathLike)):
        names = [names]
    paths = []
    for name in map(os.fsdecode, names):  # as the disk has it, perhaps bytes
        if os.path.isdir(name):
            paths += _in_folder(name) or [name]
        else:
            paths.append(name)
    return paths


def _in_folder(folder):
    return sorted(filter(is_image_name, visible_files(folder)))


def read_batches(paths, read, batch_size: int):
    """Reads images in threads, the next batch while this one is used.

    Args:
        paths: Paths of the images.
        read: Function from a path to what is read, such as `read_bytes`.
        batch_size: Images in a batch.

    Yields:
        Lists of `Image`, together all of the paths in their order.
    """

    def attempt(path):
        try:
            return Image(path, read(path))
        except (OSError, ValueError) as error:
            return Image(path, error=_reason(path, error))

    waiting = None
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), batch_size):
            batch = pool.map(attempt, paths[start : start + batch_size])
            if waiting is not None:
                yield list(waiting)
            waiting = batch
        if waiting is not None:
            yield list(waiting)


def _reason(path, error):
    if os.path.isdir(path):
        return "is a folder without images"
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return str(error)


def read_pixels(path, size: int, resize: str = SQUASH):
    """The pixels of an image, uint8 `(size, size, 3)`, as in training.

    Args:
        path: Path of the file.
        size: Side in pixels.
        resize: How the image is brought to that size, see
            `decoding.resizing`. Defaults to `"squash"`.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no whole image.
    """
    return read_placed(path, size, resize)[0]


def read_placed(path, size: int, resize: str):
    """Reads as `read_pixels`, with the frame, see `decoding.resizing`."""

    def read(encoded):
        return place(decode(encoded, (size, size)), (size, size), resize)

    _, (pixels, frame) = _read(path, read)
    return pixels.numpy(), frame.numpy()


def read_bytes(path) -> bytes:
    """The content of a file that is a whole image.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no whole image.
    """
    content, _ = _read(path, check)
    return content


def _read(path, decoder):
    import tensorflow as tf

    problem = not_a_file(path)
    if problem and not os.path.isdir(path):  # a folder refuses by itself
        raise ValueError(problem)
    with open(path, "rb") as file:
        content = file.read()
    if not content:
        raise ValueError("is empty (0 bytes)")
    try:
        with tf.device("CPU:0"):
            return content, decoder(content)
    except tf.errors.InvalidArgumentError as error:
        if reason := why_refused(content):
            raise ValueError(reason) from error
        read_size(path)  # says more if its header is no image's either
        raise ValueError(
            "is cut short or corrupt and cannot be decoded"
        ) from error
