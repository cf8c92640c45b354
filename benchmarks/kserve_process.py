"""A KServe server of one SavedModel, as a process with its own Python."""

import contextlib
import os
import pathlib
import subprocess
import tempfile
import time

SCRIPT = pathlib.Path(__file__).with_name("kserve_server.py")
# Names a Python with kserve and tensorflow-cpu; `make test-serving` makes one.
VARIABLE = "KERAS_FGVC_KSERVE"
SECONDS_TO_START = 300


@contextlib.contextmanager
def serving(saved_model, name):
    """Starts the server; yields its URL; stops it."""
    command = [os.environ[VARIABLE], SCRIPT, "--model", saved_model]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "log.txt"
        with path.open("w") as log:
            process = subprocess.Popen(
                [*command, "--name", name],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            )
        try:
            yield _url(process, path)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _url(process, log):
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("ready http"):
                return line.split()[1]
        time.sleep(0.2)
    raise RuntimeError(f"KServe did not start:\n{log.read_text()[-3000:]}")
