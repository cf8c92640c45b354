"""The whole way in a few minutes and without a download: data to serving.

    python examples/quickstart.py

Trains the plain Baseline and ELoPE for the same number of epochs on cluttered
digits, prints their test figures, draws what ELoPE's localiser found, exports
ELoPE as a SavedModel and predicts with that in a process of its own.
"""

import dataclasses
import logging
import pathlib
import shutil
import subprocess
import sys

from keras_fgvc import (
    data,
    evaluation,
    export,
    models,
    recipes,
    training,
    visualization,
)

import keras
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", "runs/quickstart", "Emptied, then written.")
flags.DEFINE_integer("num_train", 4000, "Training images.")
flags.DEFINE_integer("seed", 0, "Of the images, weights and order.")
flags.DEFINE_enum(
    "strategy", "none", training.STRATEGIES, "See training.make_strategy."
)

CANVAS = 64  # pixels; the digit covers 28 of them
THRESHOLD = 0.6  # best on validation images; the paper's 0.3 is for birds
# Runs with TensorFlow alone, as TF Serving would.
SERVE = """
import sys
import tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_bytes"]
answer = serve(image_bytes=tf.constant([open(sys.argv[2], "rb").read()]))
assert "keras_fgvc" not in sys.modules
print("served:", answer["top_classes"][0, 0].numpy().decode(),
      f"p={answer['top_probabilities'][0, 0]:.3f}",
      "box", [round(float(v), 2) for v in answer["boxes"][0, 0]])
"""


def small_backbone():
    """Any Keras model will do: here four convolutions, to stride 8."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    for filters, stride in ((32, 2), (64, 2), (128, 2), (128, 1)):
        x = keras.layers.Conv2D(
            filters, 3, stride, padding="same", use_bias=False
        )(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return keras.Model(image, x)


def make_recipe(method, **epochs):
    stages = {stage.name: stage for stage in recipes.get("elope-short").stages}
    plain = data.Augmentation()  # a turned 6 is a 9
    changes = {"augmentation": plain, "learning_rate": 1e-3}
    return recipes.Recipe(
        name=f"quickstart-{method.lower()}",
        method=method,
        image_size=CANVAS,
        load_size=CANVAS,
        batch_size=50,
        stages=tuple(
            dataclasses.replace(stages[name], epochs=count, **changes)
            for name, count in epochs.items()
        ),
    )


def make_contestants():
    """ELoPE, and (model, recipe) of both."""
    options = {"batch_norm": "train", "tap": 8}
    elope = models.ELoPE(
        small_backbone(),
        10,
        image_size=CANVAS,
        embedding_dim=64,
        threshold=THRESHOLD,
        **options,
    )
    return elope, [
        (
            models.Baseline(small_backbone(), 10, **options),
            make_recipe("Baseline", classifier=14),
        ),
        (
            elope,
            make_recipe(
                "ELoPE", classifier=6, localizer=3, crops=6, weighted=2
            ),
        ),
    ]


def main(_):
    strategy = training.make_strategy(FLAGS.strategy)
    keras.utils.set_random_seed(FLAGS.seed)
    digits = data.cluttered_digits(
        FLAGS.num_train, 500, 1000, canvas=CANVAS, seed=FLAGS.seed
    )
    with strategy.scope():
        elope, contestants = make_contestants()
    workdir = pathlib.Path(FLAGS.workdir)
    if training.is_chief(strategy):
        shutil.rmtree(workdir, ignore_errors=True)
    rows = []
    for model, recipe in contestants:
        print(f"\n{recipe.method}", flush=True)
        folder = workdir / recipe.method.lower()
        training.fit(model, recipe, digits, folder, seed=FLAGS.seed)
        result = evaluation.evaluate(
            model, digits, load_size=CANVAS, threshold=THRESHOLD
        )
        where = "boxes" if model is elope else "mean_activation"
        rows.append((recipe.method, result.top1, result.localization[where]))
    if not training.is_chief(strategy):  # The first process tells and draws.
        return
    print("\n| model | test top-1 % | digit found (IoU >= 0.5) % |")
    print("|---|---|---|")
    for name, top1, found in rows:
        print(f"| {name} | {100 * top1:.1f} | {100 * found:.1f} |")
    for name, found in result.constant_localization.items():
        print(f"| {name} |  | {100 * found:.1f} |")
    show_and_serve(elope, digits, workdir)


def show_and_serve(model, digits, workdir):
    test = digits.subset("test")
    images, truth = test.images[:24], test.boxes[:24]
    outputs = model.predict(images, verbose=0)
    guesses = outputs["probabilities"].argmax(axis=1)
    pairs = zip(test.labels[:24], guesses, strict=True)
    picture = workdir / "localization.png"
    visualization.save_grid(
        picture,
        images,
        titles=[f"is {a}, said {b}" for a, b in pairs],
        true_boxes=truth,
        boxes=outputs["boxes"][:, 0],
    )
    print(f"\npicture: {picture} (green: true box, red: ELoPE's)")
    saved = export.export_saved_model(
        model,
        workdir / "served" / "1",
        class_names=digits.class_names,
        load_size=CANVAS,
    )
    print(f"SavedModel: {saved}")
    example = workdir / "digit.png"
    keras.utils.save_img(example, images[0], scale=False)
    print(
        f"here:   {guesses[0]} p={outputs['probabilities'][0].max():.3f}",
        "box",
        [round(float(value), 2) for value in outputs["boxes"][0, 0]],
    )
    command = [sys.executable, "-c", SERVE, str(saved), str(example)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:  # else it is what TensorFlow writes while it loads
        sys.exit(done.stderr)


if __name__ == "__main__":
    # TensorFlow notes each step of writing a SavedModel.
    logging.disable(logging.INFO)
    app.run(main)
