"""Fingerprints of data sets: each thing that counts, one by one."""

import dataclasses
import os
import re
import tracemalloc

import numpy as np
import pytest

from keras_fgvc.data import Examples, LabeledImages, fingerprint


def images(
    labels=(0, 1, 1), pixels=None, classes=("cat", "dog"), split="train"
):
    if pixels is None:
        pixels = np.arange(3 * 2 * 5 * 3).reshape(3, 2, 5, 3)
    examples = Examples(
        np.array(labels, np.int32), images=np.asarray(pixels, np.uint8)
    )
    return LabeledImages("three", classes, {split: examples})


def files(paths, labels=(0, 1)):
    examples = Examples(np.array(labels, np.int32), paths=tuple(paths))
    return LabeledImages("files", ("cat", "dog"), {"train": examples})


def test_it_is_a_short_text_that_stays():
    assert re.fullmatch("[0-9a-f]{64}", fingerprint(images()))
    assert fingerprint(images()) == fingerprint(images())


def test_everything_in_memory_counts():
    pixels = images().subset("train").images
    changed = pixels.copy()
    changed[1, 1, 4, 2] ^= 1
    kinds = [
        images(),
        images(labels=(0, 1, 0)),
        images(pixels=changed),
        images(pixels=pixels[[0, 2, 1]]),
        images(pixels=pixels.reshape(3, 5, 2, 3)),
        images(classes=("cat", "owl")),
        images(classes=("cat", "dog", "owl")),
        images(split="test"),
    ]
    kinds.append(
        dataclasses.replace(
            images(), splits=images().splits | images(split="test").splits
        )
    )
    assert len({fingerprint(kind) for kind in kinds}) == len(kinds)


def test_what_does_not_count():
    other = dataclasses.replace(images(), name="3", source="me", licence="CC")
    assert fingerprint(other) == fingerprint(images())
    examples = images().subset("train")
    wider = dataclasses.replace(
        examples, labels=examples.labels.astype(np.int64)
    )
    other = dataclasses.replace(images(), splits={"train": wider})
    assert fingerprint(other) == fingerprint(images())


def test_the_layout_in_memory_does_not_count():
    pixels = images().subset("train").images
    backwards = np.ascontiguousarray(pixels[:, :, ::-1])[:, :, ::-1]
    assert not backwards.flags.c_contiguous
    assert fingerprint(images(pixels=backwards)) == fingerprint(images())


def test_grey_images_are_not_copied():
    grey = np.random.default_rng(0).integers(0, 256, (300, 40, 40, 1), np.uint8)
    colours = np.broadcast_to(grey, (300, 40, 40, 3))
    data = images(labels=[0] * 300, pixels=colours)
    assert data.subset("train").images.strides[3] == 0
    tracemalloc.start()
    found = fingerprint(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < grey.nbytes
    copied = images(labels=[0] * 300, pixels=colours.copy())
    assert fingerprint(copied) == found


def test_files_count_by_name_size_and_time(tmp_path):
    paths = [str(tmp_path / name) for name in ("a.jpg", "b.jpg", "c.jpg")]
    for path in paths:
        with open(path, "wb") as file:
            file.write(b"12345")
        os.utime(path, ns=(10**18, 10**18))
    a, b, c = paths
    found = [fingerprint(files([a, b]))]
    assert fingerprint(files([a, b])) == found[0]
    found.append(fingerprint(files([b, a])))
    found.append(fingerprint(files([a, c])))
    found.append(fingerprint(files([a, b], labels=(1, 0))))
    os.utime(b, ns=(10**18, 10**18 + 1))
    found.append(fingerprint(files([a, b])))
    with open(b, "wb") as file:
        file.write(b"123456")
    os.utime(b, ns=(10**18, 10**18))
    found.append(fingerprint(files([a, b])))
    assert len(set(found)) == len(found)
    os.unlink(b)
    with pytest.raises(FileNotFoundError, match=r"b\.jpg"):
        fingerprint(files([a, b]))


def test_a_fingerprint_of_its_own_is_taken():
    class Other:
        fingerprint = "other"

    assert fingerprint(Other()) == "other"


def test_other_things_raise():
    with pytest.raises(TypeError, match=r"must be LabeledImages or .*: list"):
        fingerprint([1, 2])
