"""What goes to standard error, and the error of a wrong command line."""

import sys


class UsageError(ValueError):
    """The command line asks for what there is not; exit code 2."""


def complain(text: str) -> None:
    """Writes one message to standard error."""
    print(f"keras-fgvc: {text}", file=sys.stderr, flush=True)
