"""Images are known again wherever they lie, and only they."""

import keras
import numpy as np

from keras_fgvc.data import Examples
from keras_fgvc.data.sources.source import are_others


def write_images(root, names, seed=0):
    rng = np.random.default_rng(seed)
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (8, 8, 3)).astype("uint8")
        keras.utils.save_img(path, pixels, scale=False)
    return tuple(str(root / name) for name in names)


def of_files(paths):
    labels = np.zeros(len(paths), "int32")
    return Examples(labels, paths=paths).source.identity()


def of_pixels(images):
    labels = np.zeros(len(images), "int32")
    return Examples(labels, images=images).source.identity()


def test_images_are_known_again_where_their_folder_was_moved(tmp_path):
    names = ("a/1.png", "b/2.png")
    first = of_files(write_images(tmp_path / "here", names))
    assert first.startswith("files ")
    assert of_files(write_images(tmp_path / "x" / "there", names)) == first
    renamed = ("a/1.png", "b/3.png")
    assert of_files(write_images(tmp_path / "other", renamed)) != first
    paths = write_images(tmp_path / "here", names)
    keras.utils.save_img(paths[1], np.zeros((8, 8, 3), "uint8"))
    assert of_files(paths) != first
    assert of_files(()).startswith("files ")  # an empty split has one too


def test_images_in_memory_are_known_by_their_pixels():
    images = np.zeros((3, 7, 8, 3), "uint8")
    changed = images.copy()
    changed[1, 5, 5] += 1
    assert of_pixels(images) == of_pixels(images.copy())
    assert of_pixels(images) != of_pixels(changed)
    assert of_pixels(images).startswith("pixels 7x8 ")
    assert of_pixels(images[:, :6]).startswith("pixels 6x8 ")


def test_only_what_is_stored_alike_can_be_told_apart():
    assert are_others("files 1", "files 2")
    assert not are_others("files 1", "files 1")
    assert not are_others("files 1", "pixels 8x8 2")
    assert not are_others("pixels 8x8 1", "pixels 9x9 2")
