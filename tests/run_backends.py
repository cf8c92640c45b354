"""Runs the tests on each Keras backend named; one summary line for each.

    python tests/run_backends.py tensorflow jax torch

TensorFlow runs everything. The others run what must work on every backend:
the mathematics, layers, losses, models, backbones, metrics, strategies.
"""

import os
import pathlib
import subprocess
import sys

TESTS = pathlib.Path(__file__).parent
EVERYWHERE = (
    "ops",
    "layers",
    "losses",
    "models",
    "backbones",
    "test_metrics.py",
    "training/test_strategies.py",
)
# A file's tests share a worker, what it has trained and what it has compiled.
WORKERS = ("-n", "2", "--dist=loadfile", "--no-loadscope-reorder")
# Two workers have two cores: more threads of PyTorch wait for one another.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def run(backend):
    """Runs one backend's tests; returns the exit code and the last line."""
    chosen = [TESTS]
    if backend != "tensorflow":
        chosen = [TESTS / name for name in EVERYWHERE]
    command = [sys.executable, "-m", "pytest", *WORKERS, *map(str, chosen)]
    print(f"==== {backend} ====", flush=True)
    process = subprocess.Popen(
        command,
        cwd=TESTS.parent,
        env={**ONE_THREAD, **os.environ, "KERAS_BACKEND": backend},
        stdout=subprocess.PIPE,
        text=True,
    )
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
    return process.wait(), last


def main():
    backends = sys.argv[1:] or ["tensorflow"]
    results = {backend: run(backend) for backend in backends}
    print("==== summary ====")
    for backend, (_, last) in results.items():
        print(f"{backend}: {last}")
    sys.exit(max(code for code, _ in results.values()))


if __name__ == "__main__":
    main()
