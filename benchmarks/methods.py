"""What the methods cost over the plain network: operations, weights, time.

    python benchmarks/methods.py
    python benchmarks/methods.py --backbone=mobilenet_v2 --image_size=224 \
        --models="ELoPE;PainlessAttention"
    KERAS_BACKEND=jax python benchmarks/methods.py

Each method stands beside itself without its main idea, as its paper's
ablation has it, and every row is a ratio to Baseline on the same backbone,
whose own figures are the first row. Multiply-adds are half of the
floating-point operations that the backend's own profiler counts for one
image's prediction (PyTorch's counts convolutions and matrix products alone).
Times are of one prediction and one training step (SGD), all models in turn in
one process. A row "at 16" has `output_stride=16`: the last map has four times
as many cells. Memory, in another table, is what the first training step adds to
the peak of a process of its own: of the GPU's where there is one, else of its
resident size (Linux). Quote the ratios. Every method uses the backbone's last
map, so that nothing but the method differs. Progress is told on stderr.
"""

import datetime
import os
import pathlib
import shlex
import subprocess
import sys
import textwrap
import time

import keras
import numpy as np
from absl import app, flags
from in_turn import median_seconds
from operations import operations

from keras_fgvc import models

FLAGS = flags.FLAGS
flags.DEFINE_string("backbone", "resnet50", "See backbones.available().")
flags.DEFINE_integer("image_size", 448, "Side of the images, in pixels.")
flags.DEFINE_string("models", None, "Names in this file, ; between them.")
flags.DEFINE_boolean("memory", True, "Measure memory, one process for each.")
flags.DEFINE_string("memory_of", None, "Used by the child processes.")
flags.DEFINE_integer("classes", 200, "Number of classes.")
flags.DEFINE_integer("batch_size", 4, "Images a step.")
flags.DEFINE_integer("rounds", 7, "Rounds to take medians over.")
flags.DEFINE_boolean("cpu_time", False, "Seconds of all cores, under load.")
flags.DEFINE_boolean("write", False, "Write a section of the page of costs.")
PAGE = pathlib.Path(__file__).parent.parent / "docs" / "results" / "costs.md"
SECTION = "## A denser map\n"
INTRODUCTION = (
    "Each method, and at 16 itself with `output_stride=16`: its last map has "
    "four times as many",
    "cells. Ratios to Baseline, whose own figures are the first row.",
    "",
)
# Name: (method, arguments). The first is what the others are compared with.
MODELS = {
    "Baseline": ("Baseline", {}),
    "ELoPE": ("ELoPE", {}),
    "ELoPE, no localiser": ("ELoPE", {"localize": False}),
    "ELoPE, average pooling": ("ELoPE", {"pooling": "average"}),
    "PainlessAttention": ("PainlessAttention", {}),
    "PainlessAttention, no gates": ("PainlessAttention", {"gates": False}),
    "Coarse2Fine": ("Coarse2Fine", {"tap": 32}),
    "Coarse2Fine, coarse look alone": (
        "Coarse2Fine",
        {"tap": 32, "predict_with": "coarse"},
    ),
    "FCAN": ("FCAN", {"part_sizes": (3, 5)}),
    "FCAN, fixed regions": (
        "FCAN",
        {"part_sizes": (3, 5), "regions": "center"},
    ),
    "DAF": ("DAF", {}),
    "DAF, no teacher": ("DAF", {"teacher": False}),
    "DAF, no teacher, no heat map": (
        "DAF",
        {"teacher": False, "heatmap": False},
    ),
}
# Each method with a map of stride 16 where it has one of 32.
MODELS |= {
    f"{name}, at 16": (name, {**MODELS[name][1], "output_stride": 16})
    for name in [name for name in MODELS if "," not in name]
}
NOT_READ = ("means", "centers")  # weights that only training reads
COLUMNS = (
    "parameters",
    "multiply-adds",
    "prediction, s",
    "step, s",
    "predicted images/s",
)
MEMORY = "memory of a step, MB"


def make_model(name):
    """A model by its name in the table, compiled."""
    method, arguments = MODELS[name]
    arguments = {"weights": None, **arguments}
    if method not in ("Baseline", "PainlessAttention"):
        arguments["image_size"] = FLAGS.image_size
    if method == "FCAN":
        arguments["crop_size"] = FLAGS.image_size
    model = getattr(models, method)(FLAGS.backbone, FLAGS.classes, **arguments)
    if method == "ELoPE":
        # The stage that costs most: localiser on, rank weights trained.
        model.begin_stage(model.stages[-1])
    model.compile(keras.optimizers.SGD(1e-6))
    return model


def make_batch():
    shape = (FLAGS.batch_size, FLAGS.image_size, FLAGS.image_size, 3)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, shape).astype("float32")
    return images, rng.integers(0, FLAGS.classes, FLAGS.batch_size)


def megabytes_of_a_step(name):
    """What a process that knows nothing else needs for a training step."""
    command = [sys.executable, *sys.argv, f"--memory_of={name}"]
    output = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return float(output.split()[-1])


