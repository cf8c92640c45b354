"""The console command `keras-fgvc`, which reads its arguments first.

Importing the package imports Keras and TensorFlow, which takes seconds. So
`--help`, `--version` and a wrong command line are answered here by the
package's own parser, run from its file without importing the package.
"""

import contextlib
import os
import pathlib
import re
import runpy
import sys
import tempfile
from importlib.util import find_spec

# What TensorFlow's libraries write while they load, whatever its log level:
# information (I0000) and a line about the log itself. Warnings and errors
# have other letters.
NOISE = re.compile(rb"I0000 |WARNING: All log messages before absl::")


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = pathlib.Path(find_spec("keras_fgvc").origin).parent / "cli"
    options = runpy.run_path(str(parser / "parser.py"))["parse"]()
    if not options.debug:  # or TensorFlow's own log, before it is imported
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.nullcontext() if options.debug else less_noise():
        from keras_fgvc.cli import run
    return run(options)


@contextlib.contextmanager
def less_noise():
    """Drops lines of `NOISE` from standard error, and writes the others late.

    The libraries write to the file descriptor, past `sys.stderr`.
    """
    sys.stderr.flush()
    descriptor = 2
    stderr = os.dup(descriptor)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), descriptor)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, descriptor)
            os.close(stderr)
            written.seek(0)
            for line in written:
                if not NOISE.match(line):
                    os.write(descriptor, line)


if __name__ == "__main__":
    sys.exit(main())
