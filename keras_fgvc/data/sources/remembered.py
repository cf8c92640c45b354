"""Keeps what a full check found in image files for the next opening.

There is one JSON file per folder of images, in a cache folder of the user: a
data folder may be read-only, and a data set is opened before there is a work
directory, and by several. An entry counts as long as size and modification
time of its image are the same. The cache may be deleted at any time.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import tempfile

CACHE_VARIABLE = "KERAS_FGVC_CACHE"  # environment variable
CACHE_FOLDER = "~/.cache/keras_fgvc"
# `format` is counted up when these files change, `check` when a check looks at
# more or decides differently. Files with another key are made anew.
KEY = {"format": 1, "check": 1}


@dataclasses.dataclass(frozen=True)
class Found:
    """Findings of a check in one image file.

    Args:
        size: (height, width) of the upright image, or None if it is unusable.
        orientation: EXIF orientation, 1 to 8; None if not looked at.
        digest: Hash of the content; None if not looked at.
        kind: Kind of the problem, or None.
        reason: What is wrong, or None.
    """

    size: tuple[int, int] | None = None
    orientation: int | None = None
    digest: str | None = None
    kind: str | None = None
    reason: str | None = None


class Remembered:
    """Results of full checks of the images below one folder.

    Args:
        paths: Image files. The folder that all of them lie in names the file
            of the cache.
    """

    def __init__(self, paths):
        folders = {os.path.dirname(os.path.abspath(path)) for path in paths}
        self.root = os.path.commonpath(folders) if folders else os.sep
        self._known, self._new = self._read(), {}

    def find(self, path, facts: os.stat_result) -> Found | None:
        """Returns what was found in a file, None if unknown or changed."""
        entry = self._known.get(self._name(path))
        if entry is None or entry[:2] != _stamp(facts):
            return None
        return Found(entry[2] and tuple(entry[2]), *entry[3:])

    def add(self, path, facts: os.stat_result, found: Found) -> None:
        """Adds what was found; `facts` are from before the file was read."""
        entry = [*_stamp(facts), *dataclasses.astuple(found)]
        self._new[self._name(path)] = entry

    def save(self) -> None:
        """Writes what was added, beside what others wrote meanwhile.

        If the folder cannot be written, says so once and goes on.
        """
        if not self._new:
            return
        try:
            files = {
                name: entry
                for name, entry in self._read().items()
                if os.path.exists(os.path.join(self.root, name))
            }
            content = {"key": KEY, "files": files | self._new}
            _replace(_cache_file(self.root), json.dumps(content))
        except (OSError, RuntimeError) as error:  # RuntimeError: no home
            _say_once(str(error))

    def _name(self, path) -> str:
        return os.path.relpath(path, self.root)

    def _read(self) -> dict:
        """Returns the sound entries; none if the file is not ours."""
        try:
            text = _cache_file(self.root).read_text(encoding="utf-8")
            content = json.loads(text)
            if content["key"] != KEY:
                return {}
            entries = content["files"].items()
        except (OSError, RuntimeError, ValueError, TypeError):
            return {}
        except (KeyError, AttributeError):  # JSON of another program
            return {}
        return {name: entry for name, entry in entries if _is_sound(entry)}


def _cache_file(root) -> pathlib.Path:
    folder = os.environ.get(CACHE_VARIABLE) or CACHE_FOLDER
    digest = hashlib.sha256(root.encode(errors="surrogateescape")).hexdigest()
    name = f"{os.path.basename(root)[:40]}-{digest[:16]}.json"
    return pathlib.Path(folder).expanduser() / "verified" / name


def _stamp(facts) -> list[int]:
    return [facts.st_size, facts.st_mtime_ns]


def _is_sound(entry) -> bool:
    """Tells whether an entry is either a size or a reason."""
    if not isinstance(entry, list) or len(entry) != 7:
        return False
    size, reason = entry[2], entry[-1]
    if size is None:
        return isinstance(reason, str)
    return (
        isinstance(size, list)
        and [type(side) for side in size] == [int, int]
        and reason is None
    )


def _replace(path, text) -> None:
    """Writes a file of its own first: several processes may write at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(".partial", "verified-", path.parent)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


@functools.cache
def _say_once(problem) -> None:
    print(
        f"What is found in images cannot be kept ({problem}), so each opening "
        f"checks them anew. Name a folder in {CACHE_VARIABLE}, or pass "
        'verify="headers" (--verify headers).'
    )
