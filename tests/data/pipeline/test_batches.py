"""Batches: order, epochs, resuming, boxes, sizes."""

import keras
import numpy as np
import pytest

from keras_fgvc.data import Augmentation, Examples, LabeledImages
from tests.data.image_files import jpeg, smooth_pixels, write

COUNT = 11
AUGMENTATION = Augmentation(
    rotation=20, horizontal_flip=True, brightness=0.4, random_crop=(0.5, 1.0)
)
CORNERS = np.random.default_rng(0).uniform(0, 0.4, (COUNT, 4))
BOXES = CORNERS + np.array([0, 0, 0.5, 0.5])


def in_memory(count=COUNT, height=13, width=17):
    examples = Examples(
        labels=np.arange(count, dtype=np.int32),
        images=np.stack(
            [smooth_pixels(height, width, seed) for seed in range(count)]
        ),
        boxes=BOXES[:count].astype(np.float32),
    )
    names = tuple(str(number) for number in range(count))
    return LabeledImages("numbered", names, {"train": examples})


def collect(data, **options):
    options = {"load_size": (13, 17), "batch_size": 4} | options
    return [
        (images.numpy(), labels)
        for images, labels in data.batches("train", **options)
    ]


def labels_of(batches):
    return [label for _, labels in batches for label in labels.numpy()]


def assert_same_batches(received, expected):
    assert len(received) == len(expected)
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1]["label"], other[1]["label"])
        np.testing.assert_array_equal(one[1]["box"], other[1]["box"])


def test_without_training_the_order_and_the_pixels_stay():
    data = in_memory()
    batches = collect(data, augmentation=AUGMENTATION)
    assert labels_of(batches) == list(range(COUNT))
    assert [len(images) for images, _ in batches] == [4, 4, 3]
    assert batches[0][0].dtype == np.uint8
    images = np.concatenate([images for images, _ in batches])
    np.testing.assert_array_equal(images, data.subset("train").images)


def test_files_and_arrays_give_the_same(tmp_path):
    paths = tuple(
        write(tmp_path / f"{seed}.jpg", jpeg(seed)) for seed in range(3)
    )
    labels = np.arange(3, dtype=np.int32)
    data = LabeledImages(
        "files", ("a", "b", "c"), {"train": Examples(labels, paths=paths)}
    )
    (images, received), *_ = collect(data, load_size=19)
    assert images.shape == (3, 19, 19, 3)
    assert received.numpy().tolist() == [0, 1, 2]
    for seed, image in enumerate(images):
        difference = image.mean((0, 1)) - smooth_pixels(seed=seed).mean((0, 1))
        assert np.abs(difference).max() < 3


@pytest.mark.parametrize("augmentation", [None, AUGMENTATION])
def test_resuming_sees_what_it_would_have_seen(augmentation):
    options = {
        "training": True,
        "seed": 3,
        "with_boxes": True,
        "augmentation": augmentation,
    }
    whole = collect(in_memory(), epochs=range(3), **options)
    resumed = collect(in_memory(), epochs=range(1, 3), **options)
    assert len(whole) == 3 * 2
    assert_same_batches(resumed, whole[2:])


def test_epochs_differ_in_order_and_augmentation():
    data = in_memory()
    options = {"training": True, "batch_size": COUNT}
    (first, first_labels), (second, second_labels) = collect(
        data, epochs=range(2), augmentation=AUGMENTATION, **options
    )
    assert (first_labels.numpy() != second_labels.numpy()).any()
    first = first[np.argsort(first_labels.numpy())]
    second = second[np.argsort(second_labels.numpy())]
    same = [(one == two).all() for one, two in zip(first, second, strict=True)]
    assert not any(same)


def test_the_order_ignores_the_batch_size_and_the_augmentation():
    options = {"training": True, "epochs": range(1), "drop_remainder": False}
    plain = labels_of(collect(in_memory(), **options))
    assert sorted(plain) == list(range(COUNT))
    assert plain == labels_of(
        collect(in_memory(), batch_size=3, augmentation=AUGMENTATION, **options)
    )


