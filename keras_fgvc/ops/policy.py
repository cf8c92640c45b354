"""A score map as a policy: where to look, and the reward for looking there.

Liu, Xia, Wang, Lin, "Fully Convolutional Attention Localization Networks",
2016, https://arxiv.org/abs/1603.06765, section 4. An action is a location: a
cell of the map as row and column.
"""

import numbers

import keras
from keras import ops

from keras_fgvc._checks import check_positive_int, check_rank, check_shape
from keras_fgvc.ops._first_largest import first_largest
from keras_fgvc.ops._precision import at_least_float32

# The score of a cell that is no place: its probability is exactly zero. Not
# -inf, which gives NaN as soon as it is multiplied by zero; and a power of two
# that half precision holds.
NEVER = -(2.0**15)


def window_scores(scores, region_size, places="windows"):
    """Leaves one score to each window, so that a policy is over windows.

    `window_boxes` moves a window at the border inside the map, so that
    several cells stand for one window: of 10 x 10 cells with windows of 7,
    64 stand for the four corners. Only the cells whose window is not moved
    keep their score, rows i with 0 <= i - r // 2 <= h - r for windows of r
    cells, and the same of columns. The others get -32768, which no softmax
    can see.

    Args:
        scores: Tensor of shape `(batch, height, width)`. Each axis may be
            unknown until the graph runs.
        region_size: Integer, height and width of a window in cells.
        places: `"windows"` (default) for every window; an integer from 2 for
            a grid of so many windows per side, from border to border;
            `"cells"` for the scores as they are.

    Returns:
        Tensor of the same shape, float32 (float64 for float64).

    Raises:
        ValueError: If `scores` does not have three axes, or `places` is not
            as described.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import window_scores

    window_scores(np.zeros((1, 2, 4)), 2)[0]
    # three zeros in the second row, -32768 elsewhere
    ```
    """
    check_places(places)
    scores = at_least_float32(scores)
    check_rank("scores", scores.shape, 3, "(batch, height, width)")
    if places == "cells":
        return scores
    rows, columns = (
        _is_place(length, region_size, places)
        for length in ops.shape(scores)[1:]
    )
    allowed = ops.logical_and(ops.expand_dims(rows, 1), columns)
    return ops.where(allowed, scores, ops.cast(NEVER, scores.dtype))


def check_places(places) -> None:
    """Raises unless `places` is what `window_scores` takes."""
    is_grid = isinstance(places, numbers.Integral) and places > 1
    if places not in ("windows", "cells") and not is_grid:
        raise ValueError(
            "`places` must be 'windows', 'cells' or the number of windows per "
            "side of a grid, an integer from 2. "
            f"Received: places={places!r}."
        )


def sample_locations(scores, num_samples, seed):
    """Draws cells of a score map, more often where the score is high.

    Each sample is drawn, independently of the others, with probability

        p_ij = exp(scores_ij) / sum over rows r, columns s of exp(scores_rs)

    the multinomial distribution below FCAN's equation 6. A cell whose score
    is `-inf` is never drawn. No gradient passes through a draw; see
    `log_probability`.

    Args:
        scores: Tensor of shape `(batch, height, width)`, unnormalised log
            probabilities. Each axis may be unknown until the graph runs.
        num_samples: Integer, draws for each image. The paper's is 16.
        seed: A `keras.random.SeedGenerator`, or an integer, which draws the
            same at each call.

    Returns:
        Tensor of shape `(batch, num_samples, 2)`, int32, row and column.

    Raises:
        ValueError: If `scores` does not have three axes, or `num_samples` is
            below 1.
        TypeError: If `num_samples` is not an integer.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import sample_locations

    scores = np.zeros((2, 3, 5), "float32")
    scores[:, 1, 4] = 50.0
    sample_locations(scores, 16, seed=0)  # (2, 16, 2), all [1, 4]
    ```
    """
    check_positive_int("num_samples", num_samples)
    cells, width = _flatten(scores)
    drawn = keras.random.categorical(
        cells, num_samples, dtype="int32", seed=seed
    )
    return _row_and_column(drawn, width)


def best_location(scores):
    """Finds the cell of the highest score, the first of equals.

    What FCAN does at test time: "The attention region with highest
    probability is selected as the part location" (section 3).

    Args:
        scores: Tensor of shape `(batch, height, width)`. Each axis may be
            unknown until the graph runs.

    Returns:
        Tensor of shape `(batch, 1, 2)`, int32, row and column. No gradient
        passes through it.

    Raises:
        ValueError: If `scores` does not have three axes.

    Example:

    ```python
    from keras_fgvc.ops import best_location

    best_location([[[0.1, 0.3, 0.2], [0.0, 0.7, 0.7]]])  # [[[1, 1]]]
    ```
    """
    cells, width = _flatten(scores)
    _, index = first_largest(cells)  # (b, 1)
    return _row_and_column(index, width)


