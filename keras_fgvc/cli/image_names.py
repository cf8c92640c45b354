"""Image paths of a command line, some of them from standard input."""

import os
import sys


def read_names(names) -> list[str]:
    """Returns the names, with "-" replaced by the lines of standard input."""
    found = []
    for name in names:
        if name == "-":
            lines = (line.rstrip("\r\n") for line in _input())
            found += [line for line in lines if line not in ("", "-")]
        else:
            found.append(name)
    return found


def _input():
    """Yields lines of standard input; names of files need not be UTF-8."""
    stream = getattr(sys.stdin, "buffer", sys.stdin)
    return map(os.fsdecode, stream)
