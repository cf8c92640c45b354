"""Every method on every family of KerasHub's backbones, on every backend.

    python benchmarks/backbones.py
    python benchmarks/backbones.py --backends=jax --families="ViT;Swin"

Runs tests/models/test_hub_backbones.py per backend: each cell builds a method
on a tiny random network, trains one step, predicts, saves, loads and compares.
A cell of the table is "ok" or the reason. Needs the extras `hub` and `test`.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

from absl import app, flags

ROOT = pathlib.Path(__file__).parent.parent
TESTS = "tests/models/test_hub_backbones.py::test_trains_saves_and_loads"
FLAGS = flags.FLAGS
flags.DEFINE_list("backends", "tensorflow,jax,torch", "Backends of Keras.")
flags.DEFINE_string("methods", "", "Some methods, ; between them.")
flags.DEFINE_string("families", "", "Some families, ; between them.")


def run(backend):
    """Results of a backend: (method, family) -> "ok" or the reason."""
    chosen = [
        " or ".join(names.split(";"))
        for names in (FLAGS.methods, FLAGS.families)
        if names
    ]
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", TESTS]
        command += [f"--junitxml={report}", "-p", "no:cacheprovider"]
        if chosen:
            command += ["-k", " and ".join(f"({each})" for each in chosen)]
        subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "KERAS_BACKEND": backend},
            stdout=sys.stderr,
        )
        cases = ElementTree.parse(report).iter("testcase")
        return {_cell(case): _result(case) for case in cases}


def _cell(case):
    name = case.get("name")
    method, _, family = name[name.index("[") + 1 : -1].partition("-")
    return method, family


def _result(case):
    for kind in ("failure", "error", "skipped"):
        found = case.find(kind)
        if found is not None:
            return found.get("message", kind).splitlines()[0][:200]
    return "ok"


def main(_):
    for backend in FLAGS.backends:
        results = run(backend)
        methods = list(dict.fromkeys(method for method, _ in results))
        families = list(dict.fromkeys(family for _, family in results))
        print(f"| {backend} | " + " | ".join(families) + " |")
        print("|---" * (1 + len(families)) + "|")
        for method in methods:
            row = [results.get((method, each), "-") for each in families]
            print(f"| {method} | " + " | ".join(row) + " |")
        print()


if __name__ == "__main__":
    app.run(main)