def log_probability(scores, locations):
    """Computes the log probability with which each location is drawn.

        log p = score - log of the sum over all cells of exp(score)

    the term log p(A | x) of FCAN's equations 5 and 6.

    Args:
        scores: Tensor of shape `(batch, height, width)`, unnormalised log
            probabilities. Each axis may be unknown until the graph runs.
        locations: Integer tensor of shape `(batch, samples, 2)`, row and
            column of a cell inside the map; see `sample_locations`.

    Returns:
        Tensor of shape `(batch, samples)`, float32 (float64 for float64).
        Differentiable in the scores.

    Raises:
        ValueError: If a shape is not as described.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.ops import log_probability

    scores = np.log([[[1.0, 2.0], [4.0, 1.0]]])
    log_probability(scores, [[[1, 0], [0, 1]]])  # log of [[0.5, 0.25]]
    ```
    """
    cells, width = _flatten(scores)
    locations = ops.cast(locations, "int32")
    expected = (cells.shape[0], None, 2)
    check_shape("locations", locations.shape, expected, "(batch, samples, 2)")
    index = locations[..., 0] * width + locations[..., 1]  # (b, s)
    return ops.take_along_axis(ops.log_softmax(cells, axis=-1), index, axis=1)


def greedy_reward(losses, correct):
    """Rewards each step for what it adds to the step before (FCAN, eq. 4).

        r_1 = 1 if step 1 classifies correctly
        r_t = 1 if step t does and its loss is below that of step t - 1

    and 0 otherwise; an equal loss is no reward.

    Args:
        losses: Tensor of shape `(batch, steps, ...)`, the classification
            loss of each step. With a third axis of samples, sample k of a
            step follows sample k of the step before.
        correct: Tensor of the same shape, boolean or 0 and 1: whether the
            class predicted at that step is the label.

    Returns:
        Tensor of the same shape, float32, 0 or 1. It has no gradient.

    Raises:
        ValueError: If there are fewer than two axes, or the shapes disagree.

    Example:

    ```python
    from keras_fgvc.ops import greedy_reward

    greedy_reward(
        [[0.9, 0.4, 0.4, 0.3]], [[True, True, True, False]]
    )  # [[1.0, 1.0, 0.0, 0.0]]
    ```
    """
    losses = ops.convert_to_tensor(losses)
    correct = ops.cast(correct, "bool")
    _check_steps("losses", losses.shape)
    check_shape("correct", correct.shape, losses.shape, "that of `losses`")
    fell = losses[:, 1:] < losses[:, :-1]  # (b, t - 1, ...)
    first = ops.ones_like(losses[:, :1], dtype="bool")
    fell = ops.concatenate([first, fell], axis=1)
    return ops.cast(ops.logical_and(correct, fell), "float32")


def final_reward(correct):
    """Rewards every step for the last one, where the image is classified.

    FCAN's "straightforward" strategy (section 4.1), which its equation 4
    replaces: only the last step T earns anything, 1 if it classifies
    correctly. As in Mnih et al., "Recurrent Models of Visual Attention", 2014,
    https://arxiv.org/abs/1406.6247, a step is credited with the sum of the
    rewards, and for every step that sum is the reward of step T.

    Args:
        correct: Tensor of shape `(batch, steps, ...)`, boolean or 0 and 1:
            whether the class predicted at that step is the label.

    Returns:
        Tensor of the same shape, float32, 0 or 1. It has no gradient.

    Raises:
        ValueError: If `correct` has fewer than two axes.

    Example:

    ```python
    from keras_fgvc.ops import final_reward

    final_reward([[True, False], [False, True]])  # [[0, 0], [1, 1]]
    ```
    """
    correct = ops.cast(correct, "bool")
    _check_steps("correct", correct.shape)
    rewards = ops.cast(correct, "float32")
    return ops.ones_like(rewards) * rewards[:, -1:]


def _check_steps(name: str, shape) -> None:
    if len(shape) < 2:
        raise ValueError(
            f"`{name}` must have at least 2 axes, (batch, steps, ...). "
            f"Received: shape {tuple(shape)}."
        )


def _flatten(scores):
    """(b, h, w) -> its cells (b, h * w), at least float32, and w."""
    scores = at_least_float32(scores)
    check_rank("scores", scores.shape, 3, "(batch, height, width)")
    _, height, width = ops.shape(scores)
    return ops.reshape(scores, (-1, height * width)), width


def _row_and_column(index, width):
    """Positions (b, s) in a flattened map -> (b, s, 2)."""
    return ops.stack([index // width, index % width], axis=-1)


def _is_place(length, region_size, places):
    """Finds the cells of a side that stand for a window, `(length,)`."""
    starts = ops.arange(length, dtype="int32") - region_size // 2
    last = length - region_size
    if places == "windows":
        return ops.logical_and(starts >= 0, starts <= last)
    steps = ops.arange(places, dtype="int32")
    grid = (steps * last + (places - 1) // 2) // (places - 1)
    return ops.any(ops.equal(ops.expand_dims(starts, 1), grid), axis=1)
