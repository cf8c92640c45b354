"""Texts that name images never change: run.json and caches hold them."""

import os
import struct

import numpy as np
import pytest

from keras_fgvc.data import (
    Examples,
    LabeledImages,
    PartImages,
    fingerprint,
)
from keras_fgvc.data.sources.records import scan

LABELS = np.array([1, 0, 1], np.int32)


def of_pixels():
    images = np.arange(3 * 2 * 5 * 3).reshape(3, 2, 5, 3).astype(np.uint8)
    return Examples(LABELS, images=images)


def of_files():
    names = ("a/1.jpg", "a/2.jpg", "b/1.jpg")
    for size, name in enumerate(names, start=5):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb") as file:
            file.write(bytes(size))
        os.utime(name, ns=(10**18, 10**18 + size))
    return Examples(LABELS, paths=names)


def of_records():
    with open("some.tfrecord", "wb") as file:
        for size in (7, 11, 13):
            file.write(struct.pack("<Q", size) + bytes(4 + size + 4))
    os.utime("some.tfrecord", ns=(10**18, 10**18))
    return Examples(LABELS, records=scan(["some.tfrecord"]))


@pytest.mark.parametrize(
    ("make", "kind", "own", "of_data"),
    [
        (
            of_pixels,
            "pixels 2x5",
            "c7d974a407199e68a788ff666a98bb2bc7264387dacf38b3bbf2deb2c8e1770a",
            "9b497baa7725b7d28c637c41b841acee2ef3b160fcc58b748ddc232bb9babfea",
        ),
        (
            of_files,
            "files",
            "8eaca73fa0abf6ceea4f0028e25153c4770bd1b8d20a02b7c8d869d868cec341",
            "b5268240a2f2c8b0fb8dc094a26b11f0036b98e919167f8a88b7d11d7c07f47f",
        ),
        (
            of_records,
            "records",
            "7af85b93e93442e404103cd14ec5b39d8df730f49a7aa76ccc9e4d11221c147c",
            "8e8dac6408119ff56b0c1600b1908f49c293412f014cdce74c40a2d9495212eb",
        ),
    ],
)
def test_texts_of_images_stay(tmp_path, monkeypatch, make, kind, own, of_data):
    monkeypatch.chdir(tmp_path)
    examples = make()
    assert examples.source.identity() == f"{kind} {own}"
    data = LabeledImages("three", ("cat", "dog"), {"train": examples})
    assert fingerprint(data) == of_data


def test_the_fingerprint_of_parts_stays():
    data = LabeledImages("three", ("cat", "dog"), {"train": of_pixels()})
    boxes = np.arange(3 * 2 * 4, dtype=np.float32).reshape(3, 2, 4) / 24
    assert PartImages(data, {"train": boxes}).fingerprint == (
        "7cd933751db015b551971278f029515e4c14e369c7df9b487a73aff8d90fca42"
    )


def test_the_identity_of_some_of_the_records_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    some = of_records().take(np.array([2, 0]))
    digest = "f23904351546f0fe959fd6421433b44f5748b851e7b66be8d4d42d60bde61956"
    assert some.source.identity() == f"records {digest}"
