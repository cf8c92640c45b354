"""MNIST from a file or through Keras, by itself and cluttered."""

import os
import pathlib
import time

import keras
import numpy as np
import pytest

from keras_fgvc.data import (
    cluttered_digits,
    info,
    load,
    load_mnist,
    open_dataset,
)
from keras_fgvc.data.builders import downloads, mnist
from keras_fgvc.data.builders.cluttered_digits import INK, SPLITS

ROOT = pathlib.Path(__file__).parents[2]
MNIST = pathlib.Path(
    os.environ.get("KERAS_FGVC_MNIST", ROOT.parent / "shared/data/mnist.npz")
)
NUM_TRAIN, NUM_TEST = 130, 37


def arrays(**others):
    """Blank digits: those of test are the darker ones, all of them ink."""
    shades = np.arange(256 - NUM_TRAIN, 256).astype(np.uint8)
    dark = np.arange(INK, INK + NUM_TEST).astype(np.uint8)
    return {
        "x_train": np.tile(shades[:, None, None], (1, 28, 28)),
        "y_train": (np.arange(NUM_TRAIN) % 10).astype(np.uint8),
        "x_test": np.tile(dark[:, None, None], (1, 28, 28)),
        "y_test": (np.arange(NUM_TEST) % 10).astype(np.uint8),
        **others,
    }


@pytest.fixture
def file(tmp_path):
    np.savez_compressed(tmp_path / "mnist.npz", **arrays())
    return tmp_path / "mnist.npz"


@pytest.fixture
def few_scenes(monkeypatch):
    """The data set by name has 80,000 images: here 53, 11 and 13."""
    monkeypatch.setattr(
        "keras_fgvc.data.builders.catalogue.cluttered_digits",
        lambda *counts, **options: cluttered_digits(53, 11, 13, **options),
    )


@pytest.fixture(autouse=True)
def keras_home(tmp_path_factory, monkeypatch):
    """Nobody's own ~/.keras is read, and nothing is downloaded."""
    home = tmp_path_factory.mktemp("keras home")
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.setattr(mnist, "URL", "http://127.0.0.1:9/mnist.npz")
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: 1 / 0)
    return home


def assert_is_mnist(digits):
    given = arrays()
    assert list(digits) == ["train", "test"]
    for split, (images, labels) in digits.items():
        np.testing.assert_array_equal(images, given[f"x_{split}"])
        np.testing.assert_array_equal(labels, given[f"y_{split}"])
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)


def test_a_file_by_its_path_and_in_its_folder(file):
    assert_is_mnist(load_mnist(file))
    assert_is_mnist(load_mnist(str(file), data_dir="/nowhere"))
    assert_is_mnist(load_mnist(data_dir=file.parent))


def test_the_file_of_keras_is_read_next(file, keras_home, tmp_path):
    (keras_home / "datasets").mkdir()
    file.rename(keras_home / "datasets" / "mnist.npz")
    assert_is_mnist(load_mnist())
    assert_is_mnist(load_mnist(data_dir=str(tmp_path)))
    told = info("cluttered_mnist", data_dir=str(tmp_path))
    assert not told.summary().count("not on disk")


def test_without_a_file_keras_is_asked(tmp_path, monkeypatch):
    given = arrays()

    def load_data():
        return tuple(
            (given[f"x_{split}"], given[f"y_{split}"])
            for split in ("train", "test")
        )

    monkeypatch.setattr(keras.datasets.mnist, "load_data", load_data)
    monkeypatch.setattr(downloads, "_ask", lambda url: None)
    assert_is_mnist(load_mnist(data_dir=str(tmp_path)))
    assert_is_mnist(load_mnist())


