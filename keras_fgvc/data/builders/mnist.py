"""MNIST, from a local file or through `keras.datasets.mnist`."""

import os
import zipfile

import keras
import numpy as np

from keras_fgvc.data.builders.downloads import by_hand, check_downloads
from keras_fgvc.data.builders.written_digits import DIGIT_SIZE, NUM_CLASSES

FILE_NAME = "mnist.npz"
# Where Keras downloads it from.
URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_FILE = (
    "the mnist.npz that `keras.datasets.mnist.load_data()` downloads to "
    "~/.keras/datasets, as `path` or in the folder `data_dir`"
)
SOURCE = "MNIST handwritten digits (LeCun, Cortes and Burges, 1998)"
LICENCE = "MNIST: commonly given as CC BY-SA 3.0"


def load_mnist(
    path: str | None = None, *, data_dir: str | None = None
) -> dict[str, tuple]:
    """Reads MNIST's digits, its train and its test part kept apart.

    In order: the file `path` if it is given; `mnist.npz` in `data_dir` if
    it is there; else `keras.datasets.mnist`, which downloads the file to
    ~/.keras/datasets the first time.

    Args:
        path: A .npz file with the arrays x_train, y_train, x_test and
            y_test, the one that `keras.datasets.mnist` downloads to
            ~/.keras/datasets/mnist.npz.
        data_dir: Folder in which the file may be.

    Returns:
        Dictionary from "train" and "test" to pairs (images, labels): uint8
        `(n, 28, 28)`, bright on dark, and int32 `(n,)`. It is what
        `cluttered_digits` takes as `digits`.

    Raises:
        ValueError: The file is missing, broken or of another form.
        ConnectionError: There is no file, and no network, within seconds.
        RuntimeError: There is no file, and its download failed on the way.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.data import cluttered_digits, load_mnist

    images, labels = np.zeros((40, 28, 28), "uint8"), np.arange(40) % 10
    np.savez(  # stands for the file of 60,000 and 10,000 digits
        "mnist.npz", x_train=images, y_train=labels,
        x_test=images, y_test=labels,
    )
    digits = load_mnist("mnist.npz")
    data = cluttered_digits(100, 20, 20, distractors=16, digits=digits)
    ```
    """
    if path is None:
        path = find_file(data_dir)
    if path is not None:
        return _read_file(os.fspath(path))
    (x_train, y_train), (x_test, y_test) = _download()
    return _pairs(x_train, y_train, x_test, y_test)


def find_file(data_dir: str | None = None) -> str | None:
    """Returns mnist.npz of a folder, else that of Keras, else None."""
    folders = [data_dir, _keras_folder()]
    paths = [os.path.join(f, FILE_NAME) for f in folders if f is not None]
    return next(filter(os.path.isfile, paths), None)


def _read_file(path: str) -> dict[str, tuple]:
    if not os.path.isfile(path):
        raise ValueError(f"There is no file {path!r}. Give {_FILE}.")
    if not zipfile.is_zipfile(path):
        raise _misfit(path, "it is cut short or not a .npz file")
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in _ARRAYS if name in file}
    except Exception as error:  # of zipfile, zlib, NumPy, even tokenize
        raise _misfit(path, f"it is damaged ({error})") from error
    for name in _ARRAYS:
        if name not in arrays:
            raise _misfit(path, f"it has no array {name}")
    for split in ("train", "test"):
        _check_part(path, split, arrays[f"x_{split}"], arrays[f"y_{split}"])
    return _pairs(*(arrays[name] for name in _ARRAYS))


def _check_part(path, split, images, labels) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != (DIGIT_SIZE,) * 2:
        raise _misfit(
            path,
            f"x_{split} must be uint8 (n, {DIGIT_SIZE}, {DIGIT_SIZE}), not "
            f"{images.dtype} {images.shape}",
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise _misfit(
            path,
            f"y_{split} must hold an integer for each of {len(images)} "
            f"images, not {labels.dtype} {labels.shape}",
        )
    if not np.isin(labels, range(NUM_CLASSES)).all():
        raise _misfit(path, f"y_{split} has labels outside 0..9")


def _download():
    urls = {FILE_NAME: [URL]}
    check_downloads("mnist", urls, _keras_folder())
    try:
        return keras.datasets.mnist.load_data()
    except Exception as error:  # a download fails in many ways
        raise RuntimeError(
            f"MNIST could not be downloaded: {error}\n"
            f"{by_hand(urls, _keras_folder())}"
        ) from error


def _keras_folder() -> str:
    home = os.environ.get("KERAS_HOME", "~/.keras")
    return os.path.join(os.path.expanduser(home), "datasets")


def _pairs(x_train, y_train, x_test, y_test) -> dict[str, tuple]:
    return {
        "train": (x_train, y_train.astype(np.int32)),
        "test": (x_test, y_test.astype(np.int32)),
    }


def _misfit(path: str, problem: str) -> ValueError:
    return ValueError(
        f"The file {path!r} does not hold MNIST: {problem}. Give {_FILE}."
    )
