"""The console command `keras-fgvc`, which reads its arguments first.

Importing the package imports Keras and TensorFlow, which takes seconds. So
`--help`, `--version` and a wrong command line are answered here by the
package's own parser, run from its file without importing the package.
"""

import os
import pathlib
import runpy
import sys
from importlib.util import find_spec


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = pathlib.Path(find_spec("keras_fgvc").origin).parent / "cli"
    options = runpy.run_path(str(parser / "parser.py"))["parse"]()
    if not options.debug:  # or TensorFlow's own log, before it is imported
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras_fgvc.cli import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
