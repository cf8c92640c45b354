"""Reading every image once, so that a bad one is found before training."""

import concurrent.futures
import os
import time

import keras

from keras_fgvc._checks import check_choice
from keras_fgvc.data.headers import read_size

MODES = ("auto", "full", "headers")
# So many photographs of 500 x 375 are decoded in about 20 s on two cores.
FULL_LIMIT = 20_000
PROGRESS_AFTER = 3.0  # seconds
PROGRESS_INTERVAL = 1.0  # seconds: a log file keeps each update


def check_images(paths, verify: str, log) -> list[tuple[int, int] | None]:
    """Reads all images in parallel; what is wrong goes to `log`.

    Args:
        paths: List of file names.
        verify: "full" decodes each image, "headers" reads only its size,
            "auto" is "full" for up to 20,000 images.
        log: `ProblemLog`.

    Returns:
        For each path the (height, width) of the upright image, or None
        where it cannot be used.
    """
    check_choice("verify", verify, MODES)
    if verify == "auto":
        verify = "full" if len(paths) <= FULL_LIMIT else "headers"
    check = _decoded_size if verify == "full" else read_size
    workers = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda path: _attempt(check, path), paths)
        results = list(_with_progress(results, len(paths)))
    sizes = []
    for path, (size, kind, reason) in zip(paths, results, strict=True):
        if size is None:
            log.add(path, kind, reason)
        sizes.append(size)
    return sizes


def _attempt(check, path):
    """(size, None, None), or (None, kind of problem, reason)."""
    try:
        if os.path.getsize(path) == 0:
            return None, "empty file", "is empty (0 bytes)"
        return check(path), None, None
    except FileNotFoundError:
        return None, "missing file", "does not exist"
    except OSError as error:
        return None, "unreadable file", f"cannot be read: {error.strerror}"
    except ValueError as error:
        return None, "broken image", str(error)


def _decoded_size(path) -> tuple[int, int]:
    import tensorflow as tf

    from keras_fgvc.data.images import check, why_refused

    with open(path, "rb") as file:
        encoded = file.read()
    try:
        with tf.device("CPU:0"):
            return check(encoded)
    except tf.errors.InvalidArgumentError as error:
        if reason := why_refused(encoded):
            raise ValueError(reason) from error
        # If the header is not an image's either, that says more.
        read_size(path)
        raise ValueError(
            "is cut short or corrupt and cannot be decoded"
        ) from error


def _with_progress(results, total):
    """Yields the results; shows a progress bar if it takes long."""
    started, bar = time.monotonic(), None
    for done, result in enumerate(results, start=1):
        if bar is None and time.monotonic() - started > PROGRESS_AFTER:
            print(f"Checking {total} images")
            bar = keras.utils.Progbar(
                total, unit_name="image", interval=PROGRESS_INTERVAL
            )
        if bar is not None:
            bar.update(done)
        yield result
