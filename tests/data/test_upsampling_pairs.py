import numpy as np
import pytest

from keras_fgvc.data import Share, UpsamplingPairs

PAIRS = UpsamplingPairs(24, factor=3)


def draw(split="train", **options):
    batches = PAIRS.batches(split, batch_size=6, **options)
    maps, larger = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(maps), np.concatenate(larger)


def test_sizes():
    assert PAIRS.split_sizes == {"train": 24, "validation": 2}
    maps, larger = draw()
    assert maps.shape == (24, 8, 8, 1)
    assert larger.shape == (24, 24, 24, 1)
    assert maps.min() >= 0
    assert maps.max() <= 1


def test_every_third_pair_has_the_same_interpolation():
    maps, larger = draw()
    # Nearest: each cell is a square of its own value.
    nearest = np.repeat(np.repeat(maps, 3, axis=1), 3, axis=2)
    kept = [np.array_equal(a, b) for a, b in zip(nearest, larger, strict=True)]
    assert kept == [False, False, True] * 8
    # Bilinear stays between the cells' values, cubic does not.
    rough = [n for n in range(24) if n // 3 % 3 == 2]
    beyond = {
        n: larger[n].max() > maps[n].max() + 1e-4
        or larger[n].min() < maps[n].min() - 1e-4
        for n in rough
    }
    assert not any(beyond[n] for n in rough if n % 3 == 0)
    assert any(beyond[n] for n in rough if n % 3 == 1)
    # The middle pixel of a cell of 3 is its value, whatever is around it.
    bilinear = larger[::3, 1::3, 1::3]
    np.testing.assert_allclose(bilinear, maps[::3], atol=1e-6)


def test_same_seed_same_pairs_and_new_ones_each_epoch():
    first, _ = draw(seed=1)
    np.testing.assert_array_equal(draw(seed=1)[0], first)
    assert not np.array_equal(draw(seed=2)[0], first)
    two, _ = draw(seed=1, epochs=range(2))
    np.testing.assert_array_equal(two[:24], first)
    assert not np.array_equal(two[24:], first)
    second, _ = draw(seed=1, epochs=range(1, 2))
    np.testing.assert_array_equal(second, two[24:])


@pytest.mark.parametrize("share", [None, Share(1, 2)])
def test_an_epoch_begins_alike_where_batches_leave_a_remainder(share):
    pairs = UpsamplingPairs(10, factor=2)
    options = {"batch_size": 4, "training": True, "share": share}
    both = list(pairs.batches("train", epochs=range(2), **options))
    second = list(pairs.batches("train", epochs=range(1, 2), **options))
    batches = pairs.batches("train", epochs=range(2), **options)
    assert len(both) == len(batches) == 4
    for (maps, _), (same, _) in zip(both[2:], second, strict=True):
        np.testing.assert_array_equal(maps, same)


def test_validation_pairs_are_others():
    validation, _ = draw("validation")
    train, _ = draw()
    assert not any(np.array_equal(validation[0], m) for m in train)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_train": 0, "factor": 2}, "`num_train` must be at least 1"),
        ({"num_train": 2, "factor": 0}, "`factor` must be at least 1"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        UpsamplingPairs(**arguments)
