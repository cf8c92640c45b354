"""Image files: every one is checked once, so that a bad one is found early."""

import concurrent.futures
import dataclasses
import hashlib
import io
import os
import pathlib
import stat
import time

import keras

from keras_fgvc.data.sources.remembered import Found, Remembered
from keras_fgvc.data.sources.report import ending
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
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".pjpeg", ".pjp"),
    *(".png", ".apng", ".gif", ".bmp", ".dib", ".webp"),
)
HIDDEN = (".", "__")  # what the names of folders of other programs begin with


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


def not_a_file(path) -> str | None:
    """Returns why a path is no file to read, or None. Opens nothing.

    Opening a FIFO waits until somebody writes, and a device may never end.
    What does not exist is not told here.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError:
        return "holds a NUL character, as no file name can"
    except OSError:
        return None
    return None if stat.S_ISREG(mode) else _no_file(mode)


def _no_file(mode) -> str:
    kinds = {
        "a folder": stat.S_ISDIR,
        "a pipe (FIFO)": stat.S_ISFIFO,
        "a socket": stat.S_ISSOCK,
        "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
    }
    found = [kind for kind, is_kind in kinds.items() if is_kind(mode)]
    return f"cannot be read: it is {found[0] if found else 'no file'}"


def check_images(paths, verify: str, log) -> list[Found]:
    """Reads all images in parallel; what is wrong goes to `log`.

    What a full check found is remembered: a file is decoded again only after
    its size or modification time has changed.

    Args:
        paths: List of file names.
        verify: "full" decodes each image. With "headers" and "never" only the
            size of an image is read, if no full check has found it before.
        log: `ProblemLog`.

    Returns:
        For each path what was found; its `size` is None where the image
        cannot be used.
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
    return found


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
    if not stat.S_ISREG(facts.st_mode):
        return Found(kind="unreadable file", reason=_no_file(facts.st_mode))
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
        reason = not_a_file(path) or str(error)
        return Found(kind=BROKEN, reason=reason)


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


def is_image_name(path: str) -> bool:
    """Tells by the ending whether a file is read; by its start without one."""
    if path.lower().endswith(SUFFIXES):
        return True
    if ending(path) or not os.path.isfile(path):
        return False
    try:
        return kind_of(path) is not None
    except OSError:
        return False


def visible_files(folder, hidden=None):
    """Paths of all files in a folder and those in it, none of them hidden.

    Args:
        folder: Where to look.
        hidden: List to which the hidden folders are added, or None.
    """
    for parent, folders, names in os.walk(folder):
        if hidden is not None:
            found = [f for f in sorted(folders) if f.startswith(HIDDEN)]
            hidden += [os.path.join(parent, name) for name in found]
        # In place: os.walk goes on into what is left.
        folders[:] = sorted(f for f in folders if not f.startswith(HIDDEN))
        for name in sorted(n for n in names if not n.startswith(".")):
            yield os.path.join(parent, name)
