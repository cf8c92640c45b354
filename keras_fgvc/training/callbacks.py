"""Callbacks of a stage: seeds, saving, and a stop where numbers end."""

import math

import keras
import numpy as np

from keras_fgvc.recipes.monitoring import best_epoch
from keras_fgvc.training import checksums
from keras_fgvc.training.files import BEST, find_backups, save_backup

# Far more numbers than a generator gives in an epoch.
DRAWS_PER_EPOCH = 1 << 20
SEEDS_PER_GENERATOR = 100_003  # a prime
# Reading a loss waits for the device: not after each step.
STEPS_PER_CHECK = 50


class EpochSeeds(keras.callbacks.Callback):
    """Sets every random generator of the model anew before each epoch.

    Keras keeps the state of its generators (of dropout, of a choice of maps)
    out of weight files. As a function of seed and epoch it need not be kept:
    an epoch draws the same numbers whether those before it ran in this
    process or in one that was killed.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        states = [
            variable
            for variable in self.model.variables
            if variable.name == "seed_generator_state"
        ]
        for number, state in enumerate(states):
            value = [
                self.seed + SEEDS_PER_GENERATOR * number,
                DRAWS_PER_EPOCH * epoch,
            ]
            # The generator counts in 32 bits; it may turn over.
            wrapped = np.array(value, "int64") % (1 << 32)
            state.assign(wrapped.astype("uint32").astype(state.dtype))


class StopAtNonFinite(keras.callbacks.Callback):
    """Ends a stage whose loss or monitored figure is NaN or infinite.

    It stands before what writes the log, so that such an epoch is neither
    logged nor saved.

    Args:
        folder: Folder of the stage, for the message.
        stage: `recipes.Stage`.
        checks_steps: Whether to look within an epoch as well. Of several
            processes all must stop at once, and only the figures of a whole
            epoch are the same in all of them.
    """

    def __init__(self, folder, stage, checks_steps: bool):
        super().__init__()
        self.folder = folder
        self.stage = stage
        self.checks_steps = checks_steps
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.checks_steps and batch % STEPS_PER_CHECK == 0:
            self._check(logs)

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs)

    def _check(self, logs):
        terms = (*getattr(self.model, "loss_weights", {}), "loss")
        names = [*terms, *(f"val_{t}" for t in terms), self.stage.monitor]
        wrong = [n for n in names if not math.isfinite((logs or {}).get(n, 0))]
        if wrong:
            raise ValueError(self._message(wrong[0], logs[wrong[0]]))

    def _message(self, name, value):
        best = self.folder / BEST
        kept = f" {best} keeps the best epoch before." if best.exists() else ""
        return (
            f"{self.folder.name} ends in epoch {self.epoch + 1} of "
            f"{self.stage.epochs}, because `{name}` is {float(value)}.{kept} "
            "Train in a new folder (--workdir) with a smaller learning rate "
            f"(--learning-rate, now {self.stage.learning_rate:g}) or in "
            "float32 (--precision float32), and see that labels count from 0 "
            "and images are what they should be."
        )


class Checkpoint(keras.callbacks.Callback):
    """After each epoch: the best weights so far, then the full state.

    The weights are those of the `whole` model, of which a stage may train a
    part as a model of its own; the state is that of what is trained.
    """

    def __init__(self, folder, monitor, values, whole):
        super().__init__()
        self.whole = whole
        self.folder = folder
        self.monitor = monitor
        self.values = values  # of the epochs an earlier process finished

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor not in logs:
            raise ValueError(
                f"The stage's `monitor` must be one of {', '.join(logs)}. "
                f"Received: monitor={self.monitor!r}."
            )
        self.values.append(logs[self.monitor])
        is_best = best_epoch(self.values, self.monitor) == epoch
        if is_best and math.isfinite(self.values[-1]):
            checksums.save(self.folder / BEST, self.whole.save_weights)
        old = find_backups(self.folder)
        save_backup(self.folder, epoch + 1, self.model)
        for epochs, path in old:
            if epochs != epoch + 1:
                checksums.remove(path)
