"""Arrays on disk, one memory-mapped file per split, computed row by row.

A folder holds `cache.json`, which says what the rows are and how many of each
split are done, and `rows-SPLIT.npy`. Files of another `cache.json` are deleted
before it is replaced, and rows are written before they are counted as done: a
row that counts is right. With each count goes a check sum of the rows since
the last one, so that rows which a disk has changed are computed again.
"""

import dataclasses
import functools
import json
import os
import pathlib
import zlib

import keras
import numpy as np

from keras_fgvc._files import check_room, count_unchanged, move_into_place

FORMAT = 2  # Counted up when older files can no longer be read.
KEY_FILE = "cache.json"
SUMS = "sums"  # in cache.json, of the rows that are done
NOTED_ROWS = 256  # rows after which the number of those done is written
PROGRESS_INTERVAL = 1.0  # seconds


@dataclasses.dataclass(frozen=True)
class StoredRows:
    """The rows of some splits in one folder.

    Args:
        folder: `pathlib.Path` of the files.
        split_sizes: Dictionary from the name of a split to its rows.
        shape: Shape of one row.
        dtype: Type of the stored numbers.
        key: What the rows are, for cache.json; it may have more splits done.
    """

    folder: pathlib.Path
    split_sizes: dict[str, int]
    shape: tuple[int, ...]
    dtype: str
    key: dict

    @property
    def row_bytes(self) -> int:
        numbers = int(np.prod(self.shape, dtype=int))
        return numbers * np.dtype(self.dtype).itemsize

    def path(self, split: str) -> pathlib.Path:
        return self.folder / f"rows-{split}.npy"

    def done(self, split: str) -> int:
        """Returns the number of sound rows, from the first on."""
        if not self._is_whole(split):
            return 0
        found, path = read_key(self.folder), self.path(split)
        done = found.get("done", {}).get(split, 0)
        sums = tuple(map(tuple, found.get(SUMS, {}).get(split, ())))
        sound = count_unchanged(path, os.stat(path).st_mtime_ns, sums)
        return done if sound is None else min(sound, done)

    def begin(self, split: str) -> np.memmap:
        """Opens the file of a split for writing; makes it where it is not."""
        if self._is_whole(split):
            return np.load(self.path(split), mmap_mode="r+")
        size = (self.split_sizes[split], *self.shape)
        self.note(split, 0)
        rows = np.lib.format.open_memmap(
            self.path(split), "w+", np.dtype(self.dtype), size
        )
        if hasattr(os, "posix_fallocate"):  # a full disk raises here
            with open(self.path(split), "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.stat(file.name).st_size)
        return rows

    def note(self, split: str, done: int) -> None:
        """Writes how many rows of a split are done, and their check sums."""
        found = read_key(self.folder)
        key = self.key | {name: found.get(name, {}) for name in ("done", SUMS)}
        key["done"][split] = done
        sums = [pair for pair in key[SUMS].get(split, []) if pair[0] <= done]
        start = sums[-1][0] if sums else 0
        if start < done:
            rows = np.load(self.path(split), mmap_mode="r")
            sums.append([done, zlib.crc32(rows[start:done])])
        key[SUMS][split] = sums
        _write_key(self.folder, key)

    def read(self, split: str, indices) -> np.ndarray:
        """Returns the rows at `indices`, in this order, as float32."""
        return np.asarray(self._opened[split][indices], np.float32)

    @functools.cached_property
    def _opened(self) -> dict:
        return {
            s: np.load(self.path(s), mmap_mode="r") for s in self.split_sizes
        }

    def _is_whole(self, split) -> bool:
        """Tells whether a file has the right shape and type."""
        try:
            found = np.load(self.path(split), mmap_mode="r")
        except (OSError, EOFError, ValueError):  # absent, empty, cut short
            return False
        expected = (self.split_sizes[split], *self.shape)
        return found.shape == expected and found.dtype == self.dtype


def read_key(folder) -> dict:
    """Reads cache.json; returns an empty dict where there is none.

    Raises:
        ValueError: The file is somebody else's.
    """
    path = folder / KEY_FILE
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or "format" not in found:
        raise ValueError(
            f"{path} is not what a cache of arrays has there. Give another "
            "folder, or delete the file."
        )
    return found


def _write_key(folder, key: dict) -> None:
    text = json.dumps(key, indent=1) + "\n"
    move_into_place(
        folder / KEY_FILE, lambda p: p.write_text(text, encoding="utf-8")
    )


def start_anew(folder, key: dict, differing) -> None:
    """Deletes the rows of before, and only those; writes cache.json.

    Args:
        folder: Of the cache; made if it is missing.
        key: For cache.json.
        differing: Its fields that the cache of before has not; empty if
            there was none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    old = own_files(folder)
    if differing or old:
        reason = ", ".join(differing or [KEY_FILE])
        print(
            f"{folder} holds other arrays ({reason} differ): {len(old)} files "
            "are deleted."
        )
    for path in old:
        path.unlink()
    _write_key(folder, key)


def own_files(folder) -> list[pathlib.Path]:
    """Files of rows in the folder, of whatever split and format."""
    shards = folder.glob("shard-*-[0-9]*.npy")  # of format 1
    return sorted([*folder.glob("rows-*.npy"), *shards])


def check_space(stored: StoredRows, *, will_start_anew) -> None:
    """Raises if the disk has no room for the missing rows.

    With `will_start_anew` the files that are there will be deleted.
    """
    needed, freed = sum(stored.split_sizes.values()) * stored.row_bytes, 0
    if will_start_anew:
        freed = sum(path.stat().st_size for path in own_files(stored.folder))
    else:  # the file of a split that was begun has its room already
        begun = [s for s in stored.split_sizes if stored._is_whole(s)]
        needed -= sum(stored.split_sizes[s] for s in begun) * stored.row_bytes
    check_room(
        stored.folder,
        needed,
        freed,
        'Give a folder on a larger disk, dtype="float16", or a smaller '
        "`load_size`.",
    )


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


def fill(stored: StoredRows, missing: dict, open_source, compute, first=None):
    """Computes and writes rows; those done count after an interruption.

    Args:
        stored: The files.
        missing: Dictionary from a split to its number of missing rows.
        open_source: Function from a split to its `tf.data.Dataset` of
            (inputs, labels) and their batch size.
        compute: `CheckedCompute`.
        first: What it gave for the very first batch, if it was asked then.

    Raises:
        ValueError: A split ends too early. And as `compute`.
    """
    bar = keras.utils.Progbar(
        sum(missing.values()), unit_name="image", interval=PROGRESS_INTERVAL
    )
    for split, number in missing.items():
        if not number:
            continue
        count, noted = stored.split_sizes[split], stored.done(split)
        rows = stored.begin(split)
        for start, inputs, size in _pieces(stored, split, open_source):
            done = start + size
            if start < noted:  # a batch of another size is begun anew
                stored.note(split, start)
                noted = start
            rows[start:done] = compute(inputs, size) if first is None else first
            first = None
            if done >= min(count, noted + NOTED_ROWS):
                rows.flush()
                stored.note(split, done)
                noted = done
            bar.add(done - max(start, count - number))


def _pieces(stored, split, open_source):
    """Yields first row, inputs and number of rows of each missing batch.

    Whole batches, so that each row is always computed in the same batch, also
    when resuming.
    """
    batches, batch_size = open_source(split)
    count = stored.split_sizes[split]
    skipped = stored.done(split) // batch_size
    start = skipped * batch_size
    batches = batches.skip(skipped).take(-(-(count - start) // batch_size))
    for inputs, labels in batches.as_numpy_iterator():
        size = min(len(labels), count - start)
        yield (
            start,
            keras.tree.map_structure(lambda x, n=size: x[:n], inputs),
            size,
        )
        start += size
    if start < count:
        raise ValueError(
            f"The split {split!r} must have as many images as `split_sizes` "
            f"says ({count}). Its batches end before."
        )
