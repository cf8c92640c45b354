"""Every source, with and without augmentation, resized in three ways."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_fgvc.data import (
    Augmentation,
    Examples,
    LabeledImages,
    PartImages,
    Precomputed,
    fingerprint,
)
from keras_fgvc.data.sources.records import scan
from keras_fgvc.decoding.resizing import RESIZES, from_frame, place, to_frame
from tests.data.image_files import encode, smooth_pixels, write

SIZE = (24, 32)
STORED = [(40, 90), (90, 40), (37, 37)]
BOXES = np.float32(
    [[0.3, 0.35, 0.7, 0.6], [0.4, 0.2, 0.55, 0.7], [0, 0, 0.2, 0.9]]
)


def contents():
    return [
        encode(smooth_pixels(*size, seed=n), "PNG")
        for n, size in enumerate(STORED)
    ]


def of_files(folder):
    paths = [
        write(folder / f"{n}.png", content)
        for n, content in enumerate(contents())
    ]
    return {"paths": tuple(paths)}


def of_records(folder):
    path = str(folder / "images.tfrecord")
    with tf.io.TFRecordWriter(path) as file:
        for content in contents():
            example = tf.train.Example()
            example.features.feature["image"].bytes_list.value.append(content)
            file.write(example.SerializeToString())
    return {"records": scan([path])}


def of_arrays(folder):
    del folder
    pixels = [smooth_pixels(40, 90, seed=n) for n in range(len(STORED))]
    return {"images": np.stack(pixels)}


SOURCES = {"files": of_files, "records": of_records, "arrays": of_arrays}
# A record may hold any format: its graph takes seconds to start.
KINDS = ("files", "arrays", pytest.param("records", marks=pytest.mark.slow))


def pixels_of(kind):
    if kind == "arrays":
        return of_arrays(None)["images"]
    return [smooth_pixels(*size, seed=n) for n, size in enumerate(STORED)]


def images_of(folder, kind="files", way=None, boxes=BOXES):
    examples = Examples(
        np.arange(3, dtype=np.int32), boxes=boxes, **SOURCES[kind](folder)
    )
    data = LabeledImages("three", ("a", "b", "c"), {"train": examples})
    return data if way is None else data.resized(way)


def first(batches):
    return next(batches.as_numpy_iterator())


@pytest.mark.parametrize("way", RESIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_source_gives_the_pixels_and_boxes_of_one_function(
    tmp_path, kind, way
):
    data = images_of(tmp_path, kind, way)
    images, targets = first(
        data.batches(
            "train",
            load_size=SIZE,
            batch_size=3,
            with_boxes=True,
            with_frames=True,
        )
    )
    for number, pixels in enumerate(pixels_of(kind)):
        expected, frame = place(pixels, SIZE, way)
        np.testing.assert_array_equal(images[number], expected)
        np.testing.assert_array_equal(targets["frame"][number], frame)
        box = to_frame(BOXES[number], frame)
        np.testing.assert_allclose(targets["box"][number], box, atol=1e-6)


@pytest.mark.parametrize("kind", ["files", "arrays"])
def test_squash_is_what_nobody_chose(tmp_path, kind):
    batches = [
        images_of(tmp_path, kind, way).batches(
            "train", load_size=SIZE, batch_size=3
        )
        for way in (None, "squash")
    ]
    for image, expected in zip(*map(first, batches), strict=True):
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("way", ["crop", "pad"])
@pytest.mark.parametrize("rotation", [0, 30])
def test_augmentation_starts_from_what_the_network_sees(
    tmp_path, way, rotation
):
    augment = Augmentation(
        random_crop=(0.5, 0.5), horizontal_flip=True, rotation=rotation
    )
    data = images_of(tmp_path, way=way)
    settings = {"batch_size": 1, "with_boxes": True}
    images, targets = first(
        data.batches(
            "train",
            load_size=SIZE,
            training=True,
            augmentation=augment,
            epochs=range(1),
            **settings,
        )
    )
    # The same of images that were placed before, at the size crops are cut.
    before = augment.input_size(SIZE, way)
    assert before == (34, 45)
    placed = data.in_memory(before)
    expected, expected_targets = first(
        dataclasses.replace(placed, resize=None).batches(
            "train",
            load_size=SIZE,
            training=True,
            augmentation=augment,
            epochs=range(1),
            **settings,
        )
    )
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_allclose(
        targets["box"], expected_targets["box"], atol=1e-6
    )


def test_images_in_memory_keep_how_they_were_resized(tmp_path):
    data = images_of(tmp_path, "arrays", "pad")
    kept = data.in_memory(32)
    settings = {"load_size": 32, "batch_size": 3, "with_boxes": True}
    for images, expected in zip(
        first(kept.batches("train", **settings)),
        first(data.batches("train", **settings)),
        strict=True,
    ):
        if isinstance(images, dict):
            images, expected = images["box"], expected["box"]
        np.testing.assert_allclose(images, expected, atol=1e-6)
    assert kept.resize == "pad"
    squashed = images_of(tmp_path, "arrays").in_memory(32)
    with pytest.raises(ValueError, match=r"resized by 'squash' already.*'pad'"):
        squashed.resized("pad")


def test_images_that_need_no_resizing_leave_the_choice(tmp_path):
    data = images_of(tmp_path, "arrays").in_memory((40, 90))
    assert data.resized("crop").resize == "crop"


def test_unknown_boxes_stay_unknown(tmp_path):
    boxes = BOXES.copy()
    boxes[1] = np.nan
    data = images_of(tmp_path, "arrays", "pad", boxes)
    _, targets = first(
        data.batches("train", load_size=SIZE, batch_size=3, with_boxes=True)
    )
    assert np.isnan(targets["box"]).all(axis=1).tolist() == [False, True, False]


def test_boxes_of_parts_are_of_stored_or_of_resized_images(tmp_path):
    data = images_of(tmp_path, way="pad")
    parts = np.tile(BOXES[:, None], (1, 2, 1))
    for boxes_of in ("stored", "resized"):
        given = PartImages(data, {"train": parts}, boxes_of=boxes_of)
        inputs, _ = first(given.batches("train", load_size=SIZE, batch_size=3))
        for number, pixels in enumerate(pixels_of("files")):
            expected = parts[number]
            if boxes_of == "stored":
                expected = to_frame(expected, place(pixels, SIZE, "pad")[1])
            np.testing.assert_allclose(
                inputs["boxes"][number], expected, atol=1e-6
            )
    with pytest.raises(ValueError, match="`boxes_of` must be one of"):
        PartImages(data, {"train": parts}, boxes_of="input")


def test_a_cache_of_another_way_is_another_cache(tmp_path, capsys):
    data = images_of(tmp_path, "arrays")

    def means(way):
        cache = Precomputed(
            data if way is None else data.resized(way),
            tmp_path / "cache",
            compute=lambda images: images.mean(axis=(1, 2)),
            fingerprint="means",
            load_size=SIZE,
            splits=("train",),
            dtype="float32",
        )
        return cache.arrays("train")

    expected = {}
    for way in ("pad", "crop", "squash"):
        images = [place(own, SIZE, way)[0] for own in pixels_of("arrays")]
        expected[way] = np.mean(images, axis=(1, 2))
        np.testing.assert_allclose(means(way), expected[way], rtol=1e-5)
    assert not np.allclose(expected["pad"], expected["squash"], rtol=1e-3)
    capsys.readouterr()
    np.testing.assert_array_equal(means(None), means("squash"))
    assert not capsys.readouterr().out  # nothing was computed


def test_a_fingerprint_changes_unless_images_are_squashed(tmp_path):
    data = images_of(tmp_path)
    texts = {fingerprint(data.resized(way)) for way in RESIZES}
    assert len(texts) == 3
    assert fingerprint(data) == fingerprint(data.resized("squash"))


def test_frames_are_not_for_training(tmp_path):
    with pytest.raises(ValueError, match="`with_frames=True` needs"):
        images_of(tmp_path, way="pad").batches(
            "train", load_size=9, batch_size=3, training=True, with_frames=True
        )


def test_boxes_come_back_to_the_files(tmp_path):
    data = images_of(tmp_path, way="pad")
    _, targets = first(
        data.batches(
            "train",
            load_size=SIZE,
            batch_size=3,
            with_boxes=True,
            with_frames=True,
        )
    )
    found = from_frame(targets["box"], targets["frame"])
    np.testing.assert_allclose(found, BOXES, atol=1e-5)


def test_another_way_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`resize` must be one of.*'fill'"):
        images_of(tmp_path).resized("fill")
