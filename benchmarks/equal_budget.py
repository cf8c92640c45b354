"""Trains every method by one budget, for a table that compares them.

    python benchmarks/equal_budget.py --data=FOLDER --weights=FILE --out=runs
    python benchmarks/equal_budget.py ... --rows=Baseline,ELoPE --seeds=0

The budget is the same for each row: the backbone and its weights, the images,
crops and flips, the batch size, Adam with a cosine, and --epochs passes of the
classifying network over the training images, however many stages share them.
What prepares a method without teaching the classifier (ELoPE's and FCAN's
localisers, Coarse2Fine's upsampler) is not counted and is listed in ROWS.

The learning rate of the backbone is chosen for each row from the same RATES:
half of the budget on seed 0, the least negative log-likelihood of the
validation images wins. What is behind the backbone learns at HEAD_RATE. Test
images choose nothing. Then one run of the whole budget for each seed. ELoPE's
threshold is the best by the boxes of the validation images, the one use of
boxes.

--out=FOLDER gets a work directory for each run, FOLDER/ROW/seed-0, and
FOLDER/ROW/search.json. Run it again to go on after an interruption. At the
end it prints the command of examples/compare.py that makes the table.
"""

import dataclasses
import functools
import json
import pathlib
import shlex
import time

import keras
from absl import app, flags

from keras_fgvc import data, evaluation, training
from keras_fgvc.data import Augmentation
from keras_fgvc.recipes import Recipe, Stage

FLAGS = flags.FLAGS
flags.DEFINE_string("data", None, "Folder, CSV file or name of a data set.")
flags.DEFINE_string("backbone", "mobilenet_v2", "See backbones.available().")
flags.DEFINE_string("weights", None, '"imagenet" or a local file.')
flags.DEFINE_string("out", None, "Where the work directories go.")
flags.DEFINE_list("rows", None, "Names in ROWS; default all.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the final runs.")
flags.DEFINE_integer("epochs", 8, "Of the classifying network.", lower_bound=6)
flags.DEFINE_integer("image_size", 224, "Side of the images, in pixels.")
flags.DEFINE_integer("batch_size", 16, "Images a step.")
flags.DEFINE_string("verbose", "2", "As in keras.Model.fit.")
flags.mark_flags_as_required(["data", "out"])

