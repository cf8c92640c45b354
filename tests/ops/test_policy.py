import functools
import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import (
    best_location,
    final_reward,
    greedy_reward,
    log_probability,
    sample_locations,
    window_boxes,
    window_scores,
)
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

RNG = np.random.default_rng(3)
SCORES = RNG.normal(size=(2, 3, 5)).astype("float32")
LOCATIONS = RNG.integers(0, (3, 5), (2, 7, 2)).astype("int32")
# Sampled frequencies may be this many standard errors off.
STANDARD_ERRORS = 5


def to_numpy(tensor):
    return ops.convert_to_numpy(tensor)


def reference_softmax(scores):
    result = np.zeros(scores.shape)
    for b, image in enumerate(scores.astype("float64")):
        for i, j in np.ndindex(image.shape):
            result[b, i, j] = np.exp(image[i, j]) / np.exp(image).sum()
    return result


def reference_log_probability(scores, locations):
    result = np.zeros(locations.shape[:2])
    for b, s in np.ndindex(result.shape):
        cell = (b, *locations[b, s])
        result[b, s] = np.log(reference_softmax(scores)[cell])
    return result


def reference_greedy(losses, correct):
    """Equation 4, case by case."""
    rewards = np.zeros(losses.shape)
    for n, t, k in np.ndindex(losses.shape):
        if t == 0:
            if correct[n, t, k]:
                rewards[n, t, k] = 1
        elif correct[n, t, k] and losses[n, t, k] < losses[n, t - 1, k]:
            rewards[n, t, k] = 1
    return rewards


def assert_frequencies(events, probability):
    """`events` (n, ...) booleans happen as often as `probability` (...)."""
    error = np.sqrt(probability * (1 - probability) / len(events))
    distance = np.abs(events.mean(axis=0) - probability)
    assert np.all(distance <= STANDARD_ERRORS * error)


def drawn_cells(scores, num_samples, seed=7, jit=False):
    """Booleans (b, s, h, w): which cell each sample is."""
    draw = functools.partial(
        sample_locations, num_samples=num_samples, seed=seed
    )
    draw = compiled(draw) if jit else draw
    locations = to_numpy(draw(ops.convert_to_tensor(scores)))
    assert locations.shape == (len(scores), num_samples, 2)
    rows, columns = np.moveaxis(locations, -1, 0)[..., None, None]
    height, width = scores.shape[1:]
    right_row = rows == np.arange(height)[:, None]
    cells = right_row & (columns == np.arange(width))
    np.testing.assert_array_equal(cells.sum((2, 3)), 1)  # all inside
    return cells


@pytest.mark.parametrize("jit", [False, True])
def test_frequencies_are_the_softmax(jit):
    cells = drawn_cells(SCORES, 10007, jit=jit)
    for drawn, expected in zip(cells, reference_softmax(SCORES), strict=True):
        assert_frequencies(drawn, expected)


def test_draws_are_independent():
    """Of two images, and of two samples of an image, all pairs are seen."""
    same = np.stack([SCORES[0], SCORES[0]])
    first, second = drawn_cells(same, 10007).reshape(2, 10007, 15)
    probability = reference_softmax(same)[0].reshape(15)
    pairs = np.outer(probability, probability)
    assert_frequencies(first[:, :, None] & second[:, None], pairs)
    before, after = first[:-1], first[1:]
    assert_frequencies(before[:, :, None] & after[:, None], pairs)


def test_draws_ignore_a_constant_and_cells_of_no_probability():
    expected = drawn_cells(SCORES, 101)
    shifted = drawn_cells(SCORES + 64.0, 101)
    assert np.mean(shifted == expected) > 0.99  # the rounding differs
    closed = SCORES.copy()
    closed[:, 1:, ::2] = -np.inf
    drawn = drawn_cells(closed, 1009).any(1)
    np.testing.assert_array_equal(drawn, np.isfinite(closed))


