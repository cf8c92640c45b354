"""The paper's Figure 4: what each part of painless attention is worth.

    python benchmarks/painless_ablation.py --workdir=runs/digits \
        --mnist=mnist.npz

Cluttered digits of 40 x 40 pixels, 8 distractors in training, a network of
five convolutions and two fully connected layers (section 4.1 of the paper).
Every row is trained on the same images for the same epochs, from --seeds, and
tested with 4 to 64 distractors. "spatial transformer" is the row of Figure 4e;
--recipe=painless-digits-paper takes the paper's 200 epochs. Run it again after
an interruption: finished rows are read, not trained. Several processes may
share the work by --rows.
"""

import json
import pathlib

import keras
import numpy as np
from absl import app, flags

from keras_fgvc import data, evaluation, layers, models, recipes, training

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Where results go.", required=True)
flags.DEFINE_enum(
    "strategy", "none", training.STRATEGIES, "See training.make_strategy."
)
flags.DEFINE_string("recipe", "painless-digits", "See recipes.available().")
flags.DEFINE_integer("epochs", None, "Of each row; default the recipe's.", 1)
flags.DEFINE_string("mnist", None, "mnist.npz; default scikit-learn's digits.")
flags.DEFINE_integer("num_train", 20_000, "Training images.")
flags.DEFINE_integer("num_test", 10_000, "Test images for each clutter.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Of the weights and the order.")
flags.DEFINE_list("rows", None, "Rows to train; default all.")
CANVAS = 40
CLUTTER = (4, 8, 16, 32, 64)
TRAINING_CLUTTER = 8
# From the last layer backwards, as attention depth grows.
PLACES = ("conv5", "conv4", "pool3", "pool2")
FULL = {"taps": PLACES, "num_heads": 4}
SPATIAL_TRANSFORMER = "spatial transformer"
ROWS = {
    "no attention": None,
    SPATIAL_TRANSFORMER: None,
    "AD 1 AW 1": {"taps": PLACES[:1], "num_heads": 1},
    "AD 2 AW 1": {"taps": PLACES[:2], "num_heads": 1},
    "AD 4 AW 1": {"taps": PLACES, "num_heads": 1},
    "AD 4 AW 2": {"taps": PLACES, "num_heads": 2},
    "AD 4 AW 4": FULL,
    "without gates": {**FULL, "gates": False},
    "sigmoid masks": {**FULL, "mask": "sigmoid"},
    "without regulariser": {**FULL, "diversity_weight": 0.0},
    "sigmoid without regulariser": {
        **FULL,
        "mask": "sigmoid",
        "diversity_weight": 0.0,
    },
}
BEST = "AD 4 AW 4"
WIDEST = 3  # points below the median that the picture shows


def look_closer(image):
    """Jaderberg et al. (2015), scale and place alone: a box, cut out again."""
    x = image
    for filters in (20, 20):
        x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.Conv2D(filters, 5, activation="relu")(x)
    x = keras.layers.Dense(50, "relu", name="whole")(keras.layers.Flatten()(x))
    moved = keras.layers.Dense(4, kernel_initializer="zeros", name="move")(x)
    # The whole image at first.
    box = keras.layers.Rescaling(1.0, offset=[0.0, 0.0, 1.0, 1.0])(moved)
    box = keras.layers.Reshape((1, 4))(box)
    crop = layers.PartCrop(CANVAS)([image, box])
    return keras.layers.Reshape((CANVAS, CANVAS, 3))(crop)


