"""Messages on standard error, and the error of a wrong command line."""

import re
import sys

from keras_fgvc.data.sources.report import printable

# Options under other names than the library's arguments.
OTHER_NAMES = {
    "name_or_path": ("data", "name"),
    "count": ("rounds",),
    "num_top": ("top",),
    "class_names": ("classes",),
}
# `name` with nothing behind it, and the name of a value that was received.
ARGUMENT = re.compile(r"`(\w+)`|(?<=Received: )(\w+)(?==)")


class UsageError(ValueError):
    """The command line asks for what there is not; exit code 2."""


def complain(text: str) -> None:
    """Writes one message to standard error."""
    shown = "\n".join(map(printable, text.split("\n")))
    print(f"keras-fgvc: {shown}", file=sys.stderr, flush=True)


def in_flags(text: str, options) -> str:
    """Names options in a message of the library, which names arguments.

    Args:
        text: Such as "`backbone` must be one of ...".
        options: Namespace of the command line.
    """

    def flag(match):
        name = match[1] or match[2]
        for known in OTHER_NAMES.get(name, (name,)):
            # Of two options for one argument, the one that was given.
            if getattr(options, known, None) not in (None, []):
                return "--" + known.replace("_", "-")
        return match[0]

    return ARGUMENT.sub(flag, text)
