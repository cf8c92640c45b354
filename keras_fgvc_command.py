"""The console command `keras-fgvc`, which reads its arguments first.

Importing the package imports Keras and TensorFlow, which takes seconds. So
`--help`, `--version` and a wrong command line are answered here by the
package's own parser, run from its file without importing the package.
"""

import pathlib
import runpy
import sys
from importlib.util import find_spec


def main() -> int:
    """Runs the command line; returns the exit code."""
    package = pathlib.Path(find_spec("keras_fgvc").origin).parent
    options = runpy.run_path(str(package / "cli" / "parser.py"))["parse"]()
    set_level = runpy.run_path(str(package / "_quiet.py"))["set_level"]
    set_level(options.debug)
    from keras_fgvc.cli import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
