"""What the methods cost over the plain network: operations, weights, time.

    python benchmarks/method_cost.py
    python benchmarks/method_cost.py --backbone=mobilenet_v2 --image_size=224 \
        --methods=ELoPE,PainlessAttention

Multiply-adds are half of what TensorFlow's profiler counts as floating-point
operations of one image's prediction. Times are of one prediction and one
training step (SGD), all models in turn in one process; memory is what the
first training step adds to the peak resident size of a process of its own
(Linux). Quote the ratios. Every method pools the backbone's last map, so that
nothing but the method differs. TensorFlow backend only.
"""

import resource
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from in_turn import median_seconds
from tensorflow.python.framework import convert_to_constants

from keras_fgvc import models

FLAGS = flags.FLAGS
flags.DEFINE_string("backbone", "resnet50", "See backbones.available().")
flags.DEFINE_integer("image_size", 448, "Side of the images, in pixels.")
flags.DEFINE_list(
    "methods",
    ["ELoPE", "PainlessAttention", "Coarse2Fine", "FCAN", "DAF", "DAF student"],
    "Names in this file.",
)
flags.DEFINE_boolean("memory", True, "Measure memory, one process for each.")
flags.DEFINE_string("memory_of", None, "Used by the child processes.")
flags.DEFINE_integer("classes", 200, "Number of classes.")
flags.DEFINE_integer("batch_size", 4, "Images a step.")
flags.DEFINE_integer("rounds", 7, "Rounds to take medians over.")


def make_model(name):
    """A model by its name in the table, compiled."""
    size = {"image_size": FLAGS.image_size}
    options = {
        "ELoPE": size,
        "Coarse2Fine": {**size, "tap": 32},
        "FCAN": {**size, "crop_size": FLAGS.image_size, "part_sizes": (3, 5)},
        "DAF": size,
        "DAF student": {**size, "teacher": False},
    }
    model = getattr(models, name.partition(" ")[0])(
        FLAGS.backbone, FLAGS.classes, **options.get(name, {})
    )
    if name == "ELoPE":
        # The stage that costs most: localiser on, rank weights trained.
        model.begin_stage("weighted")
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
        command, capture_output=True, text=True, check=True
    ).stdout
    return float(output.split()[-1])


def print_megabytes(name):
    model, batch = make_model(name), make_batch()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.train_on_batch(*batch)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((after - before) / 1024)


def multiply_adds(model):
    size = FLAGS.image_size
    spec = tf.TensorSpec((1, size, size, 3), tf.float32)
    graph = tf.function(lambda x: model(x, training=False))
    frozen = convert_to_constants.convert_variables_to_constants_v2(
        graph.get_concrete_function(spec)
    )
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    profile = profiler.profile(frozen.graph, cmd="op", options=options)
    return profile.total_float_ops / 2


def inference_parameters(model):
    """All weights but class means and centres, which only training reads."""
    return sum(
        int(np.prod(w.shape))
        for w in model.weights
        if w.name not in ("means", "centers")
    )


def row(label, values, form):
    base = values["Baseline"]
    cells = [form.format(base)]
    for name in FLAGS.methods:
        cells.append(f"{form.format(values[name])} ({values[name] / base:.4f})")
    print(f"| {label} |", " | ".join(cells), "|", flush=True)


def main(_):
    if FLAGS.memory_of:
        return print_megabytes(FLAGS.memory_of)
    made = {name: make_model(name) for name in ("Baseline", *FLAGS.methods)}
    images, labels = make_batch()
    print(
        f"{FLAGS.backbone}, {FLAGS.image_size} px, {FLAGS.classes} classes, "
        f"batch {FLAGS.batch_size}, median of {FLAGS.rounds}\n"
    )
    print("| | Baseline |", " | ".join(FLAGS.methods), "|")
    print("|---" * (2 + len(FLAGS.methods)), "|", sep="")
    counts = {name: multiply_adds(model) for name, model in made.items()}
    row("multiply-adds", counts, "{:.4g}")
    counts = {name: inference_parameters(m) for name, m in made.items()}
    row("parameters", counts, "{:,}")
    predict = {
        name: lambda m=m: m.predict_on_batch(images) for name, m in made.items()
    }
    row("prediction, s", median_seconds(predict, FLAGS.rounds), "{:.3f}")
    train = {
        name: lambda m=m: m.train_on_batch(images, labels)
        for name, m in made.items()
    }
    row("training step, s", median_seconds(train, FLAGS.rounds), "{:.3f}")
    if FLAGS.memory:
        sizes = {name: megabytes_of_a_step(name) for name in made}
        row("its memory, MB", sizes, "{:.0f}")


if __name__ == "__main__":
    app.run(main)
