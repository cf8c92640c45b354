"""Folders that take long to make, made once for all of pytest's workers."""

import fcntl
import os


def once(tmp_path_factory, name, make):
    """Returns a folder that `make` has filled in one worker; others wait.

    Args:
        tmp_path_factory: pytest's fixture.
        name: Name of the folder, another one for each use.
        make: Function of the folder's path, which is empty.
    """
    root = tmp_path_factory.getbasetemp()
    if run := os.environ.get("PYTEST_XDIST_TESTRUNUID"):
        root = root.parent / run  # beside the workers' own
        root.mkdir(exist_ok=True)
    folder, done = root / name, root / f"{name}.done"
    with open(root / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir(parents=True, exist_ok=True)
            make(folder)
            done.touch()
    return folder
