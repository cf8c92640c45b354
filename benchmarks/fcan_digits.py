"""Does the policy of FCAN learn to look at the digit, and how fast?

    python benchmarks/fcan_digits.py --workdir=runs/looking

Scenes of 64 x 64 pixels with one digit and eight pieces of others, whose
places are known. A small network is trained on whole scenes, then the policy
on its feature maps, once with the greedy reward and once with the final one.
After each epoch: on what share of 1,000 new scenes does the chosen region
cover the digit's centre? Prints a table, draws WORKDIR/looking.png.

Measured on three seeds in a quarter of an hour on two busy cores: the first
part, 2 x 2 cells, finds the centre in 59 % with the greedy reward, in 6 % with
the final one and in 7 % by chance.
"""

import dataclasses
import pathlib

import keras
import numpy as np
from absl import app, flags
from small_backbone import small_backbone

from keras_fgvc import data, evaluation, models, recipes, training
from keras_fgvc.ops import window_boxes

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", "runs/looking", "Where results go.")
flags.DEFINE_enum(
    "strategy", "none", ("none", "mirrored"), "See training.make_strategy."
)
flags.DEFINE_list("seeds", ["0", "1", "2"], "Of scenes, weights and order.")
flags.DEFINE_integer("whole_epochs", 6, "Of the network on whole scenes.")
flags.DEFINE_integer("epochs", 15, "Of the policy.")
flags.DEFINE_float("learning_rate", 0.01, "Of the policy; the paper's.")
flags.DEFINE_list("rewards", ["greedy", "final"], "To compare.")
flags.DEFINE_string("judge", "part", "As of models.FCAN.")
flags.DEFINE_string("mnist", None, "mnist.npz; default scikit-learn's digits.")
CANVAS = 64  # pixels
PART_SIZES = (2, 4)  # cells of 8 pixels; the digit covers 28 pixels
BATCH_SIZE = 50


def make_recipe():
    recipe = recipes.get("fcan-paper").replace(
        image_size=CANVAS, load_size=CANVAS, batch_size=BATCH_SIZE
    )
    whole, localizer, parts = recipe.stages
    whole = dataclasses.replace(
        whole,
        epochs=FLAGS.whole_epochs,
        learning_rate=1e-3,
        optimizer="adam",
        schedule="cosine",
        augmentation=data.Augmentation(),  # a turned 6 is a 9
    )
    localizer = dataclasses.replace(localizer, batch_size=BATCH_SIZE)
    return recipe.replace(stages=(whole, localizer, parts))


def make_model(reward, seed):
    return models.FCAN(
        small_backbone(),
        10,
        image_size=CANVAS,
        crop_size=CANVAS,
        part_sizes=PART_SIZES,
        reward=reward,
        judge=FLAGS.judge,
        taps=(8, 8),
        batch_norm="train",
        seed=seed,
    )


def shares(task, maps, centres):
    """Share of scenes whose region covers the centre, one number a part."""
    locations = task.predict(maps, verbose=0)["locations"][:, :, 0]
    return covered(locations, centres, maps.shape[1:3])


def covered(locations, centres, map_size):
    """(n, parts, 2) cells and (n, 2) places in 0..1 to a share a part."""
    result = []
    for part, size in enumerate(PART_SIZES):
        boxes = window_boxes(locations[:, [part]], size, map_size)
        boxes = keras.ops.convert_to_numpy(boxes)[:, 0]
        inside = (boxes[:, :2] <= centres) & (centres < boxes[:, 2:])
        result.append(inside.all(axis=1).mean())
    return np.array(result)


def look(seed, reward, folder, strategy):
    """The shares by chance, before the training and after each epoch."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    source = data.load_mnist(FLAGS.mnist) if FLAGS.mnist else None
    scenes = data.cluttered_digits(
        4000, 500, 1000, canvas=CANVAS, seed=seed, digits=source
    )
    recipe = make_recipe()
    with strategy.scope():
        model = make_model(reward, seed)
    training.fit(
        model, recipe, scenes, folder, seed=seed, stages=["whole"], verbose=0
    )
    stage = recipe.stages[1]
    phase = model.begin_stage(stage.name)
    with strategy.scope():
        task, maps = phase.data(
            model, stage, scenes, folder=folder / "cache", load_size=CANVAS
        )
        task.compile(keras.optimizers.RMSprop(FLAGS.learning_rate))
    test = scenes.subset("test")
    test_maps = model.features.predict(test.images, verbose=0)
    centres = (test.boxes[:, :2] + test.boxes[:, 2:]) / 2
    anywhere = np.random.default_rng(seed).integers(
        0, test_maps.shape[1], (len(test), len(PART_SIZES), 2)
    )
    curve = [covered(anywhere, centres, test_maps.shape[1:3])]
    curve.append(shares(task, test_maps, centres))
    for epoch in range(FLAGS.epochs):
        batches = maps.batches(
            "train",
            batch_size=stage.batch_size,
            training=True,
            seed=seed,
            epochs=range(epoch, epoch + 1),
        )
        task.fit(batches, shuffle=False, verbose=0)
        curve.append(shares(task, test_maps, centres))
    return np.array(curve)  # (2 + epochs, parts)


def main(_):
    strategy = training.make_strategy(FLAGS.strategy)
    workdir = pathlib.Path(FLAGS.workdir)
    curves = {}
    for reward in FLAGS.rewards:
        found = []
        for seed in map(int, FLAGS.seeds):
            folder = workdir / f"{reward}-{seed}"
            found.append(look(seed, reward, folder, strategy))
            last = ", ".join(f"{100 * share:.1f}" for share in found[-1][-1])
            print(f"{reward}, seed {seed}: {last} % at the end", flush=True)
        curves[reward] = 100 * np.array(found)
    report(curves)
    draw(curves, workdir / "looking.png")


def report(curves):
    """Mean and spread over the seeds, in %."""
    epochs = [n for n in (1, 2, 5, 10, FLAGS.epochs) if n <= FLAGS.epochs]
    columns = {"by chance": 0, "untrained": 1}
    columns |= {f"epoch {n}": 1 + n for n in epochs}
    print("\n| centre covered, % | " + " | ".join(columns), "|")
    print("|---" * (1 + len(columns)), "|", sep="")
    for reward, runs in curves.items():
        for part, size in enumerate(PART_SIZES):
            cells = [
                "{:.1f} ({:.1f})".format(
                    *evaluation.mean_and_spread(runs[:, at, part])
                )
                for at in columns.values()
            ]
            print(f"| {reward}, {size}x{size} |", " | ".join(cells), "|")


def draw(curves, path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6))
    panels = figure.subplots(1, len(PART_SIZES), sharey=True)
    for part, axes in enumerate(panels):
        for reward, runs in curves.items():
            learned = runs[:, 1:, part]
            axes.errorbar(
                range(learned.shape[1]),
                learned.mean(axis=0),
                yerr=learned.std(axis=0),
                marker="o",
                capsize=3,
                label=f"{reward} reward",
            )
        chance = np.mean([runs[:, 0, part] for runs in curves.values()])
        axes.axhline(chance, color="grey", linestyle=":", label="by chance")
        axes.set_title(f"region of {PART_SIZES[part]} x {PART_SIZES[part]}")
        axes.set_xlabel("epochs of the policy")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("regions that cover the digit's centre, %")
    panels[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


if __name__ == "__main__":
    app.run(main)
