"""The folder of a stage: its log, backups, best weights and end."""

import csv
import itertools
import math
import re

from keras_fgvc._files import (
    damaged,
    move_into_place,
    read_json,
    reading,
    without_nan,
    write_json,
)
from keras_fgvc.recipes.monitoring import best_epoch
from keras_fgvc.training import checksums
from keras_fgvc.training.checksums import STAGE_REMEDY

BACKUP = re.compile(r"backup-(\d+)\.weights\.h5")
BEST, DONE, LOG, THRESHOLD = (
    "best.weights.h5",
    "done.json",
    "log.csv",
    "threshold.json",
)


def save_backup(folder, epochs, model):
    """Writes the full state, with the optimizer's, after some epochs.

    What was logged so far is noted beside its checksum.
    """
    path = folder / f"backup-{epochs:04d}.weights.h5"
    rows = read_log(folder / LOG, limit=epochs)
    checksums.save(path, model.save_weights, log=without_nan(rows))


def find_backups(folder):
    """Pairs (finished epochs, path) of whole backups, oldest first."""
    found = [(BACKUP.fullmatch(p.name), p) for p in folder.iterdir()]
    return sorted((int(match[1]), p) for match, p in found if match)


def remove_backups(folder):
    """Removes the full states of a stage that no training goes on from."""
    for _, path in find_backups(folder):
        checksums.remove(path)


def remove_partial_files(workdir):
    """Removes weights that a killed process did not finish writing."""
    for pattern in ("partial-*model.keras", "*/partial-*.weights.h5"):
        for path in workdir.glob(pattern):
            path.unlink()


def epochs_done(folder) -> int:
    """Number of epochs after which a stage was finished or interrupted."""
    if (folder / DONE).exists():
        return _read_done(folder)
    backups = find_backups(folder) if folder.is_dir() else ()
    return backups[-1][0] if backups else 0


def is_finished(folder, stage) -> bool:
    """Tells whether a stage has all of its epochs and needs no training."""
    return (folder / DONE).exists() and _read_done(folder) >= stage.epochs


def later_is_done(folders, number) -> bool:
    """Tells whether model.keras is of a later stage already."""
    return any((f / DONE).exists() for n, f in folders.items() if n > number)


def _read_done(folder):
    """Returns the epochs of a finished stage; its log must agree."""
    path, log = folder / DONE, folder / LOG
    kinds = {"epochs": int, "best": dict}
    epochs = read_json(path, kinds, STAGE_REMEDY)["epochs"]
    if epochs < 1:
        raise damaged(path, f"'epochs' is {epochs}", STAGE_REMEDY)
    if log.exists() and len(read_log(log)) != epochs:
        raise _other_length(log, len(read_log(log)), epochs, DONE)
    return epochs


def write_done(folder, monitor):
    """Marks a stage as finished, with its best epoch.

    Raises:
        ValueError: If no epoch of the log has finite figures.
    """
    rows = read_log(folder / LOG)
    values = [monitored(row, monitor, folder / LOG) for row in rows]
    if not any(map(math.isfinite, values)):
        raise ValueError(
            f"No epoch of {folder} has a finite {monitor} and a finite loss: "
            "its training diverged. Train in a new folder (--workdir) with a "
            "smaller learning rate (--learning-rate) or in float32 "
            "(--precision float32)."
        )
    best = rows[best_epoch(values, monitor)]
    done = {"epochs": len(rows), "best": best}
    write_json(folder / DONE, done, nan_as_null=True)


def monitored(row, monitor, log) -> float:
    """Returns the monitored figure of an epoch; NaN if a loss is not finite.

    Raises:
        DamagedFileError: If the log has no such column.
    """
    if monitor not in row:
        reason = f"it has no column {monitor!r} among {', '.join(row)}"
        raise damaged(log, reason, STAGE_REMEDY)
    losses = [row[name] for name in ("loss", "val_loss") if name in row]
    return row[monitor] if all(map(math.isfinite, losses)) else math.nan


def check_log(folder, epochs) -> None:
    """Compares the log with what the last backup noted of it.

    Raises:
        DamagedFileError: If rows are missing, or other than they were.
    """
    log, backups = folder / LOG, find_backups(folder)
    rows = read_log(log, limit=epochs)
    if len(rows) < epochs:
        name = backups[-1][1].name if backups else DONE
        raise _other_length(log, len(rows), epochs, name)
    told = checksums.noted(backups[-1][1]).get("log") if backups else None
    for number, (row, before) in enumerate(
        zip(without_nan(rows), told or (), strict=False), start=1
    ):
        changed = [n for n in {**row, **before} if row.get(n) != before.get(n)]
        if changed:
            name = changed[0]
            raise damaged(
                log,
                f"{name} of epoch {number} is {row.get(name)}, and was "
                f"{before.get(name)} when {backups[-1][1].name} was written",
                STAGE_REMEDY,
            )


def _other_length(log, rows, epochs, name):
    reason = f"it has {rows} rows, and by {name} {epochs} epochs are done"
    return damaged(log, reason, STAGE_REMEDY)


def read_log(path, limit=None):
    """The first rows of a CSV log as dicts of numbers; none without a log.

    A process killed while it wrote may leave a torn row behind the whole
    ones: what has no end of line is not read.

    Raises:
        DamagedFileError: If a whole row does not hold a number per column, or
            is not that of the next epoch.
    """
    if not path.exists():
        return []
    with reading(path, STAGE_REMEDY):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        whole = (line for line in lines if line.endswith("\n"))
        rows = list(itertools.islice(csv.DictReader(whole), limit))
    return [_numbers(path, number, row) for number, row in enumerate(rows)]


def _numbers(path, number, row):
    try:
        row = {key: float(value) for key, value in row.items()}
        is_next = row.get("epoch", number) == number
    except (TypeError, ValueError):  # a field too many, too few, or no number
        is_next = False
    if not is_next:
        reason = f"row {number + 1} is not that of epoch {number + 1}"
        raise damaged(path, reason, STAGE_REMEDY)
    return row


def write_log(path, rows):
    """Writes such rows again, with the same columns."""

    def write(partial):
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    move_into_place(path, write)


def read_threshold(path) -> float:
    """Reads the threshold that was chosen after a stage.

    Raises:
        DamagedFileError: If it is no number from 0 to 1.
    """
    value = read_json(path, (int, float), STAGE_REMEDY)
    if not 0 <= value <= 1:
        raise damaged(path, f"{value} is not between 0 and 1", STAGE_REMEDY)
    return value
