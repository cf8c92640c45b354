"""Fifty bird species, where their photographs are at hand."""

import os
import pathlib

import numpy as np
import pytest

from keras_fgvc.data import open_dataset

ROOT = pathlib.Path(__file__).parents[3]
CUB50 = pathlib.Path(
    os.environ.get("KERAS_FGVC_CUB50", ROOT.parent / "shared/data/cub50")
)

pytestmark = pytest.mark.skipif(
    not (CUB50 / "split.csv").is_file(),
    reason="no bird photographs: set KERAS_FGVC_CUB50 to their folder",
)


@pytest.fixture(scope="module")
def birds():
    return open_dataset(CUB50)


def test_sizes_and_boxes(birds):
    sizes = birds.split_sizes
    assert len(birds.class_names) == 50
    assert sizes["train"] + sizes["validation"] == 1911
    assert sizes["test"] == 978
    assert birds.report.left_out == ()
    for split in sizes:
        y_min, x_min, y_max, x_max = birds.subset(split).boxes.T
        assert ((y_min >= 0) & (y_min < y_max) & (y_max <= 1)).all()
        assert ((x_min >= 0) & (x_min < x_max) & (x_max <= 1)).all()


def test_validation_has_every_class(birds):
    counts = np.bincount(birds.subset("validation").labels, minlength=50)
    train = np.bincount(birds.subset("train").labels, minlength=50)
    for in_validation, in_train in zip(counts, train, strict=True):
        assert in_validation == round(0.1 * (in_validation + in_train))


def test_one_batch(birds):
    batches = birds.batches(
        "train", load_size=64, batch_size=8, training=True, with_boxes=True
    )
    images, targets = next(iter(batches))
    assert images.shape == (8, 64, 64, 3)
    assert 40 < images.numpy().mean() < 200
    assert targets["box"].shape == (8, 4)
