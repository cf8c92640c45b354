"""How far a reader walks from the command line down to a loss."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests.data.image_files import write_class_folders

# Where the package is now. Forty files and as many changes are the aim.
MAX_FILES, MAX_CHANGES = 91, 175


@pytest.mark.slow
def test_the_way_to_the_loss_grows_no_longer(tmp_path):
    write_class_folders(tmp_path / "photographs", {"a": 9, "b": 9})
    process = subprocess.run(
        [
            *(sys.executable, "-m", "tests.walk"),
            *(tmp_path / "photographs", tmp_path / "run"),
        ],
        cwd=pathlib.Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    walk = json.loads(process.stdout.splitlines()[-1])
    assert walk["files"][0] == "cli/command.py"
    assert len(walk["files"]) <= MAX_FILES, walk["files"]
    assert walk["changes"] <= MAX_CHANGES
