"""What each worker reads of each batch, against the batches themselves."""

import numpy as np
import pytest

from keras_fgvc.data import (
    Augmentation,
    PartImages,
    Share,
    UpsamplingPairs,
    cluttered_digits,
)

DATA = cluttered_digits(29, 23, 5)


def shares(num_workers, replicas):
    return [Share(w, num_workers, replicas) for w in range(num_workers)]


def joined(workers, replicas):
    """Batches out of the parts of all workers, in the replicas' order."""
    steps = [len(parts) // replicas for parts in workers]
    assert len(set(steps)) == 1
    return [
        np.concatenate(
            [
                part
                for parts in workers
                for part in parts[step * replicas : (step + 1) * replicas]
            ]
        )
        for step in range(steps[0])
    ]


@pytest.mark.parametrize(
    ("num_workers", "replicas"), [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1)]
)
def test_the_parts_of_all_workers_are_the_batches(num_workers, replicas):
    options = {
        "load_size": 40,
        "batch_size": 8,
        "training": True,
        "seed": 3,
        "epochs": range(1, 3),
        "augmentation": Augmentation(horizontal_flip=True),
    }
    whole = list(DATA.batches("train", **options).as_numpy_iterator())
    assert len(whole) == 6  # two epochs of 29 // 8
    workers = []
    for share in shares(num_workers, replicas):
        batches = DATA.batches("train", share=share, **options)
        parts = list(batches.as_numpy_iterator())
        assert len(batches) == len(parts) == 6 * replicas
        sizes = {len(labels) for _, labels in parts}
        assert sizes == {8 // num_workers // replicas}
        workers.append(parts)
    for place in (0, 1):
        received = joined([[p[place] for p in w] for w in workers], replicas)
        for ours, theirs in zip(received, whole, strict=True):
            np.testing.assert_array_equal(ours, theirs[place])


@pytest.mark.parametrize(
    ("num_workers", "replicas", "sizes"),
    [
        # 23 images in 3 batches of at most 8 by two parts: 3.83 a part
        (2, 1, [[3, 4, 4], [4, 4, 4]]),
        (1, 2, [[3, 4, 4, 4, 4, 4]]),
        (1, 1, [[7, 8, 8]]),
        # 4 parts of 3 batches: 1.92 a part
        (2, 2, [[1, 2, 2, 2, 2, 2], [2, 2, 2, 2, 2, 2]]),
    ],
)
def test_without_training_none_is_lost_and_none_goes_without(
    num_workers, replicas, sizes
):
    """By hand: ends of parts are the multiples of 23 / parts, cut."""
    options = {"load_size": 40, "batch_size": 8}
    (_, labels), *rest = DATA.batches("validation", **options)
    labels = np.concatenate([labels, *(r[1] for r in rest)])
    workers = []
    for share, expected in zip(
        shares(num_workers, replicas), sizes, strict=True
    ):
        batches = DATA.batches("validation", share=share, **options)
        parts = [p[1] for p in batches.as_numpy_iterator()]
        assert len(batches) == len(expected)
        assert [len(part) for part in parts] == expected
        workers.append(parts)
    received = np.concatenate(joined(workers, replicas))
    np.testing.assert_array_equal(received, labels)


def test_few_images_make_few_batches():
    """5 images, batches of 2, 4 devices: one batch, not three."""
    own, sizes = Share(0, 1, 4).parts(5, 2, drops=False)
    np.testing.assert_array_equal(own, range(5))
    np.testing.assert_array_equal(sizes, [1, 1, 1, 2])


def test_up_sampling_pairs_are_shared():
    pairs = UpsamplingPairs(20, factor=2)
    options = {
        "batch_size": 8,
        "training": True,
        "seed": 1,
        "epochs": range(2, 4),
    }
    whole = list(pairs.batches("train", **options).as_numpy_iterator())
    workers = [
        [larger for _, larger in pairs.batches("train", share=share, **options)]
        for share in shares(2, 1)
    ]
    received = joined(workers, 1)
    for ours, (_, theirs) in zip(received, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_part_images_are_shared():
    boxes = {
        split: np.tile([0.0, 0.0, 0.5, 0.5], (size, 1, 1)).astype("float32")
        for split, size in DATA.split_sizes.items()
    }
    parts = PartImages(DATA, boxes)
    options = {"load_size": 40, "batch_size": 4, "training": True}
    whole = next(iter(parts.batches("train", epochs=range(1), **options)))
    second = next(
        iter(
            parts.batches(
                "train", epochs=range(1), share=Share(1, 2), **options
            )
        )
    )
    np.testing.assert_array_equal(second[1], whole[1][2:])
    np.testing.assert_array_equal(second[0]["image"], whole[0]["image"][2:])


def test_errors():
    with pytest.raises(ValueError, match=r"multiple of .* devices, 3.*: 8"):
        DATA.batches(
            "train",
            load_size=40,
            batch_size=8,
            training=True,
            share=Share(0, 3),
        )
    message = "5 images cannot be shared out to 6 devices. Use fewer"
    with pytest.raises(ValueError, match=message):
        DATA.batches("test", load_size=40, batch_size=8, share=Share(0, 2, 3))
    with pytest.raises(ValueError, match="`worker` must be between 0 and 1"):
        Share(2, 2)
    with pytest.raises(ValueError, match="`replicas` must be"):
        Share(0, 2, 0)
