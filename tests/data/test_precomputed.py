"""Cached arrays: values, order, epochs, chains of caches."""

import tracemalloc

import keras
import numpy as np
import pytest

from keras_fgvc.data import Augmentation
from keras_fgvc.data.sources.stored_rows import StoredRows
from tests.data.cached_images import (
    HEIGHT,
    SIZES,
    WIDTH,
    Thirds,
    cache,
    expected,
    numbered_images,
)

pytestmark = pytest.mark.usefixtures("noted_often")


def collect(data, split="train", **options):
    batches = data.batches(split, **{"batch_size": 3} | options)
    return list(batches.as_numpy_iterator())


def join(batches, place):
    return np.concatenate([batch[place] for batch in batches])


# Divides what is noted at once, does not, and is larger than a split.
@pytest.mark.parametrize("batch_size", [2, 3, 32])
def test_arrays_and_labels_equal_a_loop(tmp_path, batch_size):
    data, compute = numbered_images(), Thirds()
    cached = cache(tmp_path, data, compute, batch_size=batch_size)
    assert cached.split_sizes == SIZES
    for split, count in SIZES.items():
        batches = collect(cached, split)
        sizes = [3] * (count // 3) + [count % 3]
        assert [len(arrays) for arrays, _ in batches] == sizes
        arrays, labels = join(batches, 0), join(batches, 1)
        assert (arrays.dtype, labels.dtype) == (np.float32, np.int32)
        np.testing.assert_allclose(arrays, expected(data, split), rtol=1e-6)
        np.testing.assert_array_equal(labels, data.subset(split).labels)
        np.testing.assert_array_equal(cached.arrays(split), arrays)
        np.testing.assert_array_equal(cached.labels(split), labels)
    # Each image once, in order, in batches no larger than asked for.
    in_order = [n for count in SIZES.values() for n in range(count)]
    assert [n for batch in compute.seen for n in batch] == in_order
    assert max(map(len, compute.seen)) == min(batch_size, SIZES["train"])


def test_stored_numbers_are_those_of_the_type(tmp_path):
    data = numbered_images()
    half = cache(tmp_path, data, dtype="float16").arrays("train")
    assert half.dtype == np.float32
    exact = expected(data, "train")
    np.testing.assert_array_equal(half, exact.astype(np.float16))
    assert (half != exact).any()


def test_arrays_may_be_scalars(tmp_path):
    means = cache(tmp_path, compute=lambda images: images.mean((1, 2, 3)))
    (arrays, _), *_ = collect(means)
    assert arrays.shape == (3,)


def test_a_network_can_compute(tmp_path):
    image = keras.Input((HEIGHT, WIDTH, 3))
    network = keras.Model(image, keras.layers.Rescaling(2.0)(image))
    data = numbered_images()
    doubled = cache(tmp_path, data, compute=network).arrays("train")
    images = data.subset("train").images
    np.testing.assert_array_equal(doubled, images * np.float32(2))


def test_the_order_is_that_of_the_images(tmp_path):
    data = numbered_images()
    options = {
        "batch_size": 3,
        "training": True,
        "seed": 7,
        "epochs": range(2, 5),
        "load_size": (HEIGHT, WIDTH),
    }
    images, labels = zip(*collect(data, **options), strict=True)
    # What only images have is ignored.
    batches = collect(
        cache(tmp_path, data), augmentation=Augmentation(), **options
    )
    assert len(batches) == 3 * 3
    order = np.concatenate(images)[:, 0, 0, 0]
    assert order[:9].tolist() != order[9:18].tolist()
    np.testing.assert_allclose(
        join(batches, 0), expected(data, "train")[order], rtol=1e-6
    )
    np.testing.assert_array_equal(join(batches, 1), np.concatenate(labels))


def test_resuming_sees_what_it_would_have_seen(tmp_path):
    cached = cache(tmp_path)
    options = {"training": True, "seed": 3}
    whole = collect(cached, epochs=range(10), **options)
    resumed = collect(cached, epochs=range(3, 10), **options)
    assert len(whole) == 10 * 3
    np.testing.assert_array_equal(join(resumed, 0), join(whole[9:], 0))
    np.testing.assert_array_equal(join(resumed, 1), join(whole[9:], 1))


def test_seeds_decide_and_the_global_seed_does_not(tmp_path):
    cached, orders = cache(tmp_path), []
    for global_seed, seed in ((1, 0), (2, 0), (1, 5)):
        keras.utils.set_random_seed(global_seed)
        orders.append(join(collect(cached, training=True, seed=seed), 0))
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()


def test_without_epochs_it_is_epoch_0(tmp_path):
    cached = cache(tmp_path)
    batches = cached.batches("train", batch_size=3, training=True)
    first = join(collect(cached, training=True, epochs=range(1)), 0)
    for _ in range(2):
        again = join(list(batches.as_numpy_iterator()), 0)
        np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize(
    ("options", "length", "batch"),
    [
        ({}, 3, None),
        ({"drop_remainder": True}, 2, 4),
        ({"training": True}, 2, 4),
        ({"training": True, "epochs": range(3)}, 6, 4),
        ({"training": True, "drop_remainder": False}, 3, None),
    ],
)
def test_length_and_static_shape(tmp_path, options, length, batch):
    batches = cache(tmp_path).batches("train", batch_size=4, **options)
    assert len(batches) == len(list(batches)) == length
    arrays, labels = batches.element_spec
    assert arrays.shape == (batch, HEIGHT, 3)
    assert labels.shape == (batch,)


def test_a_model_trains_on_it(tmp_path):
    model = keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    batches = cache(tmp_path).batches("train", batch_size=3, training=True)
    history = model.fit(batches, epochs=2, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_memory_holds_one_batch(tmp_path):
    data, side = numbered_images({"train": 80}), 256
    bytes_of_row = side * side * 4
    cached = cache(
        tmp_path,
        data,
        compute=lambda images: np.ones((len(images), side, side), np.float32),
        splits=("train",),
    )
    stored = StoredRows(tmp_path, {"train": 80}, (side, side), "float32", {})
    tracemalloc.start()
    cached.ensure()
    before, in_computing = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    stored.read("train", np.array([70, 3, 41]))
    in_reading = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    # A batch of 2 as computed and as stored, a few objects.
    assert 2 * bytes_of_row < in_computing < 8 * bytes_of_row
    # What is asked for.
    assert 3 * bytes_of_row < in_reading < 5 * bytes_of_row


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tset"}, "`split` must be one of 'train', 'validation'"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"batch_size": 12, "training": True}, r"images \(11\) where the rem"),
        ({"epochs": range(2)}, "`epochs` is for `training=True`"),
        ({"epochs": 3, "training": True}, "None or a range"),
        ({"seed": -1}, "`seed` must be at least 0"),
    ],
)
def test_wrong_arguments_raise_before_anything_is_computed(
    tmp_path, options, message
):
    compute = Thirds()
    with pytest.raises(ValueError, match=message):
        collect(cache(tmp_path, compute=compute), **options)
    assert compute.seen == []


@pytest.mark.parametrize("read", ["arrays", "labels"])
def test_unknown_splits_raise(tmp_path, read):
    cached = cache(tmp_path, splits=("train",))
    with pytest.raises(ValueError, match=r"`split` must be one of 'train'\. R"):
        getattr(cached, read)("validation")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"splits": ("test",)}, ValueError, "`splits` must be one of 'train'"),
        ({"splits": ()}, ValueError, "`splits` must name one split"),
        ({"fingerprint": None}, TypeError, "a text that names what `compute`"),
        ({"fingerprint": ""}, TypeError, "a text that names what `compute`"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1"),
        ({"dtype": "int8"}, ValueError, "`dtype` must be one of 'float16'"),
        ({"load_size": None}, ValueError, "a pair .height, width."),
    ],
)
def test_wrong_options_raise(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        cache(tmp_path, **options)
