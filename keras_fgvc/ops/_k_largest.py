"""The k largest pixels of every channel, without sorting all of them.

`top_k` wants rows, so it transposes the feature map, and it carries indices
that nobody needs. For a small k it is faster to keep k running maxima per
channel and to insert the pixels into them, which is nothing but elementwise
maxima and minima on contiguous memory: on a 14x14x2048 map about a quarter of
the time of `top_k`. Dispatched one by one, so many operations cost more than
they save, and `top_k` it is.
"""

import keras
from keras import ops

# Each inserted pixel costs 2 k operations, `top_k` about the same for any k.
LARGEST_INSERTED_K = 8
# A turn of the loop reads this many values per sample, or 8 pixels: enough to
# make an operation worth its call, little enough to stay in the cache.
VALUES_PER_TURN = 8192
PIXELS_PER_TURN = 8


def k_largest(pixels, k: int):
    """Returns the k largest of (b, pixels, c) as (b, c, k), descending."""
    num_pixels = pixels.shape[1]
    if num_pixels is None or k > LARGEST_INSERTED_K or _is_eager(pixels):
        values, _ = ops.top_k(ops.transpose(pixels, (0, 2, 1)), k)
        return values
    return _insert_in_turns(pixels, k, _pixels_per_turn(pixels.shape))


def _is_eager(pixels) -> bool:
    """Tells whether operations run one by one and not as a graph."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.is_symbolic_tensor(pixels)
    if keras.backend.backend() == "jax":
        import jax

        return not isinstance(pixels, jax.core.Tracer)
    return True


def _pixels_per_turn(shape) -> int:
    """Largest divisor of the number of pixels that keeps a turn small."""
    # XLA fuses a turn into one loop over memory, which wants a single pixel.
    if keras.backend.backend() == "jax":
        return 1
    _, num_pixels, channels = shape
    most = max(1, min(PIXELS_PER_TURN, VALUES_PER_TURN // channels))
    return max(q for q in range(1, most + 1) if num_pixels % q == 0)


def _insert_in_turns(pixels, k, turn):
    """`turn` pixels at a time; a loop, since XLA chokes on an unrolled one."""
    # Nothing may differentiate the loop: it would keep every turn's state.
    pixels = ops.stop_gradient(pixels)
    _, num_pixels, channels = pixels.shape
    turns = num_pixels // turn
    pixels = ops.reshape(pixels, (-1, turns, turn, channels))
    lowest = ops.full_like(pixels[:, 0], -float("inf"))
    state = (pixels, *[lowest] * k)
    _, *largest = ops.fori_loop(0, turns, _insert_turn, state)
    return ops.stack([rank[:, 0] for rank in _fold(largest)], axis=-1)


def _insert_turn(i, state):
    pixels, *largest = state
    return (pixels, *_insert(pixels[:, i], largest))


def _insert(new, largest):
    """Inserts one value into descending ones and drops the lowest."""
    result = []
    for rank in largest:
        result.append(ops.maximum(rank, new))
        new = ops.minimum(rank, new)
    return result


def _merge(largest, others):
    """Merges two descending lists of k and keeps the k largest."""
    for rank, other in enumerate(others):
        # `rank` values of `others` are above this one, so it is no higher.
        largest = largest[:rank] + _insert(other, largest[rank:])
    return largest


def _fold(largest):
    """k times (b, turn, c) -> k times (b, 1, c), halving the pixels."""
    turn = largest[0].shape[1]
    if turn == 1:
        return largest
    half = turn // 2
    folded = _fold(
        _merge(
            [rank[:, :half] for rank in largest],
            [rank[:, half : 2 * half] for rank in largest],
        )
    )
    if turn % 2:
        folded = _merge(folded, [rank[:, -1:] for rank in largest])
    return folded
