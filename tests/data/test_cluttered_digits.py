"""Cluttered digits: boxes, leaks, seeds."""

import sys
import time

import numpy as np
import pytest

from keras_fgvc.data import cluttered_digits
from keras_fgvc.data.builders.cluttered_digits import INK, SPLITS
from keras_fgvc.data.sources.arrays import _without_repeats


def small(**options):
    return cluttered_digits(40, 10, 10, **options)


def shaded_digits():
    """Blank digits, each of one shade of its own, all of it ink."""
    shades = np.arange(INK, 256).astype(np.uint8)
    images = np.tile(shades[:, None, None], (1, 28, 28))
    return images, np.arange(len(shades)) % 10


def test_shapes_types_and_names():
    data = cluttered_digits(7, 5, 3, canvas=47)
    assert data.split_sizes == {"train": 7, "validation": 5, "test": 3}
    assert data.class_names == tuple("0123456789")
    examples = data.subset("train")
    assert examples.images.shape == (7, 47, 47, 3)
    assert examples.images.dtype == np.uint8
    assert examples.labels.dtype == np.int32
    assert examples.boxes.shape == (7, 4)
    assert (examples.images == examples.images[..., :1]).all()


def test_the_box_holds_the_ink_tightly():
    examples = small(distractors=0).subset("train")
    for image, box in zip(examples.images, examples.boxes, strict=True):
        rows, columns = np.nonzero(image[..., 0] >= INK)
        tight = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_allclose(box * 40, tight, atol=1e-4)
        assert 14 <= tight[2] - tight[0] <= 28


def test_clutter_only_adds_and_grows():
    images, boxes = [], []
    for distractors in (0, 3, 12):
        examples = small(distractors=distractors).subset("test")
        images.append(examples.images)
        boxes.append(examples.boxes)
    assert (images[0] <= images[1]).all()
    assert (images[1] <= images[2]).all()
    assert images[0].mean() < images[1].mean() < images[2].mean()
    np.testing.assert_array_equal(boxes[0], boxes[2])


def test_the_label_is_the_digit():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    means = np.stack(
        [bunch.images[bunch.target == label].mean(0) for label in range(10)]
    )
    examples = cluttered_digits(2, 2, 200, distractors=0).subset("test")
    hits = 0
    for image, box, label in zip(
        examples.images, examples.boxes, examples.labels, strict=True
    ):
        y_min, x_min, y_max, x_max = np.round(box * 40).astype(int)
        crop = image[y_min:y_max, x_min:x_max, 0]
        rows = np.linspace(0, crop.shape[0] - 1, 8).round().astype(int)
        columns = np.linspace(0, crop.shape[1] - 1, 8).round().astype(int)
        small_crop = crop[rows][:, columns] / 16.0
        hits += np.abs(means - small_crop).sum((1, 2)).argmin() == label
    # The nearest class mean is a crude reader, but chance is 20.
    assert hits > 100


def test_same_seed_same_images_other_seed_others():
    first, again, other = small(seed=1), small(seed=1), small(seed=2)
    for split in SPLITS:
        images = first.subset(split).images
        np.testing.assert_array_equal(images, again.subset(split).images)
        assert (images != other.subset(split).images).any()


def test_no_written_digit_is_in_two_splits():
    """Neither as a digit nor as clutter, whatever the arguments."""
    shades = {split: set() for split in SPLITS}
    for seed in (0, 1):
        data = cluttered_digits(
            300, 60, 60, seed=seed, distractors=seed, digits=shaded_digits()
        )
        for split in SPLITS:
            values = np.unique(data.subset(split).images)
            shades[split] |= set(values.tolist()) - {0}
    assert all(len(values) > 20 for values in shades.values())
    assert not shades["train"] & shades["test"]
    assert not shades["train"] & shades["validation"]
    assert not shades["validation"] & shades["test"]


def test_clutter_is_cut_from_other_digits():
    plain, cluttered = (
        cluttered_digits(
            60, 2, 2, distractors=many, canvas=60, digits=shaded_digits()
        ).subset("train")
        for many in (0, 40)
    )
    for image, full in zip(plain.images, cluttered.images, strict=True):
        own_shade = image.max()
        around = full[image == 0]
        assert (around > 0).mean() > 0.3
        assert own_shade not in around


def test_grey_scenes_are_kept_once():
    examples = small().subset("train")
    assert examples.images.strides[3] == 0
    assert _without_repeats(examples.images).shape == (40, 40, 40, 1)
    in_colour = np.array(examples.images)
    assert _without_repeats(in_colour) is in_colour


def test_ten_thousand_take_seconds():
    started = time.process_time()
    cluttered_digits(10_000, 10, 10)
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"canvas": 27}, "`canvas` must be at least 28"),
        ({"distractors": -1}, "`distractors` must be at least 0"),
        ({"seed": -1}, "`seed` must be at least 0"),
        (
            {"digits": (np.zeros((4, 8, 8)), np.zeros(4, int))},
            "must hold uint8 images",
        ),
        (
            {"digits": (np.zeros((4, 7, 9), np.uint8), np.zeros(4, int))},
            "at least 8 x 8 pixels",
        ),
        (
            {"digits": (np.zeros((4, 8, 8), np.uint8), np.zeros(3, int))},
            "one label an image",
        ),
        (
            {"digits": (np.zeros((2, 8, 8), np.uint8), np.array([3, 10]))},
            "integers from 0 to 9",
        ),
        (
            {"digits": (np.zeros((3, 8, 8), np.uint8), np.zeros(3, int))},
            "at least 2 digits for each split",
        ),
    ],
)
def test_wrong_arguments_raise(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_without_scikit_learn_the_message_has_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r'install "keras-fgvc\[demo\]"'):
        small()
    assert small(digits=shaded_digits()).split_sizes["train"] == 40
