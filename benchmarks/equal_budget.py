"""Trains every method by one budget, for a table that compares them.

    python benchmarks/equal_budget.py --data=FOLDER --weights=FILE --out=runs
    python benchmarks/equal_budget.py ... --rows="Baseline;ELoPE" --seeds=0
    python benchmarks/equal_budget.py ... --folds=3 --rates=1e-4,1e-3
    python benchmarks/equal_budget.py --setting=digits --mnist=mnist.npz --out=W

The budget is the same for each row: the backbone and its weights, the images,
crops and flips, the batch size, Adam with a cosine, and --epochs passes of the
classifying network over the training images, however many stages share them.
What prepares a method without teaching the classifier (ELoPE's and FCAN's
localisers, Coarse2Fine's upsampler) is not counted; equal_rows.py lists it.
Controls are rows of their own: what has the same pixels, networks and passes
as a method, but not its idea.

Each row searches for its two learning rates, of the backbone and of what is
behind it: half of the budget on seed 0, of what prepares too, from a start over
neighbouring pairs until none of them wins, by accuracy and likelihood of the
validation images together (equal_search.py has the rule). A control takes the
rates of what it controls. --rates=BACKBONE,HEAD fixes them for all. Test images
choose nothing. Then one run of the whole budget for each seed, on each of
--folds parts of all images if that is given. ELoPE's threshold is the best by
the boxes of the validation images, where there are any.

Before the first run it says how large a gain these images and seeds can show.
--out=FOLDER gets a work directory for each run, FOLDER/ROW/seed-0, and
FOLDER/ROW/search.json. Run it again to go on after an interruption; several
processes may share the work by --rows. At the end it prints the table of all
rows that were asked for, keeps it as OUT/table.md and draws OUT/gains.png;
--write=equal-budget-photographs puts the table into its page. Of digits it has
top-1 by the number of distractors, training has 8, and OUT/clutter.png.
"""

import dataclasses
import functools
import json
import pathlib
import time

import equal_images
import keras
import results
from absl import app, flags
from equal_report import clutter_table, gains_table
from equal_rows import SETTINGS, make_recipe
from equal_search import Rates, search
from equal_verdicts import power
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
flags.DEFINE_integer("folds", 0, "Parts of all images; 0: the own test split.")
flags.DEFINE_list("rates", None, "Of the backbone, and of what is behind it.")
flags.DEFINE_integer("epochs", None, "Of the classifying network.", 6)
flags.DEFINE_integer("image_size", None, "Side of the images, in pixels.", 32)
flags.DEFINE_string(
    "set", None, 'Arguments of every model, as JSON: {"trainable": "last:4"}.'
)
flags.DEFINE_enum("verbose", "2", ["0", "1", "2"], "As in keras.Model.fit.")
TRAINING_CLUTTER = 8
STEPS = (2, 4)  # between neighbouring rates of the backbone, of the head


def main(_):
    setting = make_setting()
    names = FLAGS.rows.split(";") if FLAGS.rows else list(setting.rows)
    unknown = [name for name in names if name not in setting.rows]
    if unknown:
        known = "; ".join(setting.rows)
        raise app.UsageError(f"No row {unknown[0]!r}; there is {known}.")
    out = pathlib.Path(FLAGS.out)
    tested = sum(len(open_data(0, f).subset("test")) for f in folds())
    print(power(tested, len(FLAGS.seeds), len(folds())), flush=True)
    runs = {name: train_row(setting, name, out) for name in names}
    if setting.clutter:
        text = clutter_table(setting, runs, out / "clutter.png")
    else:
        text = gains_table(setting, runs, out / "gains.png", open_run_data)
    print(text)
    (out / "table.md").write_text(text)
    if FLAGS.write:
        results.write(FLAGS.write, text)


def make_setting():
    setting = SETTINGS[FLAGS.setting]()
    given = {"epochs": FLAGS.epochs, "image_size": FLAGS.image_size}
    changes = {name: value for name, value in given.items() if value}
    if FLAGS.set:
        changes["arguments"] = {**setting.arguments, **json.loads(FLAGS.set)}
    return dataclasses.replace(setting, **changes)


def folds():
    return range(FLAGS.folds) if FLAGS.folds else (None,)