def backbone(closer=False):
    """Five convolutions, three poolings, one fully connected layer."""
    image = keras.Input((CANVAS, CANVAS, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    if closer:
        x = look_closer(x)
    for number, filters in enumerate((16, 32, 32, 64, 64), start=1):
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Conv2D(
            filters, 3, padding="same", activation="relu", name=f"conv{number}"
        )(x)
        if number <= 3:
            x = keras.layers.MaxPooling2D(name=f"pool{number}")(x)
    x = keras.layers.BatchNormalization()(x)
    # Over the whole 5 x 5 map: fully connected. The classifier is the second.
    x = keras.layers.Conv2D(128, 5, activation="relu", name="dense")(x)
    return keras.Model(image, x)


def make_model(row):
    shared, arguments = {"tap": "dense", "batch_norm": "train"}, ROWS[row]
    if arguments is None:
        network = backbone(closer=row == SPATIAL_TRANSFORMER)
        return models.Baseline(network, 10, **shared)
    return models.PainlessAttention(backbone(), 10, **shared, **arguments)


def make_recipe(row):
    recipe = recipes.get(FLAGS.recipe)
    if ROWS[row] is None:
        recipe = recipe.replace(method="Baseline")
    if FLAGS.epochs:
        recipe = recipe.with_epochs(classifier=FLAGS.epochs)
    return recipe


def digits(distractors, num_train, num_test):
    source = data.load_mnist(FLAGS.mnist) if FLAGS.mnist else None
    return data.cluttered_digits(
        num_train,
        max(1, num_test // 5),
        num_test,
        canvas=CANVAS,
        distractors=distractors,
        digits=source,
    )


def train(row, seed, images, tests, folder, strategy):
    """One row from one seed; accuracy by number of distractors."""
    keras.backend.clear_session()  # layers keep their names
    keras.utils.set_random_seed(seed)
    with strategy.scope():
        model = make_model(row)
    training.fit(model, make_recipe(row), images, folder, seed=seed, verbose=2)
    if not training.is_chief(strategy):
        return None
    return {
        str(count): evaluation.evaluate(
            model, test, load_size=CANVAS, batch_size=500
        ).top1
        for count, test in tests.items()
    }


def main(_):
    strategy = training.make_strategy(FLAGS.strategy)
    workdir = pathlib.Path(FLAGS.workdir)
    images = digits(TRAINING_CLUTTER, FLAGS.num_train, FLAGS.num_test)
    tests = {count: digits(count, 1, FLAGS.num_test) for count in CLUTTER}
    for row in FLAGS.rows or ROWS:
        for seed in map(int, FLAGS.seeds):
            folder = (
                workdir / f"{row.replace(', ', '-').replace(' ', '-')}-{seed}"
            )
            result = folder / "test.json"
            if not result.exists():
                print(f"\n{row}, seed {seed}", flush=True)
                found = train(row, seed, images, tests, folder, strategy)
                if found is not None:
                    result.write_text(json.dumps({"row": row, "top1": found}))
    if training.is_chief(strategy):
        report(workdir)


def report(workdir):
    """Prints the table of all finished rows and draws the two plots."""
    found = {row: [] for row in ROWS}
    for path in sorted(workdir.glob("*/test.json")):
        result = json.loads(path.read_text())
        top1 = [100 * result["top1"][str(count)] for count in CLUTTER]
        found[result["row"]].append(top1)
    found = {row: np.array(runs) for row, runs in found.items() if runs}
    print("\n| test accuracy %, mean (spread) | seeds |", end=" ")
    print(" | ".join(f"{count} distractors" for count in CLUTTER), "|")
    print("|---" * (2 + len(CLUTTER)), "|", sep="")
    for row, runs in found.items():
        pairs = map(evaluation.mean_and_spread, runs.T)
        cells = [f"{mean:.2f} ({spread:.2f})" for mean, spread in pairs]
        print(f"| {row} | {len(runs)} |", " | ".join(cells), "|")
    draw(found, workdir / "figure4.png")


def draw(found, path):
    """Accuracy by row at the clutter of training, and by clutter."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4))
    rows, curves = figure.subplots(1, 2)
    draw_rows(rows, found)
    draw_curves(curves, found)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def draw_rows(axes, found):
    place = CLUTTER.index(TRAINING_CLUTTER)
    names = list(found)[::-1]
    means = [found[name][:, place].mean() for name in names]
    errors = [found[name][:, place].std() for name in names]
    # A row far below would press all others into one line: its figure alone.
    floor = np.median(means) - WIDEST
    for row, (mean, error) in enumerate(zip(means, errors, strict=True)):
        if mean < floor:
            axes.text(
                0.02,  # of the panel's width
                row,
                f"\N{LEFTWARDS ARROW} {mean:.1f}",
                va="center",
                transform=axes.get_yaxis_transform(),
            )
        else:
            axes.errorbar(mean, row, xerr=error, fmt="o", capsize=3, color="C0")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel(f"test accuracy %, {TRAINING_CLUTTER} distractors")
    axes.grid(axis="x", alpha=0.3)


def draw_curves(axes, found):
    for name in ("no attention", SPATIAL_TRANSFORMER, BEST):
        if name in found:
            runs = found[name]
            axes.errorbar(
                CLUTTER,
                runs.mean(axis=0),
                yerr=runs.std(axis=0),
                marker="o",
                capsize=3,
                label=name,
            )
    axes.set_xscale("log", base=2)
    axes.set_xticks(CLUTTER, CLUTTER)
    axes.set_xlabel("distractors in the test images")
    axes.set_ylabel("test accuracy %")
    axes.grid(alpha=0.3)
    axes.legend()


if __name__ == "__main__":
    app.run(main)