def test_seeds_decide_and_the_global_seed_does_not():
    orders = []
    for global_seed, seed in ((1, 0), (2, 0), (1, 5)):
        keras.utils.set_random_seed(global_seed)
        batches = collect(
            in_memory(), training=True, seed=seed, epochs=range(2)
        )
        orders.append(labels_of(batches))
    assert orders[0] == orders[1] != orders[2]


def test_without_epochs_each_iteration_is_a_new_one():
    batches = in_memory().batches(
        "train", load_size=7, batch_size=5, training=True
    )
    assert len(batches) == 2
    orders = [
        [int(n) for _, labels in batches for n in labels] for _ in range(3)
    ]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert all(len(set(order)) == 10 for order in orders)


@pytest.mark.parametrize(
    ("training", "drop", "sizes"),
    [
        (True, None, [4, 4]),
        (True, False, [4, 4, 3]),
        (False, None, [4, 4, 3]),
        (False, True, [4, 4]),
    ],
)
def test_remainder_and_length(training, drop, sizes):
    data = in_memory()
    epochs = range(5, 7) if training else None
    batches = data.batches(
        "train",
        load_size=7,
        batch_size=4,
        training=training,
        epochs=epochs,
        drop_remainder=drop,
    )
    expected = sizes * 2 if training else sizes
    assert [len(labels) for _, labels in batches] == expected
    assert len(batches) == len(expected)
    is_fixed = len(set(sizes)) == 1
    assert batches.element_spec[0].shape == (4 if is_fixed else None, 7, 7, 3)


def test_boxes_come_with_their_images():
    batches = collect(in_memory(), with_boxes=True)
    boxes = np.concatenate([targets["box"] for _, targets in batches])
    np.testing.assert_array_equal(boxes, BOXES.astype(np.float32))
    (_, targets), *_ = collect(
        in_memory(),
        with_boxes=True,
        training=True,
        augmentation=Augmentation(horizontal_flip=True),
    )
    for label, box in zip(targets["label"], targets["box"], strict=True):
        y_min, x_min, y_max, x_max = BOXES[int(label)]
        unflipped = [y_min, x_min, y_max, x_max]
        flipped = [y_min, 1 - x_max, y_max, 1 - x_min]
        assert np.allclose(box, unflipped) or np.allclose(box, flipped)


def test_keras_trains_on_the_batches():
    model = keras.Sequential(
        [
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(COUNT, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    batches = in_memory().batches(
        "train", load_size=9, batch_size=3, training=True
    )
    history = model.fit(batches, epochs=2, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 12, "training": True}, r"images \(11\) where the rem"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"load_size": 0}, "`load_size` must be at least 1"),
        ({"load_size": (1, 2, 3)}, "a pair .height, width."),
        ({"epochs": range(2)}, "`epochs` is for `training=True`"),
        ({"epochs": range(0), "training": True}, "at least one epoch"),
        ({"epochs": 3, "training": True}, "None or a range"),
        ({"seed": -1}, "`seed` must be at least 0"),
    ],
)
def test_wrong_arguments_raise(options, message):
    with pytest.raises(ValueError, match=message):
        collect(in_memory(), **options)


def test_unknown_split_lists_the_splits():
    with pytest.raises(ValueError, match="`split` must be one of 'train'"):
        in_memory().batches("tset", load_size=7, batch_size=2)


def test_boxes_that_are_not_there_raise():
    examples = Examples(np.zeros(1, np.int32), paths=("a.jpg",))
    data = LabeledImages("none", ("a",), {"train": examples})
    with pytest.raises(ValueError, match="needs a data set with boxes"):
        collect(data, with_boxes=True)


def test_examples_check_themselves():
    labels = np.zeros(2, np.int32)
    with pytest.raises(ValueError, match="Received: neither"):
        Examples(labels)
    with pytest.raises(ValueError, match="1 paths and 2 labels"):
        Examples(labels, paths=("a",))
    with pytest.raises(ValueError, match="must be a uint8 array"):
        Examples(labels, images=np.zeros((2, 3, 3, 3), np.float32))
    with pytest.raises(ValueError, match="integers from 0 to 0"):
        LabeledImages("x", ("a",), {"train": Examples(labels + 1, ("p",) * 2)})
