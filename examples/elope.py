"""ELoPE from a folder of photographs to a trained model, all four stages.

    python examples/elope.py --data=FOLDER --backbone=resnet50 \
        --weights=imagenet --recipe=elope-paper --workdir=runs/birds

FOLDER holds class folders, or a split.csv (path,label,split and optionally
x_min,y_min,x_max,y_max). Run the same command again after an interruption: it
goes on after the last finished epoch. The test split is looked at after each
stage and never used to choose.
"""

import dataclasses
import json
import pathlib

import keras
from absl import app, flags

from keras_fgvc import data, evaluation, models, recipes, training

FLAGS = flags.FLAGS
flags.DEFINE_string("data", None, "Folder or CSV file.", required=True)
flags.DEFINE_string("workdir", None, "Where results go.", required=True)
flags.DEFINE_string("backbone", "resnet50", "See backbones.available().")
flags.DEFINE_string("weights", None, '"imagenet" or a local file.')
flags.DEFINE_string("recipe", "elope-short", "See recipes.available().")
flags.DEFINE_integer("image_size", None, "Side the backbone sees.")
flags.DEFINE_integer("load_size", None, "Side that images are loaded at.")
flags.DEFINE_integer("batch_size", None, "Images a step.")
flags.DEFINE_list("stages", None, "Stages to run; default all.")
flags.DEFINE_list("epochs", [], "Epochs by stage, as classifier=8,crops=4.")
flags.DEFINE_list("arguments", [], "Of the model, as k=1,localize=false.")
flags.DEFINE_boolean("tune_threshold", False, "Choose tau on validation.")
flags.DEFINE_integer("seed", 0, "Of weights, order, augmentation and split.")
flags.DEFINE_string("verbose", "auto", "As in keras.Model.fit.")


def make_recipe():
    """The recipe with the sizes, epochs and arguments of the command line."""
    recipe = recipes.get(FLAGS.recipe)
    names = ("image_size", "load_size", "batch_size")
    sizes = {n: FLAGS[n].value for n in names if FLAGS[n].value}
    pairs = [argument.split("=") for argument in FLAGS.arguments]
    arguments = {name: json.loads(value) for name, value in pairs}
    epochs = {k: int(v) for k, v in (pair.split("=") for pair in FLAGS.epochs)}
    return recipe.replace(arguments=arguments, **sizes).with_epochs(**epochs)


def look(model, images, size, stage):
    """Figures on the test split; before, tau by the validation split."""
    if stage == "localizer" and FLAGS.tune_threshold:
        tau = evaluation.best_threshold(model, images, image_size=size)
        model.set_threshold(tau)
        print(f"threshold {tau} is best on validation", flush=True)
    return evaluation.evaluate(
        model, images, image_size=size, threshold=model.threshold
    )


def main(_):
    keras.utils.set_random_seed(FLAGS.seed)
    recipe = make_recipe()
    images = data.open_dataset(FLAGS.data, seed=FLAGS.seed)
    print(images.summary())
    model = models.ELoPE(
        FLAGS.backbone,
        len(images.class_names),
        image_size=recipe.image_size,
        weights=FLAGS.weights,
        **recipe.arguments,
    )
    results = {}
    verbose = FLAGS.verbose if FLAGS.verbose == "auto" else int(FLAGS.verbose)
    for stage in FLAGS.stages or model.stages:
        training.fit(
            model,
            recipe,
            images,
            FLAGS.workdir,
            seed=FLAGS.seed,
            stages=[stage],
            verbose=verbose,
        )
        result = look(model, images, recipe.load_size, stage)
        print(f"after {stage}: {result}", flush=True)
        results[stage] = dataclasses.asdict(result)
    path = pathlib.Path(FLAGS.workdir) / "test.json"
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
