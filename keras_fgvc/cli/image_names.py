"""Image paths of a command line, some of them from standard input."""

import sys


def read_names(names) -> list[str]:
    """Returns the names, with "-" replaced by the lines of standard input."""
    found = []
    for name in names:
        if name == "-":
            lines = (line.rstrip("\r\n") for line in sys.stdin)
            found += [line for line in lines if line not in ("", "-")]
        else:
            found.append(name)
    return found
