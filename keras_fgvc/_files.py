"""Files that are written whole, and read with one kind of message."""

import contextlib
import functools
import json
import math
import os
import secrets
import shutil
import zlib

# What a file is missing for or closed to, which the system says well enough.
PLAIN_ERRORS = (FileNotFoundError, PermissionError)
# Left free on the disk: a share of what is written, and never less than this.
HEADROOM, LEAST_HEADROOM = 0.05, 100_000_000
MAX_REASON = 200  # characters of another library's message


class DamagedFileError(ValueError):
    """A file is torn, empty, altered or of another kind than its name says."""


def move_into_place(path, write) -> None:
    """Lets `write` fill a file beside `path`, then renames it to `path`.

    A half-written file looks like a whole one, and takes the place of a good
    one. Two processes that write one path have a partial file each.

    Args:
        path: `pathlib.Path`.
        write: Function of the path to write to.
    """
    # Keras and NumPy tell formats by their endings: the mark goes in front.
    mark = f"partial-{os.getpid()}-{secrets.token_hex(4)}-"
    partial = path.with_name(mark + path.name)
    try:
        write(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def reading(path, remedy: str):
    """Context in which every failure says that the file is damaged.

    Args:
        path: The file that is read.
        remedy: What to do, as a sentence.

    Raises:
        DamagedFileError: For anything that is raised inside, except where the
            file is missing or may not be read.
    """
    try:
        yield
    except (DamagedFileError, *PLAIN_ERRORS):
        raise
    except Exception as error:  # HDF5 and zip raise whatever they stumble on
        raise damaged(path, _reason(error), remedy) from error


def damaged(path, reason: str, remedy: str) -> DamagedFileError:
    """Returns the error that names a file, what is wrong and what to do."""
    return DamagedFileError(f"{path} is damaged: {reason}. {remedy}")


def _reason(error):
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 text (byte {error.start})"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON ({error.msg} at line {error.lineno})"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:MAX_REASON]}".rstrip(": .")


def read_json(path, kinds, remedy: str):
    """Reads a JSON file whose layout is known.

    Args:
        path: `pathlib.Path`.
        kinds: Type of the whole, or a dict from each key that an object must
            have to its type. A tuple that holds `None` is a key that may be
            missing.
        remedy: What to do if the file is damaged, as a sentence.

    Raises:
        DamagedFileError: If it is no JSON, or of another layout.
        FileNotFoundError: If there is no such file.
    """
    with reading(path, remedy):
        found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(kinds, dict):
        return _checked(path, "it", found, kinds, remedy)
    _checked(path, "it", found, dict, remedy)
    for key, kind in kinds.items():
        is_optional = isinstance(kind, tuple) and None in kind
        if key not in found:
            if not is_optional:
                raise damaged(path, f"it has no {key!r}", remedy)
            continue
        if is_optional:
            kind = tuple(type(None) if k is None else k for k in kind)
        _checked(path, repr(key), found[key], kind, remedy)
    return found


def _checked(path, name, value, kind, remedy):
    # JSON's `true` is an `int` for Python.
    is_flag = isinstance(value, bool) and kind is not bool
    if is_flag or not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join(k.__name__ for k in kinds)
        reason = f"{name} is of type {type(value).__name__}, not {names}"
        raise damaged(path, reason, remedy)
    return value


def write_json(path, value, *, nan_as_null: bool = False) -> None:
    """Writes a JSON file, whole or not at all.

    Raises:
        ValueError: If a number is not finite, which JSON cannot hold, and
            `nan_as_null` is false.
    """
    text = to_json(value, nan_as_null=nan_as_null, indent=1) + "\n"
    move_into_place(path, lambda p: p.write_text(text, encoding="utf-8"))


def to_json(value, *, nan_as_null: bool = False, **options) -> str:
    """Returns JSON text that every reader takes.

    JSON has no NaN and no infinity: Python writes them all the same, and
    other readers then refuse the whole file.

    Args:
        value: What `json.dumps` takes.
        nan_as_null: Whether numbers that are not finite are written as null.
            Defaults to `False`: they are refused.
        **options: Of `json.dumps`.

    Raises:
        ValueError: If a number is not finite and `nan_as_null` is false.
    """
    if nan_as_null:
        value = without_nan(value)
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError as error:
        raise ValueError(
            "JSON holds finite numbers alone. Received: NaN or infinity. Give "
            "finite numbers."
        ) from error


def without_nan(value):
    """Returns nested dicts and lists with None for each NaN and infinity.

    Args:
        value: What `json.dumps` takes.
    """
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(entry) for entry in value]
    is_number = isinstance(value, float)
    return None if is_number and not math.isfinite(value) else value


def check_room(folder, needed: int, freed: int, remedy: str) -> None:
    """Raises if a disk has no room for arrays, and some to spare.

    Args:
        folder: `pathlib.Path`, which need not exist.
        needed: Bytes to write.
        freed: Bytes that are deleted before.
        remedy: What to do, as the end of the message.
    """
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free + freed
    spare = max(LEAST_HEADROOM, HEADROOM * needed)
    if free < needed + spare:
        raise OSError(
            f"{folder} needs {size_text(needed)} for arrays and "
            f"{size_text(spare)} to spare, and has {size_text(free)} free. "
            f"{remedy}"
        )


def size_text(num_bytes: float) -> str:
    """A number of bytes to read: 25.1 GB."""
    for unit in ("bytes", "kB", "MB"):
        if num_bytes < 1000:
            return f"{round(num_bytes, 1):g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} GB"


@functools.lru_cache
def count_unchanged(path, changed: int, sums) -> int | None:
    """Returns the rows before the first block that is not as it was written.

    Args:
        path: Of a .npy file with rows.
        changed: When it was last written. Until then it is read once.
        sums: Pairs of the end of a block of rows and its check sum (CRC-32).

    Returns:
        A number of rows; `None` if all blocks are as they were written.
    """
    import numpy as np

    rows, start = np.load(path, mmap_mode="r"), 0
    for end, expected in sums:
        if zlib.crc32(rows[start:end]) != expected:
            print(
                f"{path}: rows from {start} on are not as they were written, "
                "and are computed again."
            )
            return start
        start = end
    return None
