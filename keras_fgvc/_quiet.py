"""Drops what TensorFlow writes while its libraries load."""

import contextlib
import os
import subprocess
import sys

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# Set to 1 by the commands and for `make demo`. A program that imports the
# package keeps its standard error as it is.
QUIET = "KERAS_FGVC_QUIET"
# What is written whatever that level is: information (I0000), a line about
# the log itself, and a second line of one about the processor. Warnings and
# errors have other letters.
NOISE = "I0000 |WARNING: All log messages before absl::|To enable the following"
STDERR = 2


@contextlib.contextmanager
def less_noise():
    """Drops lines of `NOISE` from standard error; all others pass.

    The libraries write to the file descriptor, past `sys.stderr`, so another
    process filters it: what TensorFlow says before it aborts is not lost with
    this one. Nothing is dropped unless `KERAS_FGVC_QUIET=1` asks for it, where
    TensorFlow is loaded already, and where there is no `sed`.
    """
    if "tensorflow" in sys.modules or os.environ.get(QUIET) != "1":
        yield
        return
    try:
        stderr = os.dup(STDERR)
    except OSError:  # a process without standard error
        yield
        return
    sieve = _start_sieve(stderr)
    try:
        if sieve is not None:
            _flush()
            os.dup2(sieve.stdin.fileno(), STDERR)
        yield
    finally:
        _flush()
        os.dup2(stderr, STDERR)
        os.close(stderr)
        if sieve is not None:
            _stop(sieve)


def set_level(debug: bool) -> None:
    """Sets TensorFlow's log level for a command, before it is imported.

    A command reports each failure in words of its own, from an exception.

    Args:
        debug: Whether all that TensorFlow writes is to be shown.
    """
    if debug:
        os.environ[LEVEL] = "0"
        os.environ[QUIET] = "0"
    else:
        os.environ.setdefault(LEVEL, "3")
        os.environ.setdefault(QUIET, "1")


def set_level_of_module() -> None:
    """The same for `python -m keras_fgvc`, which imports the package first."""
    words = getattr(sys, "argv", [])
    if words[:1] == ["-m"]:  # until the package's `__main__` runs
        set_level("--debug" in words)


def _start_sieve(stderr):
    try:
        return subprocess.Popen(
            ["sed", "-E", f"/^({NOISE})/d"],
            stdin=subprocess.PIPE,
            stdout=stderr,
            env={**os.environ, "LC_ALL": "C"},  # bytes, not characters
        )
    except OSError:
        return None


def _stop(sieve):
    sieve.stdin.close()
    # A process that was started meanwhile may hold the other end.
    with contextlib.suppress(subprocess.TimeoutExpired):
        sieve.wait(timeout=1)


def _flush():
    if sys.stderr is not None:
        sys.stderr.flush()
