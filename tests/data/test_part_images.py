"""Images with the boxes of their parts, changed together."""

import dataclasses

import numpy as np
import pytest

from keras_fgvc.data import (
    Augmentation,
    Examples,
    LabeledImages,
    PartImages,
    fingerprint,
)
from tests.data.image_files import smooth_pixels

COUNT, PARTS, SIZE = 7, 3, (13, 17)
EVERYTHING = Augmentation(
    rotation=30, horizontal_flip=True, brightness=0.4, random_crop=(0.3, 1.0)
)


def images(splits=("train", "validation")):
    pixels = np.stack([smooth_pixels(*SIZE, seed) for seed in range(COUNT)])
    examples = Examples(np.arange(COUNT, dtype=np.int32), images=pixels)
    names = tuple(str(number) for number in range(COUNT))
    return LabeledImages("numbered", names, dict.fromkeys(splits, examples))


def boxes(seed=0, count=COUNT, parts=PARTS):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.5, (count, parts, 2))
    high = low + rng.uniform(0.1, 0.5, (count, parts, 2))
    return np.concatenate([low, high], axis=-1).astype(np.float32)


def parts():
    return PartImages(images(), {"train": boxes(), "validation": boxes(1)})


def collect(data, split="train", **options):
    options = {"load_size": SIZE, "batch_size": 3} | options
    return list(data.batches(split, **options).as_numpy_iterator())


def test_it_has_what_a_stage_asks():
    data = parts()
    assert data.name == "numbered"
    assert data.class_names == images().class_names
    assert data.split_sizes == {"train": COUNT, "validation": COUNT}
    # Splits without boxes are left out.
    alone = PartImages(images(), {"validation": boxes()})
    assert alone.split_sizes == {"validation": COUNT}
    np.testing.assert_array_equal(alone.labels("validation"), range(COUNT))


@pytest.mark.parametrize(("split", "seed"), [("train", 0), ("validation", 1)])
def test_without_training_everything_stays(split, seed):
    batches = collect(parts(), split, augmentation=EVERYTHING)
    assert [len(labels) for _, labels in batches] == [3, 3, 1]
    inputs = {
        name: np.concatenate([inputs[name] for inputs, _ in batches])
        for name in ("image", "boxes")
    }
    labels = np.concatenate([labels for _, labels in batches])
    assert inputs["image"].dtype == np.uint8
    assert inputs["boxes"].dtype == np.float32
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, range(COUNT))
    np.testing.assert_array_equal(inputs["boxes"], boxes(seed))
    np.testing.assert_array_equal(
        inputs["image"], images().subset("train").images
    )


def test_all_parts_move_as_a_box_alone_does():
    options = {
        "training": True,
        "seed": 5,
        "epochs": range(2, 4),
        "augmentation": EVERYTHING,
    }
    together = collect(parts(), **options)
    assert len(together) == 2 * 2
    moved = 0
    for part in range(PARTS):
        examples = dataclasses.replace(
            images().subset("train"), boxes=boxes()[:, part]
        )
        alone = dataclasses.replace(images(), splits={"train": examples})
        for (inputs, labels), (image, target) in zip(
            together, collect(alone, with_boxes=True, **options), strict=True
        ):
            np.testing.assert_array_equal(labels, target["label"])
            np.testing.assert_array_equal(inputs["image"], image)
            np.testing.assert_allclose(
                inputs["boxes"][:, part], target["box"], atol=1e-6
            )
            moved += (
                np.abs(target["box"] - boxes()[labels, part]) > 0.01
            ).sum()
    assert moved > 50


def test_a_part_that_is_not_there_stays_away():
    given = boxes()
    given[:, 1] = 0.0
    data = PartImages(images(), {"train": given})
    for augmentation in (EVERYTHING, Augmentation(horizontal_flip=True)):
        batches = collect(
            data, training=True, epochs=range(5), augmentation=augmentation
        )
        found = np.concatenate([inputs["boxes"] for inputs, _ in batches])
        np.testing.assert_array_equal(found[:, 1], np.zeros((len(found), 4)))
        assert (found[:, 0] > 0).any()


@pytest.mark.parametrize(
    ("options", "length", "batch"),
    [
        ({}, 2, None),
        ({"training": True}, 1, 4),
        ({"training": True, "epochs": range(3)}, 3, 4),
        ({"training": True, "drop_remainder": False}, 2, None),
    ],
)
def test_length_and_static_shapes(options, length, batch):
    batches = parts().batches("train", load_size=9, batch_size=4, **options)
    assert len(batches) == len(list(batches)) == length
    inputs, labels = batches.element_spec
    assert inputs["image"].shape == (batch, 9, 9, 3)
    assert inputs["boxes"].shape == (batch, PARTS, 4)
    assert labels.shape == (batch,)


def test_fingerprints_follow_images_and_boxes():
    base = parts()
    other_box = boxes()
    other_box[3, 1, 2] += 0.01
    names = ("x", *images().class_names[1:])
    renamed = dataclasses.replace(images(), class_names=names)
    kinds = [
        base,
        PartImages(images(), base.boxes | {"train": other_box}),
        PartImages(images(), {"train": boxes()}),
        PartImages(images(), {"validation": boxes()}),
        PartImages(renamed, base.boxes),
    ]
    assert len({fingerprint(kind) for kind in kinds}) == len(kinds)
    assert fingerprint(parts()) == fingerprint(base)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tset": boxes()}, "`boxes` must be one of 'train', 'validation'"),
        ({"train": boxes(count=6)}, r"shape \(7, parts, 4\). .*\(6, 3, 4\)"),
        ({"train": boxes()[:, 0]}, r"shape \(7, parts, 4\). .*\(7, 4\)"),
        ({"train": boxes()[..., :2]}, r"shape \(7, parts, 4\). .*\(7, 3, 2\)"),
        ({"train": boxes()[..., None]}, r"parts, 4\). .*\(7, 3, 4, 1\)"),
        ({"train": boxes()[:, :0]}, r"one at least. Received: \[0\] parts"),
        (
            {"train": boxes(), "validation": boxes(parts=2)},
            r"number of parts in every split.*\[2, 3\] parts",
        ),
        ({}, r"in every split.*\[\] parts"),
    ],
)
def test_wrong_boxes_raise(given, message):
    with pytest.raises(ValueError, match=message):
        PartImages(images(), given)


def test_wrong_arguments_raise():
    alone = PartImages(images(), {"train": boxes()})
    for read in (collect, PartImages.labels):
        with pytest.raises(ValueError, match=r"must be one of 'train'\. "):
            read(alone, "validation")
    with pytest.raises(ValueError, match="`epochs` is for `training=True`"):
        collect(alone, epochs=range(2))