def test_without_a_network_it_fails_fast_with_the_remedy(tmp_path, keras_home):
    started = time.monotonic()
    message = (
        r'(?s)"mnist" is not prepared yet and cannot be downloaded: '
        r"127.0.0.1:9 cannot be reached"
        rf".*put it into {keras_home}/datasets under .*"
        "mnist.npz from http://127.0.0.1:9/mnist.npz"
    )
    with pytest.raises(ConnectionError, match=message):
        load_mnist()
    with pytest.raises(ConnectionError, match=message):
        open_dataset("cluttered_mnist", data_dir=str(tmp_path))
    assert time.monotonic() - started < 60  # On a machine that is busy.


def test_a_download_that_fails_on_the_way_has_the_remedy(
    monkeypatch, keras_home
):
    monkeypatch.setattr(downloads, "_ask", lambda url: None)
    message = (
        r"(?s)MNIST could not be downloaded: division by zero.*"
        rf"put it into {keras_home}/datasets.*mnist\.npz from"
    )
    with pytest.raises(RuntimeError, match=message):
        load_mnist()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("y_test", None, "has no array y_test"),
        (
            "x_train",
            np.zeros((5, 28, 28)),
            r"x_train must be uint8 \(n, 28, 28\), not float64 \(5, 28, 28\)",
        ),
        (
            "x_test",
            np.zeros((5, 28, 27), np.uint8),
            r"x_test must be uint8.*not uint8 \(5, 28, 27\)",
        ),
        (
            "y_train",
            np.zeros(7, np.uint8),
            rf"y_train must hold an integer for each of {NUM_TRAIN} images, "
            r"not uint8 \(7,\)",
        ),
        ("y_test", np.zeros(NUM_TEST), "y_test must hold an integer"),
        ("y_test", np.full(NUM_TEST, 10), r"y_test has labels outside 0\.\.9"),
        ("x_train", np.array([None, {}]), r"it is damaged \(.*pickle"),
    ],
)
def test_a_wrong_array_is_named(tmp_path, name, value, message):
    given = arrays(**{name: value})
    path = tmp_path / "odd.npz"
    np.savez(path, **{k: v for k, v in given.items() if v is not None})
    pattern = f"{path}' does not hold MNIST.*{message}.*Give the mnist"
    with pytest.raises(ValueError, match=pattern):
        load_mnist(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "it is cut short"),
        (lambda content: b"no arrays at all", "or not a .npz file"),
        (lambda content: b"", "or not a .npz file"),
        (
            lambda content: content[:200] + b"\xff" * 99 + content[299:],
            "it is damaged",
        ),
    ],
)
def test_a_broken_file_is_named(file, damage, message):
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=f"{file}'.*{message}.*Give the mn"):
        load_mnist(file)


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match=r"no file 'gone\.npz'\. Give the"):
        load_mnist("gone.npz")


def test_no_digit_leaves_its_part(file):
    """Neither as a digit nor as clutter, whatever the arguments."""
    shades = {split: set() for split in SPLITS}
    for seed in (0, 1):
        data = cluttered_digits(
            300, 60, 60, seed=seed, distractors=seed, digits=load_mnist(file)
        )
        for split in SPLITS:
            values = np.unique(data.subset(split).images)
            shades[split] |= set(values.tolist()) - {0}
    assert max(shades["test"]) < 256 - NUM_TRAIN
    assert min(shades["train"] | shades["validation"]) >= 256 - NUM_TRAIN
    assert not shades["train"] & shades["validation"]
    assert len(shades["validation"]) > 15
    assert len(shades["test"]) > 30


def test_digits_keep_their_places_and_size_whatever_the_clutter(file):
    plain, cluttered = (
        cluttered_digits(
            31, 2, 2, distractors=many, digits=load_mnist(file)
        ).subset("train")
        for many in (0, 16)
    )
    np.testing.assert_array_equal(plain.boxes, cluttered.boxes)
    np.testing.assert_array_equal(plain.labels, cluttered.labels)
    assert (plain.images <= cluttered.images).all()
    assert plain.images.shape == (31, 40, 40, 3)
    sides = (plain.boxes[:, 2:] - plain.boxes[:, :2]) * 40
    np.testing.assert_allclose(sides, 28, atol=1e-4)
    for image, label in zip(plain.images, plain.labels, strict=True):
        assert (int(image.max()) - 256 + NUM_TRAIN) % 10 == label


