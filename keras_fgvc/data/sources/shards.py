"""Arrays in files of some hundred rows each, every file whole or absent.

A folder holds `cache.json`, which says what the rows are, and the shards,
`shard-SPLIT-NUMBER.npy`. The first is written before the second, and shards
of another `cache.json` are deleted before it is replaced: a shard of the
right shape beside the right `cache.json` holds the right rows.
"""

import dataclasses
import json
import pathlib
import re
import shutil

import numpy as np

from keras_fgvc._files import move_into_place

FORMAT = 1  # Counted up when older files can no longer be read.
SHARD_SIZE = 256  # Rows; memory holds one shard at a time.
MANIFEST = "cache.json"
OWN_NAME = re.compile(r"(partial-)?shard-.+-\d{5,}\.npy")
# Left free on the disk: a share of what is written, and never less than this.
HEADROOM, LEAST_HEADROOM = 0.05, 100_000_000


@dataclasses.dataclass(frozen=True)
class Shards:
    """The rows of some splits, in files of one folder.

    Args:
        folder: Where the files are.
        split_sizes: Dictionary from the name of a split to its rows.
        shape: Shape of one row.
        dtype: Type of the stored numbers.
        shard_size: Rows of a shard; the last of a split may have fewer.
    """

    folder: pathlib.Path
    split_sizes: dict[str, int]
    shape: tuple[int, ...]
    dtype: str
    shard_size: int

    @property
    def row_bytes(self) -> int:
        return (
            int(np.prod(self.shape, dtype=int)) * np.dtype(self.dtype).itemsize
        )

    def path(self, split: str, number: int) -> pathlib.Path:
        return self.folder / f"shard-{split}-{number:05d}.npy"

    def numbers(self, split: str) -> range:
        """The numbers of all shards of a split."""
        return range(-(-self.split_sizes[split] // self.shard_size))

    def limits(self, split: str, number: int) -> tuple[int, int]:
        """The first row of a shard and the one behind its last."""
        start = number * self.shard_size
        return start, min(start + self.shard_size, self.split_sizes[split])

    def count(self, split: str, numbers) -> int:
        """The rows of some shards."""
        limits = [self.limits(split, number) for number in numbers]
        return sum(stop - start for start, stop in limits)

    def count_all(self, numbers: dict) -> int:
        """The rows of some shards of each split."""
        return sum(self.count(split, numbers[split]) for split in numbers)

    def missing(self, split: str) -> list[int]:
        """The numbers of the shards that are not whole."""
        return [n for n in self.numbers(split) if not self.is_whole(split, n)]

    def is_whole(self, split: str, number: int) -> bool:
        """Whether a shard is there with the right shape and type."""
        try:
            found = np.load(self.path(split, number), mmap_mode="r")
        except (OSError, EOFError, ValueError):  # absent, empty, cut short
            return False
        expected = (self.count(split, [number]), *self.shape)
        return found.shape == expected and found.dtype == self.dtype

    def write(self, split: str, number: int, rows) -> None:
        """Writes one shard beside its place, then renames it."""
        move_into_place(
            self.path(split, number), lambda partial: np.save(partial, rows)
        )

    def read(self, split: str, indices) -> np.ndarray:
        """The rows at `indices`, in this order, as float32."""
        rows = np.empty((len(indices), *self.shape), np.float32)
        numbers, offsets = np.divmod(indices, self.shard_size)
        # Opened for each call: a hundred thousand images would keep more
        # files open than a process may.
        for number in np.unique(numbers):
            shard = np.load(self.path(split, number), mmap_mode="r")
            is_here = numbers == number
            rows[is_here] = shard[offsets[is_here]]
        return rows


def read_manifest(folder) -> dict:
    """What cache.json says; nothing where there is none.

    Raises:
        ValueError: The file is somebody else's.
    """
    path = folder / MANIFEST
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


def start_anew(folder, manifest: dict, differing) -> None:
    """Deletes the shards of before, and only those; writes cache.json.

    Args:
        folder: Of the cache; made if it is missing.
        manifest: For cache.json.
        differing: Its fields that the cache of before has not; empty if
            there was none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    old = own_files(folder)
    if differing or old:
        reason = ", ".join(differing or [MANIFEST])
        print(
            f"{folder} holds other arrays ({reason} differ): {len(old)} files "
            "are deleted."
        )
    for path in old:
        path.unlink()
    text = json.dumps(manifest, indent=1) + "\n"
    move_into_place(
        folder / MANIFEST, lambda p: p.write_text(text, encoding="utf-8")
    )


def own_files(folder) -> list[pathlib.Path]:
    """Shards in the folder, whole or not, of whatever split."""
    if not folder.exists():
        return []
    return [p for p in folder.iterdir() if OWN_NAME.fullmatch(p.name)]


def check_space(stored: Shards, missing: dict, *, will_start_anew) -> None:
    """Raises if the disk has no room for the missing shards.

    Args:
        stored: The files.
        missing: Dictionary from a split to the numbers of shards to write.
        will_start_anew: Whether the shards that are there will be deleted.
    """
    existing = stored.folder.absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if will_start_anew:
        free += sum(path.stat().st_size for path in own_files(stored.folder))
    needed = stored.count_all(missing) * stored.row_bytes
    spare = max(LEAST_HEADROOM, HEADROOM * needed)
    if free < needed + spare:
        raise OSError(
            f"{stored.folder} needs {size_text(needed)} for arrays and "
            f"{size_text(spare)} to spare, and has {size_text(free)} free. "
            'Give a folder on a larger disk, dtype="float16", or a smaller '
            "`image_size`."
        )


def size_text(num_bytes: float) -> str:
    """A number of bytes to read: 25.1 GB."""
    for unit in ("bytes", "kB", "MB"):
        if num_bytes < 1000:
            return f"{round(num_bytes, 1):g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} GB"