def print_megabytes(name):
    model, batch = make_model(name), make_batch()
    before = peak_bytes()
    model.train_on_batch(*batch)
    print((peak_bytes() - before) / 2**20)


def peak_bytes():
    """The most memory there ever was: of the GPU, else of this process."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
    elif backend == "jax":
        import jax

        if found := jax.devices()[0].memory_stats():
            return found["peak_bytes_in_use"]
    else:
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    # Not ru_maxrss, which begins with the parent's size.
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def for_prediction(model):
    """What is left of a model where only its first look is asked for."""
    only_coarse = getattr(model, "predict_with", None) == "coarse"
    return model.coarse_model() if only_coarse else model


def inference_parameters(model):
    """All weights but those that only training reads."""
    return sum(
        int(np.prod(w.shape)) for w in model.weights if w.name not in NOT_READ
    )


def device():
    """Where it runs, in the backend's words."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    elif backend == "jax":
        import jax

        return jax.devices()[0].device_kind
    return "CPU" if backend == "torch" else keras.distribution.list_devices()[0]


def table(found):
    """Lines: Baseline's figures, then each one's ratio to them."""
    first = next(iter(found))
    lines = ["| | " + " | ".join(found[first]) + " |"]
    lines.append("|---" * (1 + len(found[first])) + "|")
    for name, figures in found.items():
        cells = [
            f"{value:.4g}" if name == first else f"{value / base:.3f}"
            for value, base in zip(
                figures.values(), found[first].values(), strict=True
            )
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def write(lines):
    """Puts lines into their section of the page, which others follow."""
    before, _, after = PAGE.read_text().partition(SECTION)
    _, heading, rest = after.partition("\n## ")
    section = "\n".join([SECTION, *INTRODUCTION, *lines])
    before = before.rstrip("\n")
    PAGE.write_text(f"{before}\n\n{section}\n{heading}{rest}")


def origin():
    """What was run, of which commit, where and when."""
    commit = subprocess.run(
        ["git", "-C", str(PAGE.parent), "rev-parse", "--short", "HEAD"],
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()
    command = shlex.join(["python", "benchmarks/methods.py", *sys.argv[1:]])
    text = (
        f"`{command}` (commit {commit}, {os.cpu_count()} cores, "
        f"{datetime.date.today()}; {description()}):"
    )
    return [*textwrap.wrap(text, 100, break_long_words=False), ""]


def description():
    """What was measured, in a line."""
    clock = "processor time" if FLAGS.cpu_time else "time"
    return (
        f"{FLAGS.backbone}, {FLAGS.image_size} px, {FLAGS.classes} classes, "
        f"batch {FLAGS.batch_size}, median {clock} of {FLAGS.rounds}, "
        f"{keras.backend.backend()} on {device()}"
    )


def tell(text):
    """Progress, beside the table."""
    print(text, file=sys.stderr, flush=True)


def costs(names):
    """From each name to what it needs, by column."""
    made = {}
    for name in names:
        made[name] = make_model(name)
        tell(f"{name}: built")
    images, labels = make_batch()
    predicting = {name: for_prediction(model) for name, model in made.items()}
    predict = {
        name: lambda m=m: m.predict_on_batch(images)
        for name, m in predicting.items()
    }
    train = {
        name: lambda m=m: m.train_on_batch(images, labels)
        for name, m in made.items()
    }
    tell("counting multiply-adds")
    shape = (1, *images.shape[1:])
    counts = {n: operations(m, shape) / 2 for n, m in predicting.items()}
    tell("timing predictions")
    clock = time.process_time if FLAGS.cpu_time else time.perf_counter
    seconds = median_seconds(predict, FLAGS.rounds, clock)
    tell("timing training steps")
    columns = [
        {name: inference_parameters(m) for name, m in predicting.items()},
        counts,
        seconds,
        median_seconds(train, FLAGS.rounds, clock),
        {name: FLAGS.batch_size / seconds[name] for name in names},
    ]
    return {
        name: dict(zip(COLUMNS, (c[name] for c in columns), strict=True))
        for name in names
    }


def memory(names):
    found = {}
    for name in names:
        tell(f"{name}: memory of a step, in a process of its own")
        found[name] = {MEMORY: megabytes_of_a_step(name)}
    return found


def main(_):
    if FLAGS.memory_of:
        return print_megabytes(FLAGS.memory_of)
    names = FLAGS.models.split(";") if FLAGS.models else list(MODELS)
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise app.UsageError(
            f"No model {unknown[0]!r}; there is {'; '.join(MODELS)}."
        )
    names = list(dict.fromkeys(["Baseline", *names]))
    print(description(), "\n", sep="")
    lines = table(costs(names))
    print(*lines, sep="\n", flush=True)
    if FLAGS.memory:
        more = ["", *table(memory(names))]
        print(*more, sep="\n")
        lines += more
    if FLAGS.write:
        write([*origin(), *lines])


if __name__ == "__main__":
    app.run(main)
