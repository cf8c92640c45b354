"""The data package is imported without anything heavy."""

import os
import subprocess
import sys

SCRIPT = """
import sys
for name in ("tensorflow", "sklearn", "tensorflow_datasets", "PIL"):
    sys.modules[name] = None  # Importing it would raise ImportError.
import keras_fgvc.data
print(keras_fgvc.data.available())
"""


def test_it_is_imported_without_anything_heavy():
    # With its TensorFlow backend Keras would import TensorFlow itself.
    environment = os.environ | {"KERAS_BACKEND": "numpy"}
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cluttered_digits" in finished.stdout, finished.stderr
