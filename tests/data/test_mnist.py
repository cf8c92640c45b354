"""MNIST from a file or through TFDS, by itself and cluttered."""

import os
import pathlib
import sys
import types

import numpy as np
import pytest

from keras_fgvc.data import (
    cluttered_digits,
    info,
    load,
    load_mnist,
    open_dataset,
)
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


def fake_tfds(calls, error=None):
    """A module that answers as tensorflow_datasets does."""

    def tfds_load(name, **options):
        calls.append((name, options))
        if error is not None:
            raise error
        given = arrays()
        return [
            {
                "image": given[f"x_{split}"][..., None],
                "label": given[f"y_{split}"].astype("int64"),
            }
            for split in options["split"]
        ]

    module = types.ModuleType("tensorflow_datasets")
    module.load, module.as_numpy = tfds_load, lambda parts: parts
    return module


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


def test_without_a_file_tfds_is_asked(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", fake_tfds(calls))
    assert_is_mnist(load_mnist(data_dir=str(tmp_path)))
    assert_is_mnist(load_mnist())
    assert [name for name, _ in calls] == ["mnist", "mnist"]
    folders = [options["data_dir"] for _, options in calls]
    assert folders == [str(tmp_path), None]
    assert all(options["batch_size"] == -1 for _, options in calls)


def test_without_tfds_the_message_has_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    remedy = r'mnist.npz.*`data_dir`.*pip install "keras-fgvc\[data\]"'
    with pytest.raises(ImportError, match=f"no file was named.*{remedy}"):
        load_mnist()
    with pytest.raises(ImportError, match=f"{tmp_path}' holds no.*{remedy}"):
        open_dataset("cluttered_mnist", data_dir=str(tmp_path))


def test_without_a_network_the_message_has_the_remedy(monkeypatch):
    module = fake_tfds([], ConnectionError("no route"))
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    message = r"neither find nor download it.*Give the mnist\.npz"
    with pytest.raises(RuntimeError, match=message) as caught:
        load_mnist()
    assert "no route" in str(caught.value.__cause__)


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
    options = {"image_size": 40, "batch_size": 13, "with_boxes": True}
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
