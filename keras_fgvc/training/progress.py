"""Progress of a training: figures that mean something, and the time left."""

import time

import keras

from keras_fgvc.models.phases import find_phase
from keras_fgvc.training.files import read_log

MINUTE, HOUR = 60, 3600


def figures_of(run) -> list[str]:
    """Returns the metrics of a stage beside its losses.

    Accuracy is one where what predicts the classes learns. In other stages
    (an up-sampler's, a localiser's) there is nothing to count, or it moves
    without being learned.

    Args:
        run: A stage, with `whole`, the method's model, `model`, what the
            stage trains, `stage`, the recipe's, and its `folder`.
    """
    # Rows that are added to a log have its columns.
    logged = read_log(run.folder / "log.csv", limit=1)
    if logged:
        has_accuracy = "accuracy" in logged[0]
    elif run.stage.monitor.removeprefix("val_") == "accuracy":
        has_accuracy = True
    else:
        has_accuracy = _predicts_classes(run.model) and _learns_classes(run)
    return ["accuracy"] if has_accuracy else []


def _predicts_classes(model):
    outputs = model.output
    return isinstance(outputs, dict) and "probabilities" in outputs


def _learns_classes(run):
    """Tells whether a backbone trains, or all that the user has not frozen."""
    if find_phase(run.whole, run.stage.name).trains is None:
        return True
    return any(e.trainable_variables for e in run.whole.feature_extractors())


def tell_stage(count: int, total: int, stage) -> None:
    """Prints which of the stages of a training begins."""
    epochs = f"{stage.epochs} epochs"
    print(f"\nstage {count} of {total}: {stage.name}, {epochs}", flush=True)


class TimeLeft(keras.callbacks.Callback):
    """Prints before each epoch but the first how long the stage still takes.

    Args:
        stage: `recipes.Stage`.
        later_epochs: Number of epochs of the stages after it, which are taken
            to last as long. Defaults to 0.
    """

    def __init__(self, stage, later_epochs: int = 0):
        super().__init__()
        self.stage = stage
        self.later_epochs = later_epochs
        self.began = None  # pair of an epoch and its time

    def on_epoch_begin(self, epoch, logs=None):
        now = time.monotonic()
        if self.began is None:
            self.began = epoch, now
            return
        first, then = self.began
        pace = (now - then) / (epoch - first)
        seconds = pace * (self.stage.epochs - epoch)
        if self.params.get("verbose"):
            text = f"{self.stage.name}: about {in_words(seconds)} left"
            if self.later_epochs:
                seconds += pace * self.later_epochs
                text += f", {in_words(seconds)} with the stages after it"
            print(text, flush=True)


def in_words(seconds: float) -> str:
    """Returns a time such as "40 s", "5 min" or "2 h 10 min"."""
    if round(seconds) < MINUTE:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / MINUTE)
    hours, rest = divmod(minutes, HOUR // MINUTE)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"