def test_a_generator_draws_anew_and_an_integer_the_same():
    generator = keras.random.SeedGenerator(5)
    first, second = (drawn_cells(SCORES, 101, generator) for _ in range(2))
    assert np.any(first != second)
    first, second = (drawn_cells(SCORES, 101, 5) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def reference_places(height, width, size, places):
    """The cells that keep their score, by the boxes of their windows."""
    kept = []
    for i, j in np.ndindex(height, width):
        start = np.array([i, j]) - size // 2
        last = np.array([height, width]) - size
        if np.any(start < 0) or np.any(start > last):
            continue
        if places != "windows":
            steps = np.arange(places) / (places - 1)
            grids = [np.floor(steps * end + 0.5) for end in last]
            if not all(s in grid for s, grid in zip(start, grids, strict=True)):
                continue
        kept.append((i, j))
    return kept


@pytest.mark.parametrize("places", ["windows", 2, 3, 4])
@pytest.mark.parametrize(("height", "width", "size"), [(7, 11, 4), (5, 8, 5)])
def test_one_cell_is_left_to_each_window(height, width, size, places):
    scores = RNG.normal(size=(2, height, width)).astype("float32")
    found = to_numpy(compiled(lambda x: window_scores(x, size, places))(scores))
    kept = reference_places(height, width, size, places)
    expected = np.full(scores.shape, -32768.0, "float32")
    for i, j in kept:
        expected[:, i, j] = scores[:, i, j]
    np.testing.assert_array_equal(found, expected)
    boxes = to_numpy(window_boxes(np.array([kept]), size, (height, width)))[0]
    assert len({tuple(box) for box in boxes}) == len(boxes)
    if places == "windows":
        assert len(boxes) == (height - size + 1) * (width - size + 1)
    else:  # from border to border
        assert boxes.min() == 0
        assert boxes.max() == 1


@pytest.mark.parametrize("places", ["windows", 3])
def test_a_flat_policy_draws_each_window_equally_often(places):
    """By cells, 64 of 100 would be the four corners of 7 of 10 cells."""
    count, size, draws = 10, 7, 20_000
    scores = window_scores(np.zeros((1, count, count), "float32"), size, places)
    locations = sample_locations(scores, draws, seed=1)
    boxes = to_numpy(window_boxes(locations, size, (count, count)))[0]
    _, counts = np.unique(boxes.round(4), axis=0, return_counts=True)
    expected = {"windows": 16, 3: 9}[places]
    assert len(counts) == expected
    share = 1 / expected
    error = np.sqrt(share * (1 - share) / draws)
    assert np.all(np.abs(counts / draws - share) < STANDARD_ERRORS * error)


def test_scores_of_cells_stay_as_they_are():
    np.testing.assert_array_equal(window_scores(SCORES, 3, "cells"), SCORES)


@pytest.mark.parametrize("places", ["all", 1, 2.0, None])
def test_places_must_be_known(places):
    with pytest.raises(ValueError, match=f"`places` must be .*{places!r}"):
        window_scores(SCORES, 3, places)


def test_best_location_is_the_maximum():
    found = compiled(best_location)(ops.convert_to_tensor(SCORES))
    assert ops.dtype(found) == "int32"
    for image, location in zip(SCORES, to_numpy(found), strict=True):
        index = np.unravel_index(np.argmax(image), image.shape)
        np.testing.assert_array_equal(location, [index])


def test_best_location_is_the_first_of_equals():
    for i, j in np.ndindex(3, 5):
        scores = np.zeros((1, 3, 5), "float32")
        scores.reshape(-1)[5 * i + j :] = 2.0
        found = to_numpy(best_location(scores))
        np.testing.assert_array_equal(found, [[[i, j]]])


def test_log_probability_matches_a_loop():
    scores, locations = map(ops.convert_to_tensor, (SCORES, LOCATIONS))
    np.testing.assert_allclose(
        to_numpy(compiled(log_probability)(scores, locations)),
        reference_log_probability(SCORES, LOCATIONS),
        **TOLERANCES["float32"],
    )


def test_log_probability_limits():
    flat = to_numpy(log_probability(0 * SCORES, LOCATIONS))
    np.testing.assert_allclose(flat, -np.log(15), **TOLERANCES["float32"])
    everywhere = np.stack(np.indices((3, 5)), -1).reshape(1, 15, 2)
    everywhere = np.repeat(everywhere, 2, axis=0)
    values = to_numpy(log_probability(1e4 * SCORES, everywhere))
    assert np.all(np.isfinite(values))
    np.testing.assert_allclose(np.exp(values).sum(1), 1, rtol=1e-5)


def test_log_probability_ignores_a_constant_and_follows_the_cells():
    expected = to_numpy(log_probability(SCORES, LOCATIONS))
    shift = np.float32([2.0, -3.0])[:, None, None]
    shifted = to_numpy(log_probability(SCORES + shift, LOCATIONS))
    np.testing.assert_allclose(shifted, expected, **TOLERANCES["float32"])
    flipped = to_numpy(
        log_probability(SCORES[:, ::-1].copy(), [2, 0] + LOCATIONS * [-1, 1])
    )
    np.testing.assert_allclose(flipped, expected, **TOLERANCES["float32"])


def test_log_probability_gradient():
    weights = RNG.normal(size=(2, 7))

    def loss(scores):
        values = log_probability(scores, LOCATIONS)
        return ops.sum(values * ops.cast(weights, values.dtype))

    check_gradient(loss, SCORES)
    for extreme in (0 * SCORES, 1e4 * SCORES):
        (found,) = gradient(loss, extreme)
        assert np.all(np.isfinite(found))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    half = ops.cast(SCORES, dtype)
    values = log_probability(half, LOCATIONS)
    assert ops.dtype(values) == "float32"
    rounded = to_numpy(ops.cast(half, "float32"))
    np.testing.assert_allclose(
        to_numpy(values),
        reference_log_probability(rounded, LOCATIONS),
        **TOLERANCES["float32"],
    )
    for found, same in (
        (sample_locations(half, 101, 7), sample_locations(rounded, 101, 7)),
        (best_location(half), best_location(rounded)),
    ):
        assert ops.dtype(found) == "int32"
        np.testing.assert_array_equal(to_numpy(found), to_numpy(same))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("jit", [False, True])
def test_unknown_sizes_and_jit(jit):
    import tensorflow as tf

    # XLA compiles for the sizes it is called with.
    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec([None, None, None])],
        jit_compile=jit,
    )
    def fn(scores):
        locations = sample_locations(scores, 7, seed=1)
        with tf.GradientTape() as tape:
            tape.watch(scores)
            values = log_probability(scores, locations)
        slopes = tape.gradient(values, scores)
        return locations, best_location(scores), values, slopes

    locations, best, values, slopes = fn(SCORES)
    assert locations.shape == (2, 7, 2)
    np.testing.assert_array_equal(best, best_location(SCORES))
    np.testing.assert_allclose(
        values,
        reference_log_probability(SCORES, locations.numpy()),
        **TOLERANCES["float32"],
    )
    counts = np.zeros(SCORES.shape)
    for b, s in np.ndindex(2, 7):
        counts[(b, *locations.numpy()[b, s])] += 1
    expected = counts - 7 * reference_softmax(SCORES)
    np.testing.assert_allclose(slopes, expected, **TOLERANCES["float32"])


