"""A report of a finished run: figures, explanations, curves, confusions.

    python examples/report.py --workdir=runs/birds

WORKDIR is that of any of the other scripts, or of `training.fit`. Evaluates
the model on a split and writes WORKDIR/report.html, one file that opens
anywhere, and its pictures as WORKDIR/report/*.png. --data tells where the
images lie now, if they were moved.
"""

import dataclasses
import pathlib

import numpy as np
from absl import app, flags

from keras_fgvc import evaluation, training, visualization

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Of the training.", required=True)
flags.DEFINE_string("data", None, "Where its data lies, if it was moved.")
flags.DEFINE_string("data_dir", None, "See data.open_dataset.")
flags.DEFINE_string("split", "test", "Split to report on.")
flags.DEFINE_integer("batch_size", 32, "Images a step.")
flags.DEFINE_integer("num_images", 8, "Images to explain.", lower_bound=1)
flags.DEFINE_integer("num_mistakes", 4, "Mistakes to explain.", lower_bound=0)
flags.DEFINE_integer("num_pairs", 8, "Confused pairs to show.", lower_bound=1)


def main(_):
    run = training.open_run(FLAGS.workdir)
    images = run.open_data(FLAGS.data, data_dir=FLAGS.data_dir)
    model = run.load_model()
    predictions = evaluation.predict(
        model,
        images,
        FLAGS.split,
        image_size=run.recipe.load_size,
        batch_size=FLAGS.batch_size,
        verbose=1,
    )
    result = evaluation.evaluate_predictions(predictions)
    print(result, flush=True)
    folder = pathlib.Path(FLAGS.workdir) / "report"
    folder.mkdir(exist_ok=True)
    reader = Reader(images, run.recipe.load_size)
    predicted = predictions.probabilities.argmax(axis=1)
    sections = [
        *explain(model, reader, predicted, folder),
        *show_training(run, folder),
        show_confusions(reader, predicted, folder),
    ]
    path = visualization.write_report(
        pathlib.Path(FLAGS.workdir) / "report.html",
        title=f"{run.recipe.method} on {images.name}, {FLAGS.split} split",
        evaluation=result,
        facts=facts_of(run, images, model),
        sections=sections,
    )
    print(f"pictures: {folder}\nreport: {path}")


class Reader:
    """Images of the split, as the model sees them, by their numbers."""

    def __init__(self, images, size):
        self.images = images
        self.size = size
        self.examples = images.subset(FLAGS.split)

    def __call__(self, indices):
        chosen = dataclasses.replace(
            self.images, splits={"chosen": self.examples.take(indices)}
        )
        batches = chosen.batches(
            "chosen", image_size=self.size, batch_size=len(indices)
        )
        pixels, _ = next(batches.as_numpy_iterator())
        return pixels


def explain(model, reader, predicted, folder):
    """Sections of images from all over the split, and of mistakes."""
    everything = np.arange(len(predicted))
    mistakes = np.flatnonzero(predicted != reader.examples.labels)
    for name, title, among, count in (
        ("explanations", "What the model saw", everything, FLAGS.num_images),
        ("mistakes", "Mistakes", mistakes, FLAGS.num_mistakes),
    ):
        places = np.linspace(0, len(among) - 1, min(count, len(among)))
        chosen = among[places.astype(int)]
        if not chosen.size:
            continue
        print(f"drawing {name}", flush=True)
        pixels, examples = reader(chosen), reader.examples.take(chosen)
        names = reader.images.class_names
        found = visualization.explain(model, pixels, class_names=names)
        truth = {
            "labels": examples.labels,
            "true_boxes": examples.boxes,
            "class_names": names,
        }
        visualization.save_explanations(
            folder / f"{name}.png", pixels, found, **truth
        )
        note = f"{len(chosen)} of {len(among)}, evenly over the split."
        yield visualization.explanation_section(
            pixels, found, title=title, note=note, **truth
        )


def show_training(run, folder):
    """The section of the curves, if the logs are still there."""
    logs = run.logs()
    if not logs:
        return
    print("drawing curves", flush=True)
    stages = enumerate(run.recipe.stages, start=1)
    monitors = {f"{n}-{stage.name}": stage.monitor for n, stage in stages}
    path = folder / "curves.png"
    visualization.save_training_curves(path, logs, monitors=monitors)
    yield visualization.training_section(logs, monitors=monitors)


def show_confusions(reader, predicted, folder):
    """The section of what is taken for one another."""
    print("drawing confusions", flush=True)
    options = {
        "class_names": reader.images.class_names,
        "count": FLAGS.num_pairs,
    }
    labels = reader.examples.labels
    path = folder / "confusions.png"
    visualization.save_confusions(path, labels, predicted, reader, **options)
    return visualization.confusion_section(labels, predicted, reader, **options)


def facts_of(run, images, model):
    """What one wants to know to make the run again."""
    recipe = run.recipe
    sizes = [f"{name} {count}" for name, count in images.split_sizes.items()]
    arguments = [f"{name}={value}" for name, value in recipe.arguments.items()]
    facts = {
        "method": recipe.method,
        "recipe": recipe.name,
        "arguments": ", ".join(arguments) or "the method's own",
        "sides": f"seen at {recipe.image_size}, loaded at {recipe.load_size}",
        "weights": f"{model.count_params():,}",
        "data": f"{images.name}, {len(images.class_names)} classes",
        "images": ", ".join(sizes),
        "licence": images.licence or "not told",
        "batch size": recipe.batch_size,
        "seed": run.seed,
    }
    for number, stage in enumerate(recipe.stages, start=1):
        facts[f"stage {number}"] = (
            f"{stage.name}: {stage.epochs} epochs, {stage.optimizer}, "
            f"learning rate {stage.learning_rate:g}, {stage.schedule}"
        )
    return facts


if __name__ == "__main__":
    app.run(main)
