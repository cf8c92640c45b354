"""Image files: every one is checked once, so that a bad one is found early."""

import concurrent.futures
import dataclasses
import hashlib
import io
import os
import pathlib
import time

import keras

from keras_fgvc.data.sources.remembered import Found, Remembered
from keras_fgvc.data.sources.source import add_files, add_json, decoded
from keras_fgvc.decoding.headers import kind_of, orientation, read_size
from keras_fgvc.decoding.images import check, why_refused
from keras_fgvc.decoding.inspection import KINDS

VERIFY = ("full", "headers", "never")
BROKEN = "broken image"
PROGRESS_AFTER = 3.0  # seconds
PROGRESS_INTERVAL = 1.0  # seconds: a log file keeps each update
# Opening more files takes longer than a graph for all formats.
MAX_OPENED = 20_000
SAVE_INTERVAL = 30.0  # seconds: a process that is killed loses little


@dataclasses.dataclass(frozen=True)
class FileSource:
    """Images in files of their own; an `ImageSource`.

    Args:
        paths: Tuple of file names.
    """

    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices) -> "FileSource":
        return FileSource(tuple(self.paths[i] for i in indices))

    def reader(self):
        import tensorflow as tf

        # As the disk has them: a name need not be UTF-8.
        paths = tf.constant([os.fsencode(path) for path in self.paths])
        return decoded(
            lambda index: tf.io.read_file(tf.gather(paths, index)),
            _kinds(self.paths),
        )

    def identity(self) -> str:
        """Covers names below the folder that all files have in common."""
        digest = hashlib.sha256()
        folders = [os.path.dirname(path) for path in self.paths]
        root = os.path.commonpath(folders) if folders else ""
        for path in self.paths:
            name = pathlib.PurePath(os.path.relpath(path, root)).as_posix()
            add_json(digest, [name, os.path.getsize(path)])
        return f"files {digest.hexdigest()}"

    def add_facts(self, digest) -> None:
        add_files(digest, self.paths)


def _kinds(paths) -> tuple[str, ...]:
    """Returns the formats that occur; all where that is not known."""
    if len(paths) > MAX_OPENED:
        return KINDS
    try:
        found = {kind_of(path) for path in paths}
    except OSError:  # Reading the image says more.
        return KINDS
    return KINDS if None in found else tuple(k for k in KINDS if k in found)


def check_images(paths, verify: str, log) -> list[tuple[int, int] | None]:
    """Reads all images in parallel; what is wrong goes to `log`.

    What a full check found is remembered: a file is decoded again only after
    its size or modification time has changed.

    Args:
        paths: List of file names.
        verify: "full" decodes each image. With "headers" and "never" only the
            size of an image is read, if no full check has found it before.
        log: `ProblemLog`.

    Returns:
        For each path the (height, width) of the upright image, or None
        where it cannot be used.
    """
    memory = Remembered(paths)
    facts = [_attempt(os.stat, path) for path in paths]
    found = [_known(*pair, memory) for pair in zip(paths, facts, strict=True)]
    missing = [n for n, known in enumerate(found) if known is None]
    check = _decode if verify == "full" else _read_header
    try:
        results = _check([paths[n] for n in missing], check, memory)
        for number, result in zip(missing, results, strict=True):
            found[number] = result
            if result.digest is not None:
                memory.add(paths[number], facts[number], result)
    finally:
        memory.save()
    for path, result in zip(paths, found, strict=True):
        if result.kind is not None:
            log.add(path, result.kind, result.reason)
    return [result.size for result in found]


def _check(paths, check, memory):
    """Yields what is found; shows its progress and saves it now and then."""
    started, saved, bar = time.monotonic(), time.monotonic(), None
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        results = pool.map(lambda path: _attempt(check, path), paths)
        for done, result in enumerate(results, start=1):
            yield result
            now = time.monotonic()
            if bar is None and now - started > PROGRESS_AFTER:
                print(f"Checking {len(paths)} images")
                bar = keras.utils.Progbar(
                    len(paths), unit_name="image", interval=PROGRESS_INTERVAL
                )
            if bar is not None:
                bar.update(done)
            if now - saved > SAVE_INTERVAL:
                memory.save()
                saved = now
    finally:
        pool.shutdown(cancel_futures=True)


def _known(path, facts, memory):
    """Returns what is known of a file before it is opened, or None."""
    if isinstance(facts, Found):  # it could not even be looked at
        return facts
    if facts.st_size == 0:
        return Found(kind="empty file", reason="is empty (0 bytes)")
    return memory.find(path, facts)


def _attempt(check, path):
    """Returns what `check` returns, or `Found` with the problem."""
    try:
        return check(path)
    except FileNotFoundError:
        return Found(kind="missing file", reason="does not exist")
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        return Found(kind="unreadable file", reason=reason)
    except ValueError as error:
        return Found(kind=BROKEN, reason=str(error))


def _read_header(path) -> Found:
    return Found(size=read_size(path))


def _decode(path) -> Found:
    import tensorflow as tf

    with open(path, "rb") as file:
        encoded = file.read()
    digest = hashlib.sha256(encoded).hexdigest()
    try:
        with tf.device("CPU:0"):
            size = check(encoded)
    except tf.errors.InvalidArgumentError:
        # If the header is not an image's either, that says more.
        problem = why_refused(encoded) or _attempt(_read_header, path).reason
        reason = problem or "is cut short or corrupt and cannot be decoded"
        return Found(digest=digest, kind=BROKEN, reason=reason)
    return Found(size, orientation(io.BytesIO(encoded)), digest)
