"""Writes a stage's logs, backups and best weights, always whole."""

import csv
import itertools
import json
import re

import keras

from keras_fgvc._files import move_into_place
from keras_fgvc.recipes.monitoring import best_epoch

BACKUP = re.compile(r"backup-(\d+)\.weights\.h5")


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
        if best_epoch(self.values, self.monitor) == len(self.values) - 1:
            move_into_place(
                self.folder / "best.weights.h5", self.whole.save_weights
            )
        old = find_backups(self.folder)
        save_backup(self.folder, epoch + 1, self.model)
        for _, path in old:
            path.unlink()


def save_backup(folder, epochs, model):
    """Writes the full state, with the optimizer's, after some epochs."""
    path = folder / f"backup-{epochs:04d}.weights.h5"
    move_into_place(path, model.save_weights)


def find_backups(folder):
    """Pairs (finished epochs, path) of whole backups, oldest first."""
    found = [(BACKUP.fullmatch(p.name), p) for p in folder.iterdir()]
    return sorted((int(match[1]), p) for match, p in found if match)


def remove_backups(folder):
    """Removes the full states of a stage that no training goes on from."""
    for _, path in find_backups(folder):
        path.unlink()


def epochs_done(folder) -> int:
    """Number of epochs after which a stage was finished or interrupted."""
    done = folder / "done.json"
    if done.exists():
        return json.loads(done.read_text())["epochs"]
    backups = find_backups(folder) if folder.is_dir() else ()
    return backups[-1][0] if backups else 0


def read_log(path, limit=None):
    """The first rows of a CSV log as dicts of numbers; none without a log.

    A process killed while it wrote may leave a torn row behind the whole
    ones: what has no end of line is not read.
    """
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    whole = (line for line in lines if line.endswith("\n"))
    rows = itertools.islice(csv.DictReader(whole), limit)
    return [{key: float(value) for key, value in r.items()} for r in rows]


def write_log(path, rows):
    """Writes such rows again, with the same columns."""

    def write(partial):
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    move_into_place(path, write)
