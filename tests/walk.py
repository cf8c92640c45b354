"""Follows a tiny training down to its loss, as a reader of the code would.

    python -m tests.walk FOLDER WORKDIR

FOLDER holds class folders of images. Prints, as JSON, the files of the package
that `keras-fgvc train --method elope` runs until a loss is computed, in the
order of their first call, and the folder of each function at its first call.
"""

import itertools
import json
import os
import pathlib
import sys
import threading

ROOT = pathlib.Path(__file__).parent.parent / "keras_fgvc"


class ReachedError(BaseException):
    """Ends the training; no `except Exception` takes it."""


class Watch:
    """Keeps the file of each function of the package at its first call."""

    def __init__(self):
        self.seen, self.files = set(), []

    def __call__(self, frame, event, argument):
        code = frame.f_code
        if event != "call" or code in self.seen:
            return
        self.seen.add(code)
        path = pathlib.Path(code.co_filename)
        # Importing a module runs it too, and its classes.
        is_import = code.co_name == "<module>" or "__module__" in code.co_names
        if path.is_relative_to(ROOT) and not is_import:
            self.files.append(path.relative_to(ROOT).as_posix())
            if code.co_name == "loss_terms":
                raise ReachedError


def follow(folder, workdir) -> list[str]:
    """Returns the file of each function, in the order of first calls."""
    from keras_fgvc.cli.command import main

    watch = Watch()
    words = f"train --method elope --data {folder} --workdir {workdir} "
    words += "--backbone mobilenet_v2 --weights none --image-size 64 "
    words += "--batch-size 4 --epochs 1 --quiet"
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        main(words.split())
    except ReachedError:
        return watch.files
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    raise RuntimeError("The training ended without computing a loss.")


def main():
    files = follow(*sys.argv[1:])
    folders = [os.path.dirname(file) for file in files]
    pairs = itertools.pairwise(folders)
    result = {
        "files": list(dict.fromkeys(files)),
        "changes": sum(before != after for before, after in pairs),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
