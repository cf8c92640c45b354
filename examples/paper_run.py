"""What the scripts of the papers share: flags, stages, figures, a picture.

Run one of `elope.py`, `painless_attention.py`, `coarse2fine.py`, `fcan.py`,
`daf.py`.
"""

import dataclasses
import functools
import json
import pathlib
import sys

import keras
import numpy as np
from absl import app, flags

from keras_fgvc import data, evaluation, training
from keras_fgvc.cli import make_recipe

THRESHOLD = "threshold.json"  # in the work directory
FLAGS = flags.FLAGS
flags.DEFINE_string("data", None, "Folder, CSV file or name of a data set.")
flags.DEFINE_string("data_dir", None, "See data.open_dataset.")
flags.DEFINE_string("workdir", None, "Where results go.", required=True)
flags.DEFINE_string("backbone", "resnet50", "See backbones.available().")
flags.DEFINE_string("weights", None, '"imagenet" or a local file.')
flags.DEFINE_string("recipe", None, "See recipes.available().")
flags.DEFINE_integer("image_size", None, "Side the backbone sees.")
flags.DEFINE_integer("load_size", None, "Side of loading; in proportion.")
flags.DEFINE_integer("batch_size", None, "Images a step.")
flags.DEFINE_list("stages", None, "Stages to run; default all.")
flags.DEFINE_list("epochs", [], "Epochs by stage, as classifier=8,crops=4.")
flags.DEFINE_list("batch_sizes", [], "Images a step by stage, likewise.")
flags.DEFINE_integer("rounds", 1, "How often to go through the stages.")
flags.DEFINE_string("arguments", "", "Of the model, as k=1,localize=false.")
flags.DEFINE_boolean("baseline", False, "Train models.Baseline instead.")
flags.DEFINE_boolean("tune_threshold", False, "Choose tau on validation.")
flags.DEFINE_integer("seed", 0, "Of weights, order, augmentation.")
flags.DEFINE_integer("data_seed", None, "Of data and splits; default --seed.")
flags.DEFINE_string("verbose", "auto", "As in keras.Model.fit.")
flags.DEFINE_enum(
    "strategy", "none", training.STRATEGIES, "See training.make_strategy."
)
flags.DEFINE_string("tpu", "local", "Name of the TPU, for --strategy=tpu.")


def run(tune_after=None, evaluate_after=None, on_batch=None):
    """Trains stage after stage; prints and writes figures on the test split.

    Args:
        tune_after: The stage after which --tune_threshold chooses tau.
        evaluate_after: Names of the stages after which the whole model can
            be judged. Defaults to all.
        on_batch: Function of the model, images of the test split and its
            outputs for them, called for each batch when it is judged last.

    Returns:
        The trained model, the data and the recipe.
    """
    model, images, recipe, is_chief = make()
    wanted = chosen_stages(model, tune_after)
    restore_threshold(model)
    results = {}
    numbered = [s for s in enumerate(recipe.stages, 1) if s[1].name in wanted]
    judged = [n for n, s in numbered if s.name in (evaluate_after or wanted)]
    for number, stage in numbered:
        train(model, recipe, images, number)
        finished = training.open_run(FLAGS.workdir).finished_stages()
        is_last = max(finished, default=number) == number
        if stage.name == tune_after and FLAGS.tune_threshold:
            tune_threshold(model, images, recipe.load_size)
            if is_chief:
                keep_threshold(model, is_last)
        if is_chief and number in judged:
            watch = on_batch if number == judged[-1] else None
            results[stage.name] = judge(
                model, images, recipe, stage.name, watch, keep=is_last
            )
    if not is_chief:  # The first process judges and draws.
        sys.exit()
    write_results(results)
    return model, images, recipe


def make():
    """The model, the data, the recipe, and whether this process leads."""
    strategy = training.make_strategy(FLAGS.strategy, tpu=FLAGS.tpu)
    keras.utils.set_random_seed(FLAGS.seed)
    recipe = make_recipe(FLAGS)
    seed = FLAGS.seed if FLAGS.data_seed is None else FLAGS.data_seed
    images = data.open_dataset(FLAGS.data, data_dir=FLAGS.data_dir, seed=seed)
    with strategy.scope():
        model = training.build_model(
            recipe,
            FLAGS.backbone,
            len(images.class_names),
            weights=FLAGS.weights,
        )
    is_chief = training.is_chief(strategy)
    if is_chief:
        print(images.summary())
    return model, images, recipe, is_chief


def chosen_stages(model, tune_after):
    """Names of the stages to run."""
    wanted = FLAGS.stages or model.stages
    for name in wanted:
        if name not in model.stages:
            known = ", ".join(model.stages)
            raise app.UsageError(f"No stage {name!r}; there is {known}.")
    if FLAGS.tune_threshold and tune_after not in wanted:
        raise app.UsageError(
            f"--tune_threshold needs {tune_after!r} among --stages "
            f"({', '.join(wanted)}); a finished stage is only loaded."
        )
    return wanted


def train(model, recipe, images, number):
    """One stage of the recipe."""
    verbose = FLAGS.verbose if FLAGS.verbose == "auto" else int(FLAGS.verbose)
    training.fit(
        model,
        recipe,
        images,
        FLAGS.workdir,
        seed=FLAGS.seed,
        stages=[number],
        verbose=verbose,
    )


def judge(model, images, recipe, stage, on_batch=None, keep=True):
    """The test split's figures, printed and as a dict.

    The answers themselves are kept for compare.py, those of the last stage.
    """
    found = evaluation.predict(
        model,
        images,
        image_size=recipe.load_size,
        on_batch=on_batch and functools.partial(on_batch, model),
    )
    if keep:
        found.save(pathlib.Path(FLAGS.workdir) / "predictions-test.npz")
    result = evaluation.evaluate_predictions(found)
    print(f"after {stage}: {result}", flush=True)
    return result.as_dict()


def tune_threshold(model, images, size):
    """Sets tau to the best on the validation split."""
    model.set_threshold(
        evaluation.best_threshold(model, images, image_size=size)
    )


def keep_threshold(model, is_last):
    """For a command that trains the stages behind; and in the saved model."""
    workdir = pathlib.Path(FLAGS.workdir)
    (workdir / THRESHOLD).write_text(json.dumps(float(model.threshold)) + "\n")
    print(f"threshold {model.threshold} is best on validation", flush=True)
    if is_last:  # else model.keras is of a later stage
        model.save(workdir / "new.keras")
        (workdir / "new.keras").replace(workdir / "model.keras")


def restore_threshold(model):
    """Sets tau to what an earlier command chose, if one did."""
    path = pathlib.Path(FLAGS.workdir) / THRESHOLD
    if path.exists():
        model.set_threshold(json.loads(path.read_text()))


def write_results(results):
    """Figures of these stages, beside those of earlier commands."""
    path = pathlib.Path(FLAGS.workdir) / "test.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**before, **results}, indent=1) + "\n")


def sample_images(images, size, count=24):
    """Images from all over the test split, their boxes and labels."""
    test = images.subset("test")
    chosen = np.linspace(0, len(test) - 1, min(count, len(test))).astype(int)
    images = dataclasses.replace(images, splits={"test": test.take(chosen)})
    batches = images.batches(
        "test",
        image_size=size,
        batch_size=len(chosen),
        with_boxes=test.boxes is not None,
    )
    pixels, targets = next(batches.as_numpy_iterator())
    if not isinstance(targets, dict):
        return pixels, None, targets
    return pixels, targets["box"], targets["label"]