def losses_with_ties():
    """(7, 3, 5), few values, so that many a step equals the one before."""
    return RNG.integers(0, 3, (7, 3, 5)).astype("float32") / 3


@pytest.mark.parametrize("dtype", ["bool", "float32", "int32"])
def test_greedy_reward_matches_equation_4(dtype):
    losses = losses_with_ties()
    correct = RNG.integers(0, 2, losses.shape).astype(dtype)
    expected = reference_greedy(losses, correct)
    rewards = compiled(greedy_reward)(
        ops.convert_to_tensor(losses), ops.convert_to_tensor(correct)
    )
    assert ops.dtype(rewards) == "float32"
    np.testing.assert_array_equal(to_numpy(rewards), expected)
    flat = greedy_reward(losses[..., 0].copy(), correct[..., 0].copy())
    np.testing.assert_array_equal(to_numpy(flat), expected[..., 0])
    scaled = greedy_reward(8 * losses - 3, correct)  # only the order counts
    np.testing.assert_array_equal(to_numpy(scaled), expected)


def test_greedy_reward_limits():
    losses = losses_with_ties()
    one_step = to_numpy(greedy_reward(losses[:, :1], losses[:, :1] > 0))
    np.testing.assert_array_equal(one_step, losses[:, :1] > 0)
    never = to_numpy(greedy_reward(losses, np.zeros(losses.shape, bool)))
    np.testing.assert_array_equal(never, 0)
    rises = np.sort(losses, axis=1)
    first_only = to_numpy(greedy_reward(rises, np.ones(losses.shape, bool)))
    np.testing.assert_array_equal(first_only[:, 0], 1)
    np.testing.assert_array_equal(first_only[:, 1:], 0)


@pytest.mark.parametrize("dtype", ["bool", "float32", "int32"])
def test_final_reward_is_that_of_the_last_step(dtype):
    correct = RNG.integers(0, 2, (7, 3, 5)).astype(dtype)
    rewards = compiled(final_reward)(ops.convert_to_tensor(correct))
    assert ops.dtype(rewards) == "float32"
    rewards = to_numpy(rewards)
    for n, t, k in np.ndindex(correct.shape):
        assert rewards[n, t, k] == (1 if correct[n, 2, k] else 0)
    flat = to_numpy(final_reward(correct[..., 0].copy()))
    np.testing.assert_array_equal(flat, rewards[..., 0])


def test_errors():
    with pytest.raises(ValueError, match=r"`scores` must have 3 axes.*\(3, 5"):
        sample_locations(SCORES[0], 2, 0)
    with pytest.raises(ValueError, match="`scores` must have 3 axes"):
        best_location(SCORES[0])
    with pytest.raises(ValueError, match="`num_samples` must be at least 1"):
        sample_locations(SCORES, 0, 0)
    with pytest.raises(TypeError, match=r"must be an integer.*samples=2\.0"):
        sample_locations(SCORES, 2.0, 0)
    message = r"`locations` must have shape \(2, None, 2\).* Received: shape "
    for wrong in (LOCATIONS[..., None], LOCATIONS[..., :1], LOCATIONS[:1]):
        received = re.escape(str(wrong.shape))
        with pytest.raises(ValueError, match=message + received):
            log_probability(SCORES, wrong)
    message = r"`correct` must have shape \(2, 3, 5\), that of `losses`.*, 1, 5"
    with pytest.raises(ValueError, match=message):
        greedy_reward(SCORES, SCORES[:, :1])
    message = r"must have at least 2 axes, \(batch, steps, ...\).*\(5,\)"
    for reward in (final_reward, lambda x: greedy_reward(x, x)):
        with pytest.raises(ValueError, match=message):
            reward(SCORES[0, 0])
