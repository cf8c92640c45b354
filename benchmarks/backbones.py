"""Every method on every family of KerasHub's backbones, on every backend.

    python benchmarks/backbones.py --write
    python benchmarks/backbones.py --backends=jax --families="ViT;Swin"
    python benchmarks/backbones.py --work_dir=cells

For each cell of the table one process builds a method on a tiny random
network, trains one step, predicts and saves; a new process loads the file and
must predict the same to 1e-5. These are two processes per backend, two
backends at a time. A cell is "ok" or the reason. Each result is a file in
`--work_dir`: a call with the same folder computes only the missing cells.
`--write` puts the table into docs/results/backbones.md.
Needs the extras `hub` and `test`.
"""

import concurrent.futures
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import textwrap
import time

from absl import app, flags

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "backbones.md"
TOLERANCE = 1e-5
FLAGS = flags.FLAGS
flags.DEFINE_list("backends", "tensorflow,jax,torch", "Backends of Keras.")
flags.DEFINE_string("methods", "", "Some methods, ; between them.")
flags.DEFINE_string("families", "", "Some families, ; between them.")
flags.DEFINE_string("work_dir", None, "Keeps results here, to go on later.")
flags.DEFINE_integer("jobs", 2, "Backends at a time.")
flags.DEFINE_boolean("write", False, "Write the page of results.")
flags.DEFINE_enum("part", None, ["save", "load"], "Used by the processes.")


def cells():
    """Pairs of a method and a family that were asked for."""
    sys.path.insert(0, str(ROOT))
    from tests import hub_cells, hub_networks

    methods = FLAGS.methods.split(";") if FLAGS.methods else hub_cells.METHODS
    families = FLAGS.families.split(";") if FLAGS.families else ()
    families = families or hub_networks.FAMILIES
    return [(method, family) for family in families for method in methods]


def save(method, family, path):
    """Builds, trains a step, predicts and saves."""
    import numpy as np

    from tests import hub_cells

    model = hub_cells.build(method, family)
    if not hub_cells.train_a_step(model):
        raise ValueError("The loss is not finite.")
    np.save(path.with_suffix(".npy"), hub_cells.predict(model))
    model.save(path.with_suffix(".keras"))
    return {}


def load(method, family, path):
    """Loads a saved model and compares its predictions."""
    import keras
    import numpy as np

    from tests import hub_cells

    model = keras.saving.load_model(path.with_suffix(".keras"), compile=False)
    before = np.load(path.with_suffix(".npy"))
    difference = float(np.abs(hub_cells.predict(model) - before).max())
    if not difference <= TOLERANCE:
        raise ValueError(f"Differs by {difference:.2g} when loaded.")
    for suffix in (".keras", ".npy"):
        path.with_suffix(suffix).unlink()
    return {"cell": "ok", "difference": difference}


def work(folder):
    """One part of every cell that lacks it, in this process."""
    import keras

    done = save if FLAGS.part == "save" else load
    for method, family in cells():
        path = folder / f"{method}-{family}"
        known = read(path)
        if "cell" in known or (known and done is save):
            continue
        start = time.time()
        try:
            result = done(method, family, path)
        except Exception as error:  # whatever a cell raises is its result
            text = str(error).strip() or repr(error)
            reason = " ".join(text.split())
            result = {"cell": reason[:200].replace("|", "/")}
        result["seconds"] = time.time() - start + known.get("seconds", 0)
        result["commit"] = known.get("commit") or commit()
        path.with_suffix(".json").write_text(json.dumps(result))
        print(folder.name, path.name, result)
        keras.utils.clear_session()


def read(path):
    """What is known of a cell."""
    path = path.with_suffix(".json")
    return json.loads(path.read_text()) if path.exists() else {}


def run(backend, folder):
    """Results of a backend, (method, family) -> dict."""
    folder = folder / backend
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "CUDA_VISIBLE_DEVICES": "-1",
        # The second process compiles little anew.
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    for part in ("save", "load"):
        command = [sys.executable, "-u", *sys.argv]
        command += [f"--part={part}", f"--work_dir={folder}"]
        subprocess.run(command, env=environment, stdout=sys.stderr)
    return {
        (method, family): {
            "cell": "the process ended",
            **read(folder / f"{method}-{family}"),
        }
        for method, family in cells()
    }


def table(backend, results):
    """Lines of a table, methods down, families across."""
    methods = list(dict.fromkeys(method for method, _ in results))
    families = list(dict.fromkeys(family for _, family in results))
    lines = [f"| `{backend}` | " + " | ".join(families) + " |"]
    lines.append("|---" * (1 + len(families)) + "|")
    for method in methods:
        row = [results[method, family]["cell"] for family in families]
        lines.append(f"| {method} | " + " | ".join(row) + " |")
    return [*lines, ""]


def counts(found):
    """Lines of a table: passed cells, greatest difference and time."""
    lines = ["| backend | cells | greatest difference | time |"]
    lines.append("|---" * 4 + "|")
    for backend, results in found.items():
        passed = [r for r in results.values() if r["cell"] == "ok"]
        worst = max((r["difference"] for r in passed), default=0)
        minutes = sum(r.get("seconds", 0) for r in results.values()) / 60
        lines.append(
            f"| `{backend}` | {len(passed)} of {len(results)} "
            f"| {worst:.1g} | {minutes:.1f} min |"
        )
    return [*lines, ""]


def commit():
    """The commit that the working tree is at."""
    return subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()


def header(found):
    """What was run, of which commit, where and when."""
    import importlib.metadata

    commits = sorted(
        {
            result.get("commit", "unknown")
            for results in found.values()
            for result in results.values()
        }
    )
    names = ("keras", "keras-hub", "tensorflow", "jax", "torch")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
    arguments = [a for a in sys.argv[1:] if not a.startswith("--work_dir")]
    command = " ".join(["python benchmarks/backbones.py", *arguments])
    text = (
        "Tiny random networks of KerasHub's families. One process builds a "
        "method, trains one step, predicts and saves; a new process loads the "
        f"file and predicts the same to {TOLERANCE:g}. Times are sums over "
        "the cells, of a machine that other jobs may use as well. "
        f"`{command}`, commits {', '.join(commits)}, {os.cpu_count()} cores "
        f"({platform.machine()}), {datetime.date.today()}, Python "
        f"{platform.python_version()}, {', '.join(versions)}."
    )
    title = "# Results: every method on every family of backbones"
    return [title, "", *textwrap.wrap(text, 100), ""]


def main(_):
    if FLAGS.part:
        return work(pathlib.Path(FLAGS.work_dir))
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(FLAGS.work_dir or temporary).absolute()
        with concurrent.futures.ThreadPoolExecutor(FLAGS.jobs) as pool:
            runs = pool.map(lambda each: run(each, folder), FLAGS.backends)
            found = dict(zip(FLAGS.backends, runs, strict=True))
    lines = counts(found)
    for backend, results in found.items():
        lines += table(backend, results)
    print("\n".join(lines))
    if FLAGS.write:
        PAGE.write_text("\n".join(header(found) + lines))


if __name__ == "__main__":
    app.run(main)