def train_row(setting, name, out):
    """Trains all runs of a row; returns their folders by seed and fold."""
    row = setting.rows[name]
    of = row.rates_of or name
    rates = choose_rates(setting, of, folder_of(out, of))
    recipe = make_recipe(setting, name, rates, setting.epochs)

    def folder(run):
        parts = [f"seed-{run.seed}"]
        parts += [] if run.fold is None else [f"fold-{run.fold}"]
        parts += [f"network-{run.network}"] if run.network else []
        workdir = folder_of(out, name) / "-".join(parts)
        train(setting, recipe, run, workdir, "test")
        return workdir

    return [
        [
            [
                folder(Run(int(seed), fold, network, row.region))
                for network in range(row.networks)
            ]
            for fold in folds()
        ]
        for seed in FLAGS.seeds
    ]


def folder_of(out, name):
    return out / name.replace(", ", "-").replace(" ", "_").replace("/", "_")


@dataclasses.dataclass(frozen=True)
class Run:
    """What tells one training of a row from another."""

    seed: int
    fold: int | None = None
    network: int = 0
    region: str | None = None

    def images(self):
        images = open_data(self.seed, self.fold)
        return equal_images.cut(images, self.region) if self.region else images

    @property
    def own_seed(self):
        """Two networks of one seed see the same images in other orders."""
        return self.seed + 1_000 * self.network


def choose_rates(setting, name, folder):
    """The best pair of rates by half of the budget, on validation images."""
    if FLAGS.rates:
        backbone, head = map(float, FLAGS.rates)
        return Rates(backbone, head)
    path = folder / "search.json"
    found = json.loads(path.read_text()) if path.exists() else {}

    def measure(rates):
        key = f"{rates.backbone:g}, {rates.head and f'{rates.head:g}'}"
        if key not in found:
            recipe = make_recipe(setting, name, rates, setting.epochs // 2)
            workdir = folder / f"search-{key.replace(', ', '-')}"
            run = Run(0, folds()[0], region=setting.rows[name].region)
            seen = train(setting, recipe, run, workdir, "validation")
            found[key] = {
                "negative_log_likelihood": evaluation.negative_log_likelihood(
                    seen.probabilities, seen.labels
                ),
                "top1": evaluation.evaluate_predictions(seen).top1,
            }
            path.write_text(json.dumps(found, indent=1) + "\n")
        return found[key]

    start = setting.rows[name].start or setting.start
    rates, is_inside = search(start, STEPS, measure)
    at_edge = "" if is_inside else ", at the edge of what was tried"
    print(f"{name}: {rates}{at_edge}, of {found}", flush=True)
    return rates


@functools.lru_cache(maxsize=2)
def open_data(seed, fold=None):
    """Photographs, checked once; the seed cuts the validation split."""
    if FLAGS.setting == "digits":  # the same scenes for each seed
        return make_digits(TRAINING_CLUTTER, FLAGS.num_train)
    if fold is None:
        return in_memory(seed)
    return equal_images.make_folds(in_memory(0), FLAGS.folds, fold, seed)


@functools.lru_cache(maxsize=1)
def in_memory(seed):
    side = 2 * make_setting().image_size  # so that crops are still sharp
    return data.open_dataset(FLAGS.data, seed=seed).in_memory(side)


def open_run_data(workdir):
    """The images that a work directory was trained on."""
    return Run(**json.loads((workdir / "run_of.json").read_text())).images()


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


def train(setting, recipe, run, workdir, split):
    """One run, unless it is there; returns the predictions of a split."""
    path = workdir / f"predictions-{split}.npz"
    if path.exists():
        check_same(recipe, workdir)
        return evaluation.Predictions.load(path)
    keras.backend.clear_session()
    keras.utils.set_random_seed(run.own_seed)
    images = run.images()
    model = training.build_model(
        recipe,
        small_backbone() if FLAGS.setting == "digits" else FLAGS.backbone,
        len(images.class_names),
        weights=FLAGS.weights,
    )
    begun = time.time()
    is_prepared = any(stage.name == "localizer" for stage in recipe.stages)
    training.fit(
        model,
        recipe,
        images,
        workdir,
        seed=run.own_seed,
        tune_threshold=is_prepared
        and recipe.method == "ELoPE"
        and images.subset("validation").boxes is not None,
        verbose=int(FLAGS.verbose),
    )
    minutes = (time.time() - begun) / 60
    (workdir / "run_of.json").write_text(json.dumps(dataclasses.asdict(run)))
    if split == "test":
        test_with_clutter(setting, model, recipe, workdir)
    found = predict(model, images, recipe, split)
    if run.region:  # the same photographs, so that rows can be compared
        whole = open_data(run.seed, run.fold).subset(split).source
        found = dataclasses.replace(found, image_digest=whole.identity())
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
