"""Trains every method by one budget, for a table that compares them.

    python benchmarks/equal_budget.py --data=FOLDER --weights=FILE --out=runs
    python benchmarks/equal_budget.py ... --rows="Baseline;ELoPE" --seeds=0
    python benchmarks/equal_budget.py --setting=digits --mnist=mnist.npz --out=W

The budget is the same for each row: the backbone and its weights, the images,
crops and flips, the batch size, Adam with a cosine, and --epochs passes of the
classifying network over the training images, however many stages share them.
What prepares a method without teaching the classifier (ELoPE's and FCAN's
localisers, Coarse2Fine's upsampler) is not counted; equal_rows.py lists it.

The learning rate of the backbone is chosen for each row from three, as many
for all: half of the budget on seed 0, of what prepares too, and the least
negative log-likelihood of the validation images wins. What is behind a
pretrained backbone learns at one rate for all but Coarse2Fine, whose
classifiers see features a hundred times as long. Test images choose nothing.
Then one run of the whole budget for each seed. ELoPE's threshold is the best by
the boxes of the validation images, the one use of boxes.

--out=FOLDER gets a work directory for each run, FOLDER/ROW/seed-0, and
FOLDER/ROW/search.json. Run it again to go on after an interruption; several
processes may share the work by --rows. At the end it prints the table of all
rows that were asked for, with what their papers gained on birds and how often
their maps and boxes found the object, keeps it as OUT/table.md and draws
OUT/gains.png; examples/compare.py makes more figures of the same folders. For
--setting=digits it prints top-1 by the number of distractors (training has 8)
and draws OUT/clutter.png.
"""

import dataclasses
import functools
import json
import pathlib
import time

import keras
from absl import app, flags
from equal_report import clutter_table, gains_table
from equal_rows import SETTINGS, make_recipe
from small_backbone import small_backbone

from keras_fgvc import data, evaluation, training

FLAGS = flags.FLAGS
flags.DEFINE_enum("setting", "photographs", list(SETTINGS), "Which images.")
flags.DEFINE_string("data", None, "Folder, CSV file or name of a data set.")
flags.DEFINE_string("backbone", "mobilenet_v2", "See backbones.available().")
flags.DEFINE_string("weights", None, '"imagenet" or a local file.')
flags.DEFINE_string("mnist", None, "mnist.npz; default scikit-learn's digits.")
flags.DEFINE_integer("num_train", 6_000, "Scenes with digits to train on.")
flags.DEFINE_string(
    "out", None, "Where the work directories go.", required=True
)
flags.DEFINE_string("rows", None, "Names in equal_rows.py, ; between them.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the final runs.")
flags.DEFINE_integer("epochs", None, "Of the classifying network.", 6)
flags.DEFINE_integer("image_size", None, "Side of the images, in pixels.", 32)
flags.DEFINE_enum("verbose", "2", ["0", "1", "2"], "As in keras.Model.fit.")
TRAINING_CLUTTER = 8


def main(_):
    setting = make_setting()
    names = FLAGS.rows.split(";") if FLAGS.rows else list(setting.rows)
    unknown = [name for name in names if name not in setting.rows]
    if unknown:
        known = "; ".join(setting.rows)
        raise app.UsageError(f"No row {unknown[0]!r}; there is {known}.")
    out = pathlib.Path(FLAGS.out)
    workdirs = {}
    for name in names:
        folder = out / name.replace(", ", "-").replace(" ", "_").replace(
            "/", "_"
        )
        rate = choose_rate(setting, name, folder)
        workdirs[name] = [folder / f"seed-{seed}" for seed in FLAGS.seeds]
        for seed, workdir in zip(FLAGS.seeds, workdirs[name], strict=True):
            recipe = make_recipe(setting, name, rate, setting.epochs)
            train(setting, recipe, int(seed), workdir, "test")
    if setting.clutter:
        text = clutter_table(setting, workdirs, out / "clutter.png")
    else:
        text = gains_table(setting, workdirs, out / "gains.png", open_data)
    print(text)
    (out / "table.md").write_text(text)


