"""Lets one process at a time train in a work directory."""

import contextlib
import datetime
import json
import os
import pathlib
import signal
import socket
import threading
import time

from keras_fgvc._files import read_json

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FILE = "training.lock"
SECONDS_TO_WRITE = 1.0  # that another process may need to write its name
_held = {}  # path of a lock -> its `_Lock`


@contextlib.contextmanager
def held(workdir, is_needed: bool = True):
    """Context in which no other process may train in a folder.

    The thread that has the lock may enter again. The lock ends with the
    context, by an error too, and with the process on SIGTERM. A process that
    was killed leaves a file behind, which the next one takes over.

    Args:
        workdir: The folder; made if it is missing, and removed again if it
            stays empty.
        is_needed: Whether to take the lock at all. Of several processes that
            train together the chief takes it. Defaults to `True`.

    Raises:
        ValueError: If another process or thread trains there, or a process on
            another host left a lock.
    """
    workdir = pathlib.Path(workdir)
    path = workdir.resolve() / FILE
    owner = (os.getpid(), threading.get_ident())
    if not is_needed or (path in _held and _held[path].owner == owner):
        yield
        return
    is_new = not workdir.exists()
    workdir.mkdir(parents=True, exist_ok=True)
    lock = _Lock(path, owner)
    _held[path] = lock
    try:
        with _released_on_sigterm():
            yield
    finally:
        del _held[path]
        lock.release()
        if is_new:
            with contextlib.suppress(OSError):  # it is not empty
                workdir.rmdir()


class _Lock:
    """A file that names its process, which the system locks as well.

    The system's lock ends with its process, however that ends, and of two
    processes one alone gets it. Where the system has none, such as on some
    network folders, the process's number decides.
    """

    def __init__(self, path, owner):
        self.path = path
        self.owner = owner
        self._file = self._open()
        self._file.truncate(0)
        self._file.seek(0)
        self._file.write(json.dumps(_me()) + "\n")
        self._file.flush()

    def release(self):
        """Removes the file; only the process that made it does."""
        if self.owner[0] == os.getpid() and self._file is not None:
            self.path.unlink(missing_ok=True)  # first: nobody else gets it
            self._file.close()
            self._file = None

    def _open(self):
        while True:
            is_new = not self.path.exists()
            mode = "x+" if is_new else "r+"
            try:
                # It stays open for as long as the lock is held.
                file = open(self.path, mode, encoding="utf-8")  # noqa: SIM115
            except (FileExistsError, FileNotFoundError):
                continue  # another process made or removed it just now
            try:
                if self._is_ours(file, is_new):
                    return file
            except BaseException:
                file.close()
                raise
            file.close()

    def _is_ours(self, file, is_new):
        """Tells whether the file was got; raises if it is another's."""
        is_locked = _lock_by_system(file)
        if is_locked is False:
            raise ValueError(self._refusal(_read(self.path, SECONDS_TO_WRITE)))
        if is_locked and not _is_still_at(file, self.path):
            return False  # its owner removed it just now
        if is_new:
            return True
        found = _read(self.path, 0 if is_locked else SECONDS_TO_WRITE)
        is_unknown = not is_locked and _is_alive(found.get("process"))
        if _is_elsewhere(found) or is_unknown:
            raise ValueError(self._refusal(found))
        if found:  # else a process that was killed before it wrote
            print(
                f"{self.path.parent}: {_words(found)} has ended without "
                "removing its lock, which is taken over."
            )
        return True

    def _refusal(self, found):
        text = (
            f"{self.path.parent} is in use: {_words(found)} trains there. "
            "Wait until it has ended, or give another folder (--workdir)."
        )
        if fcntl is None or _is_elsewhere(found):
            text += (
                " It cannot be seen from here whether that process still "
                f"runs: if it does not, remove {self.path}."
            )
        return text


def _me():
    now = datetime.datetime.now().astimezone()
    return {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": now.isoformat(timespec="seconds"),
    }


def _words(found):
    number, host, since = map(found.get, ("process", "host", "since"))
    if number is None:
        return "a process"
    return f"process {number} on {host} (since {since})"


def _is_elsewhere(found):
    return found.get("host", _me()["host"]) != _me()["host"]


def _read(path, seconds):
    """Returns what a lock says; empty if nobody writes it in some seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            return read_json(path, dict, "Remove it.")
        except (OSError, ValueError):
            if time.monotonic() >= end:
                return {}
            time.sleep(0.02)


def _lock_by_system(file):
    """Returns whether the system locked a file; None if it cannot."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the file system has no locks
        return None
    return True


def _is_still_at(file, path):
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _is_alive(process):
    # Unknown: do not take its place. On Windows `kill` would end it.
    if not isinstance(process, int) or os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


@contextlib.contextmanager
def _released_on_sigterm():
    """Releases locks when the process is asked to end, unless others listen."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _release_and_end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _release_and_end(number, _):
    for lock in list(_held.values()):
        lock.release()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
