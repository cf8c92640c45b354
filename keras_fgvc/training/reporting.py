"""The page about a run: figures, explanations, curves and confusions."""

import dataclasses
import functools
import json

import numpy as np

from keras_fgvc import evaluation, visualization
from keras_fgvc.decoding.resizing import SQUASH
from keras_fgvc.training.photographs import names_of, photographs_of

# In a work directory: command, version and date of the training.
MADE_BY = "made_by.json"
NOT_RECORDED = "not recorded"


def write_report(
    run,
    model,
    images,
    split,
    *,
    batch_size: int,
    num_images: int = 8,
    num_mistakes: int = 4,
    num_pairs: int = 8,
    command: str | None = None,
):
    """Writes WORKDIR/report.html and its pictures; returns the page's path.

    Args: See `Run.report`; `images` are `data.LabeledImages`.
    """
    predictions = evaluation.predict(
        model,
        images,
        split,
        load_size=run.recipe.load_size,
        batch_size=batch_size,
        verbose=1,
    )
    result = evaluation.evaluate_predictions(predictions)
    print(result, flush=True)
    folder = run.workdir / "report"
    folder.mkdir(exist_ok=True)
    reader = _Reader(images, split, run.recipe.load_size)
    predicted = predictions.probabilities.argmax(axis=1)
    counts = {"explanations": num_images, "mistakes": num_mistakes}
    sections = [
        *_explain(model, reader, predicted, folder, counts),
        *_show_training(run, folder),
        _show_confusions(reader, predicted, folder, num_pairs),
    ]
    made_by = {"command of the report": command} if command else {}
    return visualization.write_report(
        run.workdir / "report.html",
        title=f"{run.recipe.method} on {images.name}, {split} split",
        evaluation=result,
        facts=_facts(run, images, model) | _made_by(run.workdir) | made_by,
        sections=sections,
    )


class _Reader:
    """Images of the split, as the model sees them, by their numbers."""

    def __init__(self, images, split, size):
        self.images = images
        self.size = size
        self.examples = images.subset(split)
        self.resize = images.resize or SQUASH
        self.names = names_of(self.examples)

    def __call__(self, indices):
        pixels, _ = self._read(indices)
        return pixels

    def boxes(self, indices):
        """True boxes on these images; NaN for none, or one cut off."""
        if self.examples.boxes is None:
            return None
        _, target = self._read(indices, with_boxes=True)
        box = target["box"]
        return np.where(box.any(axis=-1, keepdims=True), box, np.nan)

    def _read(self, indices, **wanted):
        chosen = dataclasses.replace(
            self.images, splits={"chosen": self.examples.take(indices)}
        )
        batches = chosen.batches(
            "chosen",
            load_size=self.size,
            batch_size=len(indices),
            **wanted,
        )
        return next(batches.as_numpy_iterator())


def _explain(model, reader, predicted, folder, counts):
    """Sections of images from all over the split, and of mistakes."""
    everything = np.arange(len(predicted))
    mistakes = np.flatnonzero(predicted != reader.examples.labels)
    for name, title, among in (
        ("explanations", "What the model saw", everything),
        ("mistakes", "Mistakes", mistakes),
    ):
        count = counts[name]
        places = np.linspace(0, len(among) - 1, min(count, len(among)))
        chosen = among[places.astype(int)]
        if not chosen.size:
            continue
        print(f"drawing {name}", flush=True)
        pixels, examples = reader(chosen), reader.examples.take(chosen)
        names = reader.images.class_names
        found = visualization.explain(model, pixels, class_names=names)
        truth = {
            "names": [reader.names[index] for index in chosen],
            "labels": examples.labels,
            "true_boxes": reader.boxes(chosen),
            "class_names": names,
        }
        photographs = photographs_of(reader.examples, chosen, reader.resize)
        visualization.save_explanations(
            folder / f"{name}.png", photographs, found, **truth
        )
        note = f"{len(chosen)} of {len(among)}, evenly over the split."
        yield visualization.explanation_section(
            photographs, found, title=title, note=note, **truth
        )


def _show_training(trained, folder):
    """The section of the curves, if the logs are still there."""
    logs = trained.logs()
    if not logs:
        return
    print("drawing curves", flush=True)
    stages = enumerate(trained.recipe.stages, start=1)
    monitors = {f"{n}-{stage.name}": stage.monitor for n, stage in stages}
    path = folder / "curves.png"
    visualization.save_training_curves(path, logs, monitors=monitors)
    yield visualization.training_section(logs, monitors=monitors)


def _show_confusions(reader, predicted, folder, count):
    """The section of what is taken for one another."""
    print("drawing confusions", flush=True)
    shown = {
        "class_names": reader.images.class_names,
        "count": count,
        "names": reader.names,
    }
    pairs = reader.examples.labels, predicted
    look = functools.partial(photographs_of, reader.examples)
    path = folder / "confusions.png"
    visualization.save_confusions(path, *pairs, look, **shown)
    return visualization.confusion_section(*pairs, look, **shown)


def _made_by(workdir):
    """Returns the command line's notes, if it trained the run."""
    path = workdir / MADE_BY
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a fact that is missing is no error
        noted = {}
    noted = noted if isinstance(noted, dict) else {}
    version, date = (noted.get(n, NOT_RECORDED) for n in ("version", "date"))
    trained = f"{date}, by keras-fgvc {version}" if noted else NOT_RECORDED
    command = noted.get("command", NOT_RECORDED)
    return {
        "model": str(workdir / "model.keras"),
        "trained": trained,
        "command of the training": command,
    }


def _facts(trained, images, model):
    """Returns the settings that are needed to repeat the run."""
    recipe = trained.recipe
    sizes = [f"{name} {count}" for name, count in images.split_sizes.items()]
    arguments = [f"{name}={value}" for name, value in recipe.arguments.items()]
    facts = {
        "method": recipe.method,
        "recipe": recipe.name,
        "arguments": ", ".join(arguments) or "the method's own",
        "image size": (
            f"{recipe.image_size}, loaded at {recipe.load_size} "
            f"({recipe.resize})"
        ),
        "initial weights": trained.initial_weights or NOT_RECORDED,
        "parameters": f"{model.count_params():,}",
        "data": f"{images.name}, {len(images.class_names)} classes",
        "images": ", ".join(sizes),
        "licence": images.licence or NOT_RECORDED,
        "seed": trained.seed,
    }
    for number, stage in enumerate(recipe.stages, start=1):
        if stage.name in model.stages:  # the plain network's are fewer
            facts[f"stage {number}"] = (
                f"{stage.name}: {stage.epochs} epochs, {stage.optimizer}, "
                f"learning rate {stage.learning_rate:g}, {stage.schedule}, "
                f"batches of {stage.batch_size or recipe.batch_size}"
            )
    return facts