def make_setting():
    setting = SETTINGS[FLAGS.setting]()
    given = {"epochs": FLAGS.epochs, "image_size": FLAGS.image_size}
    changes = {name: value for name, value in given.items() if value}
    return setting if not changes else dataclasses.replace(setting, **changes)


def choose_rate(setting, name, folder):
    """The best rate by half of the budget, on validation images."""
    path = folder / "search.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    rates = setting.rows[name].rates or setting.rates
    if len(rates) == 1:  # a control, at the rate of what it is to control
        return rates[0]
    for rate in rates:
        if str(rate) in found:
            continue
        recipe = make_recipe(setting, name, rate, setting.epochs // 2)
        workdir = folder / f"search-{rate}"
        predictions = train(setting, recipe, 0, workdir, "validation")
        found[str(rate)] = {
            "negative_log_likelihood": evaluation.negative_log_likelihood(
                predictions.probabilities, predictions.labels
            ),
            "top1": evaluation.evaluate_predictions(predictions).top1,
        }
        path.write_text(json.dumps(found, indent=1) + "\n")
    # What an earlier grid had beside these does not count.
    likelihoods = {r: found[str(r)]["negative_log_likelihood"] for r in rates}
    rate = min(likelihoods, key=likelihoods.get)
    print(f"{name}: rate {rate} of {found}", flush=True)
    return rate


@functools.cache
def open_data(seed):
    """Photographs, checked once; the seed cuts the validation split."""
    if FLAGS.setting == "digits":  # the same scenes for each seed
        return make_digits(TRAINING_CLUTTER, FLAGS.num_train)
    # Twice the side, so that crops are still sharp.
    return data.open_dataset(FLAGS.data, seed=seed).in_memory(
        2 * make_setting().image_size
    )


@functools.cache
def make_digits(distractors, num_train=1):
    source = data.load_mnist(FLAGS.mnist) if FLAGS.mnist else None
    return data.cluttered_digits(
        num_train,
        500,
        2_000,
        canvas=SETTINGS["digits"]().image_size,
        distractors=distractors,
        digits=source,
    )


def train(setting, recipe, seed, workdir, split):
    """One run, unless it is there; returns the predictions of a split."""
    path = workdir / f"predictions-{split}.npz"
    if path.exists():
        check_same(recipe, workdir)
        return evaluation.Predictions.load(path)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    images = open_data(seed)
    model = training.build_model(
        recipe,
        small_backbone() if FLAGS.setting == "digits" else FLAGS.backbone,
        len(images.class_names),
        weights=FLAGS.weights,
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
                    model, images, load_size=recipe.load_size
                )
            )
    minutes = (time.time() - begun) / 60
    if split == "test":
        test_with_clutter(setting, model, recipe, workdir)
    found = predict(model, images, recipe, split)
    found.save(path)
    result = evaluation.evaluate_predictions(found)
    print(
        f"{workdir}: {recipe.stages[0].learning_rate} at first, "
        f"{minutes:.1f} minutes, {split}: {result}",
        flush=True,
    )
    return found


def check_same(recipe, workdir):
    """Stops before figures of other settings get into the table."""
    told, asked = (
        json.dumps(dataclasses.asdict(r))
        for r in (training.open_run(workdir).recipe, recipe)
    )
    if told != asked:
        raise app.UsageError(
            f"{workdir} was trained by other settings (see its run.json). "
            "Give another --out, or the settings of then."
        )


def predict(model, images, recipe, split="test"):
    return evaluation.predict(model, images, split, load_size=recipe.load_size)


def test_with_clutter(setting, model, recipe, workdir):
    """Writes top-1 by the number of distractors."""
    found = {}
    for count in setting.clutter:
        predictions = predict(model, make_digits(count), recipe)
        found[count] = evaluation.evaluate_predictions(predictions).top1
    if found:
        path = workdir / "clutter.json"
        path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