RATES = (5e-5, 1e-4, 2e-4)
HEAD_RATE = 2e-3
# Crops of 224 x 224 out of 256 x 256 pixels.
CROP_SHARE = (224 / 256) ** 2
CROP_AND_FLIP = Augmentation(
    random_crop=(CROP_SHARE, CROP_SHARE), horizontal_flip=True
)
FLIP = Augmentation(horizontal_flip=True)


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    Args:
        method: Name of a class of `keras_fgvc.models`.
        shares: From each stage that teaches the classifier to its share of
            the epochs, in eighths.
        before: From a stage to the one that prepares it.
        scale: Images are loaded at this multiple of the image size.
        larger: The network sees this multiple of the image size.
        arguments: Of the model.
    """

    method: str
    shares: dict = dataclasses.field(default_factory=lambda: {"classifier": 8})
    before: dict = dataclasses.field(default_factory=dict)
    scale: float = 1.0
    larger: float = 1.0
    arguments: dict = dataclasses.field(default_factory=dict)


LOCALIZER = Stage(
    "localizer",
    epochs=12,
    learning_rate=1e-3,
    optimizer="adam",
    schedule="cosine",
    monitor="val_loss",
)
GLIMPSES = dataclasses.replace(
    LOCALIZER, epochs=6, batch_size=64, monitor="val_reward"
)
UPSAMPLER = Stage(
    "upsampler",
    epochs=1,
    learning_rate=1e-3,
    optimizer="adam",
    num_examples=2_000,
    monitor="val_loss",
)
ELOPE = {
    "method": "ELoPE",
    "shares": {"classifier": 5, "crops": 2, "weighted": 1},
    "before": {"crops": LOCALIZER},
    "scale": 10 / 7,
}
FCAN = {
    "method": "FCAN",
    "shares": {"whole": 4, "parts": 4},
    "before": {"parts": GLIMPSES},
    "larger": 2.0,
}
ROWS = {
    "Baseline": Row("Baseline"),
    # As many multiply-adds as a method that looks twice.
    "Baseline, 10/7 of the side": Row("Baseline", larger=10 / 7),
    "ELoPE": Row(**ELOPE),
    "ELoPE, average pooling": Row(**ELOPE, arguments={"pooling": "average"}),
    "ELoPE, no localiser": Row("ELoPE", arguments={"localize": False}),
    "PainlessAttention": Row("PainlessAttention"),
    "Coarse2Fine": Row(
        "Coarse2Fine",
        before={"classifier": UPSAMPLER},
        arguments={"tap": 32},
    ),
    "FCAN": Row(**FCAN),
    "DAF": Row("DAF"),
}


def make_recipe(name, rate, epochs):
    """The recipe of a row at a learning rate of the backbone."""
    row = ROWS[name]
    side = round(row.larger * FLAGS.image_size)
    arguments = dict(row.arguments)
    if row.method == "FCAN":
        arguments["crop_size"] = FLAGS.image_size
        arguments["part_sizes"] = (4, 7)
    return Recipe(
        name=f"equal-{name}",
        method=row.method,
        image_size=side,
        load_size=round(row.scale * side),
        batch_size=FLAGS.batch_size,
        stages=tuple(make_stages(row, rate, epochs)),
        arguments=arguments,
    )


def make_stages(row, rate, epochs):
    """Every stage in order; those behind the first learn at half the rate."""
    left = epochs
    for place, (name, share) in enumerate(row.shares.items()):
        if name in row.before:
            yield row.before[name]
        last = place == len(row.shares) - 1
        count = left if last else max(1, epochs * share // 8)
        left -= count
        factor = 0.5**place
        yield Stage(
            name,
            epochs=count,
            learning_rate=factor * rate,
            head_rate=HEAD_RATE / rate,
            optimizer="adam",
            schedule="cosine",
            # Regions are given with the image: a crop might cut them off.
            augmentation=FLIP if name == "parts" else CROP_AND_FLIP,
        )


def main(_):
    unknown = set(FLAGS.rows or ()) - set(ROWS)
    if unknown:
        raise app.UsageError(
            f"No row {unknown.pop()!r}; there is {', '.join(ROWS)}."
        )
    out = pathlib.Path(FLAGS.out)
    names = FLAGS.rows or list(ROWS)
    arguments = []
    for name in names:
        rate = choose_rate(name, out / folder_name(name))
        for seed in map(int, FLAGS.seeds):
            workdir = out / folder_name(name) / f"seed-{seed}"
            train(name, rate, FLAGS.epochs, seed, workdir, "test")
            arguments.append(f"{name}={workdir}")
    print(shlex.join(["python", "examples/compare.py", *arguments]))


def folder_name(name):
    return name.replace(", ", "-").replace(" ", "_").replace("/", "_")


def choose_rate(name, folder):
    """The best of RATES by half of the budget, on validation images."""
    path = folder / "search.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for rate in RATES:
        if str(rate) in found:
            continue
        workdir = folder / f"search-{rate}"
        predictions = train(
            name, rate, FLAGS.epochs // 2, 0, workdir, "validation"
        )
        found[str(rate)] = {
            "negative_log_likelihood": evaluation.negative_log_likelihood(
                predictions.probabilities, predictions.labels
            ),
            "top1": float((predictions.ranks == 0).mean()),
        }
        path.write_text(json.dumps(found, indent=1) + "\n")
    rate = min(found, key=lambda r: found[r]["negative_log_likelihood"])
    print(f"{name}: rate {rate} of {found}", flush=True)
    return float(rate)


@functools.cache
def open_data(seed):
    """Every row's images, checked once; the seed cuts the validation split."""
    return data.open_dataset(FLAGS.data, seed=seed)


def train(name, rate, epochs, seed, workdir, split):
    """One run, unless it is there; returns the predictions of a split."""
    path = workdir / f"predictions-{split}.npz"
    if path.exists():
        return evaluation.Predictions.load(path)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    recipe = make_recipe(name, rate, epochs)
    images = open_data(seed)
    model = training.build_model(
        recipe, FLAGS.backbone, len(images.class_names), weights=FLAGS.weights
    )
    begun = time.time()
    for number, stage in enumerate(recipe.stages, start=1):
        training.fit(
            model,
            recipe,
            images,
            workdir,
            seed=seed,
            stages=[number],
            verbose=int(FLAGS.verbose),
        )
        if stage.name == "localizer" and recipe.method == "ELoPE":
            model.set_threshold(
                evaluation.best_threshold(
                    model, images, image_size=recipe.load_size
                )
            )
    model.save(workdir / "model.keras")
    minutes = (time.time() - begun) / 60
    found = evaluation.predict(
        model, images, split, image_size=recipe.load_size, verbose=0
    )
    found.save(path)
    result = evaluation.evaluate_predictions(found)
    print(
        f"{name}, rate {rate}, seed {seed}, {epochs} epochs, "
        f"{minutes:.1f} minutes, {split}: {result}",
        flush=True,
    )
    return found


if __name__ == "__main__":
    app.run(main)