def test_given_splits_are_used_as_they_are(file):
    pairs = load_mnist(file)
    bright = (np.full((3, 28, 28), 255, np.uint8), np.array([4, 4, 4]))
    data = cluttered_digits(5, 5, 5, digits=pairs | {"validation": bright})
    assert data.subset("validation").labels.tolist() == [4] * 5
    # All of train is left: nothing was cut from it.
    train = cluttered_digits(
        3000, 5, 5, distractors=0, digits=pairs | {"validation": bright}
    ).subset("train")
    assert len(np.unique(train.images)) == NUM_TRAIN + 1
    # The pair of pairs that keras.datasets.mnist.load_data() returns.
    as_keras = cluttered_digits(5, 5, 5, digits=tuple(pairs.values()))
    as_dictionary = cluttered_digits(5, 5, 5, digits=pairs)
    for split in SPLITS:
        np.testing.assert_array_equal(
            as_keras.subset(split).images, as_dictionary.subset(split).images
        )


@pytest.mark.parametrize("names", [("train",), ("train", "test", "extra")])
def test_wrong_splits_are_named(names):
    pair = (np.zeros((40, 28, 28), np.uint8), np.arange(40) % 10)
    with pytest.raises(ValueError, match=rf'"train" and "test".*{names[-1]}'):
        cluttered_digits(5, 5, 5, digits=dict.fromkeys(names, pair))


def test_the_largest_digit_must_fit(file):
    large = (np.zeros((4, 28, 43), np.uint8), np.arange(4))
    with pytest.raises(ValueError, match="`canvas` must be at least 43"):
        cluttered_digits(5, 5, 5, digits=load_mnist(file) | {"test": large})


def test_by_name(file, few_scenes):
    folder = str(file.parent)
    data = open_dataset("cluttered_mnist", data_dir=folder, seed=3)
    assert data.name == "cluttered_mnist"
    assert data.split_sizes == {"train": 53, "validation": 11, "test": 13}
    assert "LeCun" in data.source
    assert data.licence
    direct = cluttered_digits(53, 11, 13, seed=3, digits=load_mnist(file))
    np.testing.assert_array_equal(
        data.subset("test").images, direct.subset("test").images
    )
    assert "10 classes" in info("cluttered_mnist", data_dir=folder).summary()
    options = {"load_size": 40, "batch_size": 13, "with_boxes": True}
    batches = load(
        "cluttered_mnist", "test", seed=3, data_dir=folder, **options
    )
    ((images, targets),) = batches
    np.testing.assert_array_equal(images, direct.subset("test").images)
    np.testing.assert_array_equal(targets["box"], direct.subset("test").boxes)


def test_the_real_digits():
    if not MNIST.is_file():
        pytest.skip("no mnist.npz: set KERAS_FGVC_MNIST to its path")
    digits = load_mnist(MNIST)
    assert [len(labels) for _, labels in digits.values()] == [60_000, 10_000]
    data = cluttered_digits(20_000, 10, 500, seed=1, digits=digits)
    assert len(np.unique(data.subset("train").labels)) == 10
    plain = cluttered_digits(
        10, 10, 500, seed=1, distractors=0, digits=digits
    ).subset("test")
    written, labels = digits["test"]
    means = np.stack([written[labels == n].mean(0) for n in range(10)])
    hits = 0
    for image, label in zip(plain.images[..., 0], plain.labels, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(image, (28, 28))
        distances = [
            np.square(windows[..., :, :] - mean).sum((2, 3)).min()
            for mean in means
        ]
        hits += np.argmin(distances) == label
    # The nearest class mean reads four of five; chance is 50.
    assert hits > 350
