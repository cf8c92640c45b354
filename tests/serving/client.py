"""Scripts of examples and benchmarks as modules: those are no packages."""

import importlib.util
import pathlib

ROOT = pathlib.Path(__file__).parent.parent.parent


def load(path):
    script = ROOT / path
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


serve_client = load("examples/serve_client.py")
