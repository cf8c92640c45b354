"""Steps of models that are not compiled.

Compiling takes seconds where the steps of a test take milliseconds.

    python -m tests.eager benchmarks/daf_views.py --workdir=...

runs a script so.
"""

import pathlib
import runpy
import sys
from unittest import mock

import keras

_ALWAYS = property(lambda model: True, lambda model, value: None)


def eager_steps():
    """Context in which `fit`, `evaluate` and `predict` run eagerly."""
    return mock.patch.object(keras.Model, "run_eagerly", _ALWAYS)


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(pathlib.Path(sys.argv[0]).parent))
    with eager_steps():
        runpy.run_path(sys.argv[0], run_name="__main__")
