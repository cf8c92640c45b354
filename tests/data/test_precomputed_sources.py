"""What a cache can be made of: files, another cache, anything with batches."""

import re

import numpy as np
import pytest

from keras_fgvc.data import Examples, LabeledImages, PartImages
from tests.data.cached_images import (
    HEIGHT,
    SIZES,
    TOTAL,
    WIDTH,
    Thirds,
    cache,
    expected,
    numbered_images,
)
from tests.data.image_files import jpeg, write

pytestmark = pytest.mark.usefixtures("noted_often")


def test_files_are_read_like_pixels(tmp_path):
    """A cache of image files goes through the same reading."""
    paths = tuple(
        write(tmp_path / f"{seed}.jpg", jpeg(seed)) for seed in range(3)
    )
    examples = Examples(np.arange(3, dtype=np.int32) % 2, paths=paths)
    data = LabeledImages("files", ("even", "odd"), {"train": examples})
    cached = cache(tmp_path / "cache", data, splits=("train",))
    batches = data.batches("train", load_size=(HEIGHT, WIDTH), batch_size=3)
    (images, _), *_ = batches.as_numpy_iterator()
    np.testing.assert_allclose(
        cached.arrays("train"), images.astype(np.float32).sum(2) / 3, rtol=1e-6
    )


def test_a_cache_of_a_cache(tmp_path, capsys):
    data, compute = numbered_images(), Thirds()

    def chain(inner_fingerprint="thirds"):
        inner = cache(
            tmp_path / "inner", data, compute, fingerprint=inner_fingerprint
        )
        outer = cache(
            tmp_path / "outer",
            inner,
            compute=lambda arrays: arrays.max(axis=1),
            fingerprint="largest",
            load_size=None,
        )
        return inner, outer

    _, outer = chain()
    assert outer.class_names == data.class_names
    assert outer.name == "numbered"
    largest = expected(data, "validation").max(axis=1)
    np.testing.assert_allclose(outer.arrays("validation"), largest, rtol=1e-6)
    np.testing.assert_array_equal(
        outer.labels("validation"), data.subset("validation").labels
    )
    assert compute.num_seen == TOTAL
    # The inner one is not needed any more, and what it was still counts.
    for path in (tmp_path / "inner").iterdir():
        path.unlink()
    chain()[1].ensure()
    assert compute.num_seen == TOTAL
    capsys.readouterr()
    chain("other weights")[1].ensure()
    assert "(source differ)" in capsys.readouterr().out
    assert compute.num_seen == 2 * TOTAL


def test_fingerprints_tell_caches_apart(tmp_path):
    options = [
        {},
        {"data": numbered_images(seed=1)},
        {"fingerprint": "fourths"},
        {"dtype": "float16"},
        {"load_size": 7},
    ]
    found = [cache(tmp_path, **given).fingerprint for given in options]
    assert len(set(found)) == len(options)
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in found)
    # Neither where nor how it is computed changes what it is.
    same = cache(tmp_path / "x", batch_size=7, splits=("validation",))
    assert same.fingerprint == found[0]


class OtherSource:
    """No more than a source must have."""

    name, fingerprint = "other", "constant"

    def __init__(self, data, sizes=SIZES):
        self.data, self.split_sizes = data, dict(sizes)

    def batches(self, split, **options):
        return self.data.batches(split, **options)


def test_any_source_with_batches_will_do(tmp_path):
    data = numbered_images()
    cached = cache(tmp_path / "other", OtherSource(data))
    assert not hasattr(cached, "class_names")
    np.testing.assert_array_equal(
        cached.labels("train"), data.subset("train").labels
    )
    boxes = {"train": np.random.default_rng(0).uniform(size=(11, 2, 4))}
    parts = cache(
        tmp_path / "parts",
        PartImages(data, boxes),
        compute=lambda inputs: inputs["boxes"] + inputs["image"][:, 0, :1, :1],
        splits=("train",),
        batch_size=3,
    )
    numbers = np.arange(11, dtype=np.float32)[:, None, None]
    np.testing.assert_allclose(
        parts.arrays("train"), boxes["train"] + numbers, rtol=1e-6
    )
    np.testing.assert_array_equal(
        parts.labels("train"), data.subset("train").labels
    )


def test_a_source_that_ends_early_raises(tmp_path):
    source = OtherSource(numbered_images(), {"train": 13})
    with pytest.raises(ValueError, match=r"'train' must have.* \(13\)"):
        cache(tmp_path, source, splits=("train",)).ensure()
