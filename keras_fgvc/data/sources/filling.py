"""Computes the missing shards of a cache, batch by batch."""

import keras
import numpy as np

from keras_fgvc.data.sources.shards import Shards, size_text

PROGRESS_INTERVAL = 1.0  # seconds


class CheckedCompute:
    """A function whose arrays must fit the files, whatever it is given.

    Args:
        function: From the inputs of one batch to an array `(batch, ...)`.
        dtype: Type of the stored numbers.
        shape: That every array must have; None for that of the first one.

    Raises:
        ValueError: Not one array an input, another shape, or a value that
            is not finite in `dtype`.
    """

    def __init__(self, function, dtype: str, shape=None):
        self.function = function
        self.dtype = dtype
        self.shape = shape

    def __call__(self, inputs, count: int) -> np.ndarray:
        arrays = keras.ops.convert_to_numpy(self.function(inputs))
        if arrays.shape[:1] != (count,) or arrays.size == 0:
            raise ValueError(
                f"`compute` must give one array an image: ({count}, ...). "
                f"Received: shape {arrays.shape}."
            )
        if self.shape is None:
            self.shape = arrays.shape[1:]
        if arrays.shape[1:] != self.shape:
            raise ValueError(
                "`compute` must give arrays of one shape, so far "
                f"{self.shape}. Received: {arrays.shape[1:]}. Does it follow "
                "the batch? Or is it another function than the one with "
                "this `fingerprint` before?"
            )
        with np.errstate(over="ignore"):  # told below, with what to do
            stored = arrays.astype(self.dtype)
        if not np.isfinite(stored).all():
            raise ValueError(self._what_is_not_finite(arrays))
        return stored

    def _what_is_not_finite(self, arrays) -> str:
        if not np.isfinite(arrays).all():
            return (
                "`compute` must give finite values. Received: NaN or infinity "
                "among them. Check its weights and its inputs."
            )
        return (
            f"`compute` must give values that {self.dtype} can hold, up to "
            f"{float(np.finfo(self.dtype).max):g}. Received: "
            f'{np.abs(arrays).max():g}. Pass dtype="float32", or scale them.'
        )


def announce(name: str, stored: Shards, missing: dict) -> None:
    """Prints what a cache will hold and how much of it is there."""
    total = sum(stored.split_sizes.values())
    there = total - stored.count_all(missing)
    print(
        f"{name}: {total} arrays of shape {stored.shape}, {stored.dtype}, "
        f"{size_text(total * stored.row_bytes)} in {stored.folder}; "
        f"{there} of them are there already."
    )


def fill(stored: Shards, missing: dict, open_source, compute, first=None):
    """Computes and writes shards, one at a time in memory.

    Args:
        stored: The files.
        missing: Dictionary from a split to the numbers of shards to write.
        open_source: Function from a split to its `tf.data.Dataset` of
            (inputs, labels) and their batch size.
        compute: `CheckedCompute`.
        first: What it gave for the very first batch, if it was asked then.

    Raises:
        ValueError: A split ends too early. And as `compute`.
    """
    bar = keras.utils.Progbar(
        stored.count_all(missing),
        unit_name="image",
        interval=PROGRESS_INTERVAL,
    )
    for split, numbers in missing.items():
        if not numbers:
            continue
        pieces = _pieces(stored, split, numbers, *open_source(split))
        for number in numbers:
            count = stored.count(split, [number])
            rows = np.empty((count, *stored.shape), stored.dtype)
            filled = 0
            while filled < count:
                inputs, size = _next(pieces, split, stored)
                computed = compute(inputs, size) if first is None else first
                first = None
                rows[filled : filled + size] = computed
                filled += size
                bar.add(size)
            stored.write(split, number, rows)


def _next(pieces, split, stored):
    piece = next(pieces, None)
    if piece is None:
        raise ValueError(
            f"The split {split!r} must have as many images as `split_sizes` "
            f"says ({stored.split_sizes[split]}). Its batches end before."
        )
    return piece


def _pieces(stored, split, numbers, batches, batch_size):
    """Yields (inputs, count) for the rows of some shards, in order.

    A batch is cut where a shard ends, so that a row is computed beside the
    same others whatever was there already.
    """
    skipped = stored.limits(split, numbers[0])[0] // batch_size
    end = stored.limits(split, numbers[-1])[1]
    start = skipped * batch_size
    batches = batches.skip(skipped).take(-(-(end - start) // batch_size))
    wanted = [stored.limits(split, number) for number in numbers]
    for inputs, labels in batches.as_numpy_iterator():
        for low, high in wanted:
            low, high = max(low - start, 0), min(high - start, len(labels))
            if low < high:
                rows = slice(low, high)
                yield (
                    keras.tree.map_structure(lambda x, r=rows: x[r], inputs),
                    high - low,
                )
        start += len(labels)
