"""Starts two trainings at once in one folder, several times, and counts.

python -m tests.training.double_starts COUNT FOLDER
"""

import collections
import pathlib
import subprocess
import sys

from keras_fgvc import training
from tests.training import run_tiny

ROOT = pathlib.Path(__file__).parent.parent.parent


def double_start(workdir):
    """Returns what became of both processes, and whether the run is whole."""
    command = [sys.executable, "-m", "tests.training.run_tiny", str(workdir)]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    found = collections.Counter()
    for process in processes:
        _, errors = process.communicate()
        if process.returncode == 0:
            found["trained"] += 1
        elif "is in use: process" in errors:
            found["refused"] += 1
        else:
            found["died"] += 1
            print(errors)
    run = training.open_run(workdir)
    epochs = {stage.name: stage.epochs for stage in run_tiny.recipe().stages}
    logged = {n.partition("-")[2]: len(rows) for n, rows in run.logs().items()}
    found["whole"] += logged == epochs and bool(run.load_model())
    found["left"] += len(list(workdir.glob("**/partial-*")))
    found["left"] += (workdir / "training.lock").exists()
    return found


if __name__ == "__main__":
    total = collections.Counter()
    for number in range(int(sys.argv[1])):
        total += double_start(pathlib.Path(sys.argv[2]) / str(number))
        print(dict(total), flush=True)
