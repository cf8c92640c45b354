"""Runs the tests on each Keras backend named; one summary line for each.

    python tests/run_backends.py tensorflow jax torch
    python tests/run_backends.py --quick tensorflow jax

TensorFlow runs everything. The others run what must work on every backend:
the mathematics, layers, losses, models, backbones, metrics, strategies.
With --quick, TensorFlow leaves out what is marked `slow`, and the others run
a short list that notices a broken backend.
"""

import argparse
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
# Each kind of thing once: an operation with its gradient, layers with and
# without weights, a loss, a metric, and each saved model with its outputs.
QUICK = (
    "ops/test_pooling.py",
    "ops/regions/test_boxes.py",
    "layers/test_roi_align.py",
    "layers/test_spatial_softmax_attention.py",
    "layers/test_attention_center_loss.py",
    "losses/test_soft_target.py",
    "models/test_saved_files.py",
    "test_metrics.py",
)
# A file's tests share a worker, what it has trained and what it has compiled.
WORKERS = ("-n", "2", "--dist=loadfile", "--no-loadscope-reorder")
# Two workers have two cores: more threads of PyTorch wait for one another.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def run(backend, quick):
    """Runs one backend's tests; returns the exit code and the last line."""
    process = subprocess.Popen(
        command(backend, quick),
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


def command(backend, quick):
    """Returns the command line of one backend's tests."""
    options = [] if quick else ["--slowest-files=10"]
    if backend == "tensorflow":
        chosen = [TESTS]
        options += ["-m", "not slow"] if quick else []
    else:
        chosen = [TESTS / name for name in (QUICK if quick else EVERYWHERE)]
    paths = map(str, chosen)
    return [sys.executable, "-m", "pytest", *WORKERS, *options, *paths]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("backends", nargs="*", default=["tensorflow"])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    results = {}
    for backend in options.backends:
        print(f"==== {backend} ====", flush=True)
        results[backend] = run(backend, options.quick)
    print("==== summary ====")
    for backend, (_, last) in results.items():
        print(f"{backend}: {last}")
    sys.exit(max(code for code, _ in results.values()))


if __name__ == "__main__":
    main()
