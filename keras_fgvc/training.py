"""Runs a recipe's stages in order, each resumable after any interruption.

```
workdir/
  run.json                    what is trained: recipe, seed, classes
  1-classifier/
    log.csv                   one row an epoch
    tensorboard/
    backup-0003.weights.h5    full state after 3 epochs, while it runs
    best.weights.h5           the best epoch on validation
    done.json                 the stage is finished; it is never run again
  2-localizer/ ...
  model.keras                 the trained model
```

Every file is written beside its place and then moved there, so that a
process killed at any moment leaves whole files only.
"""

import csv
import dataclasses
import importlib.util
import json
import os
import pathlib
import re

import keras

from keras_fgvc.recipes import Recipe, Stage

BACKUP = re.compile(r"backup-(\d+)\.weights\.h5")
# Stages shuffle and augment differently from one another.
SEEDS_PER_STAGE = 1000


def fit(
    model,
    recipe: Recipe,
    data,
    workdir,
    *,
    seed: int = 0,
    stages=None,
    verbose="auto",
) -> dict:
    """Trains a model through a recipe's stages; call again to resume.

    Finished stages are loaded, a stage that was interrupted goes on after its
    last finished epoch with the same images in the same order, and each
    stage ends with the weights of its best epoch on the validation split.

    Args:
        model: A `keras_fgvc.models` model.
        recipe: From `keras_fgvc.recipes`.
        data: `keras_fgvc.data.LabeledImages` with the splits `"train"` and
            `"validation"`.
        workdir: Folder for checkpoints and logs, made if it is missing.
        seed: Of shuffling and augmentation.
        stages: Names of the stages to run. Defaults to all of the recipe's
            that the model has.
        verbose: As in `keras.Model.fit`.

    Returns:
        Dict from stage to its log, a list of one dict an epoch.

    Raises:
        ValueError: If a stage is unknown, or `workdir` holds another run.

    Example: `examples/elope.py`.
    """
    chosen = _chosen_stages(model, recipe, stages)
    workdir = pathlib.Path(workdir)
    _claim(workdir, recipe, data, seed)
    logs = {}
    for number, stage in chosen:
        folder = _folder(workdir, number, stage)
        if not (folder / "done.json").exists():
            _load_previous(model, recipe, workdir, stage)
            run = _StageRun(model, recipe, stage, folder)
            run(data, seed + SEEDS_PER_STAGE * number, verbose)
        model.begin_stage(stage.name)
        model.load_weights(folder / "best.weights.h5")
        logs[stage.name] = _read_log(folder / "log.csv")
    _move_into_place(workdir / "model.keras", model.save)
    return logs


def make_optimizer(stage: Stage, steps_per_epoch: int):
    """The optimizer of a stage, with its learning-rate schedule.

    Keras decouples weight decay: each step takes `rate * decay * weight` off
    a weight, once. The papers' decay is part of the gradient, which momentum
    counts 1 / (1 - momentum) times in the long run; so it is for SGD here.
    """
    rate = _schedule(stage, steps_per_epoch)
    decay = stage.weight_decay or None
    if stage.optimizer == "adam":
        return keras.optimizers.Adam(rate, weight_decay=decay)
    if decay:
        decay /= 1.0 - stage.momentum
    return keras.optimizers.SGD(
        rate, momentum=stage.momentum, weight_decay=decay
    )


def _schedule(stage, steps_per_epoch):
    rate, schedules = stage.learning_rate, keras.optimizers.schedules
    if stage.schedule == "cosine":
        return schedules.CosineDecay(rate, steps_per_epoch * stage.epochs)
    if stage.schedule == "step":
        return schedules.ExponentialDecay(
            rate, steps_per_epoch * stage.step_epochs, 0.1, staircase=True
        )
    return rate


def _chosen_stages(model, recipe, names):
    known = [stage.name for stage in recipe.stages]
    for name in names or ():
        if name not in known or name not in model.stages:
            raise ValueError(
                f"No stage {name!r}: {recipe.name} has {', '.join(known)}, "
                f"this model has {', '.join(model.stages)}."
            )
    wanted = set(names or known) & set(model.stages)
    numbered = enumerate(recipe.stages, start=1)
    return [(n, stage) for n, stage in numbered if stage.name in wanted]


def _folder(workdir, number, stage):
    return workdir / f"{number}-{stage.name}"


def _load_previous(model, recipe, workdir, stage):
    """Starts a stage from the best weights of the one before it."""
    before = None
    for number, candidate in enumerate(recipe.stages, start=1):
        if candidate.name == stage.name:
            break
        if candidate.name in model.stages:
            before = _folder(workdir, number, candidate)
    if before is None:
        return
    if not (before / "done.json").exists():
        raise ValueError(
            f"Stage {stage.name!r} goes on from {before.name}, which is not "
            f"finished in {workdir}: run that stage first."
        )
    model.load_weights(before / "best.weights.h5")


def _claim(workdir, recipe, data, seed):
    """Writes run.json, or checks that it names this same run."""
    run = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "classes": list(data.class_names),
        "images": dict(data.split_sizes),
    }
    run = json.loads(json.dumps(run))  # tuples become lists, as when read
    path = workdir / "run.json"
    if path.exists():
        found = json.loads(path.read_text())
        differing = [key for key in run if found.get(key) != run[key]]
        if differing:
            raise ValueError(
                f"{workdir} holds another run: {', '.join(differing)} differ. "
                "Give a new folder, or the arguments of the first run (see "
                f"{path})."
            )
        return
    workdir.mkdir(parents=True, exist_ok=True)
    _move_into_place(
        path, lambda p: p.write_text(json.dumps(run, indent=1) + "\n")
    )


class _StageRun:
    """One stage: compile, restore what an earlier process left, go on."""

    def __init__(self, model, recipe, stage, folder):
        self.model = model
        self.recipe = recipe
        self.stage = stage
        self.folder = folder

    def __call__(self, data, seed, verbose):
        self.model.begin_stage(self.stage.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        size, batch = self.recipe.load_size, self.recipe.batch_size
        steps = data.split_sizes["train"] // batch
        if steps == 0:
            raise ValueError(
                f"{data.name} has {data.split_sizes['train']} training images,"
                f" fewer than one batch of {batch}: make the batch smaller."
            )
        self.model.compile(
            make_optimizer(self.stage, steps), metrics=["accuracy"]
        )
        self.model.optimizer.build(self.model.trainable_variables)
        start = self._restore()
        if start < self.stage.epochs:
            train = data.batches(
                "train",
                image_size=size,
                batch_size=batch,
                training=True,
                seed=seed,
                augmentation=self.stage.augmentation,
                epochs=range(start, self.stage.epochs),
            )
            validation = data.batches(
                "validation", image_size=size, batch_size=batch
            )
            self.model.fit(
                train,
                validation_data=validation,
                initial_epoch=start,
                epochs=self.stage.epochs,
                steps_per_epoch=steps,
                shuffle=False,  # the pipeline shuffles
                callbacks=self._callbacks(),
                verbose=verbose,
            )
        self._finish()

    def _restore(self):
        """Loads the newest backup; returns the number of epochs done."""
        backups = _backups(self.folder)
        log = self.folder / "log.csv"
        if not backups:
            log.unlink(missing_ok=True)
            return 0
        epochs, path = backups[-1]
        self.model.load_weights(path)
        # An epoch that was logged but not saved is run, and logged, again.
        _write_log(log, _read_log(log)[:epochs])
        print(
            f"{self.folder.name}: going on after epoch {epochs} of "
            f"{self.stage.epochs}."
        )
        return epochs

    def _callbacks(self):
        log = self.folder / "log.csv"
        values = [row[self.stage.monitor] for row in _read_log(log)]
        callbacks = [
            # The log before the checkpoint: it never lacks a finished epoch.
            keras.callbacks.CSVLogger(log, append=log.exists()),
            _Checkpoint(self.folder, self.stage.monitor, values),
        ]
        if importlib.util.find_spec("tensorboard"):
            board = self.folder / "tensorboard"
            callbacks.append(
                keras.callbacks.TensorBoard(str(board), write_graph=False)
            )
        return callbacks

    def _finish(self):
        rows = _read_log(self.folder / "log.csv")
        best = _best([row[self.stage.monitor] for row in rows], self.stage)
        done = {"epochs": len(rows), "best": rows[best]}
        _move_into_place(
            self.folder / "done.json",
            lambda p: p.write_text(json.dumps(done, indent=1) + "\n"),
        )
        for _, backup in _backups(self.folder):
            backup.unlink()


class _Checkpoint(keras.callbacks.Callback):
    """After each epoch: the best weights so far, then the full state."""

    def __init__(self, folder, monitor, values):
        super().__init__()
        self.folder = folder
        self.monitor = monitor
        self.values = values  # of the epochs an earlier process finished

    def on_epoch_end(self, epoch, logs=None):
        self.values.append(logs[self.monitor])
        if _best(self.values, self) == len(self.values) - 1:
            _move_into_place(
                self.folder / "best.weights.h5", self.model.save_weights
            )
        old = _backups(self.folder)
        _move_into_place(
            self.folder / f"backup-{epoch + 1:04d}.weights.h5",
            self.model.save_weights,
        )
        for _, path in old:
            path.unlink()


def _best(values, holder):
    """Index of the best value, the later one of equals."""
    sign = 1 if "accuracy" in holder.monitor else -1
    return max(range(len(values)), key=lambda i: (sign * values[i], i))


def _backups(folder):
    """Pairs (finished epochs, path) of whole backups, oldest first."""
    found = [(BACKUP.fullmatch(p.name), p) for p in folder.iterdir()]
    return sorted((int(match[1]), p) for match, p in found if match)


def _move_into_place(path, write):
    """Lets `write` fill a file beside `path`, then renames it to `path`."""
    # Keras tells formats by their endings: the mark goes in front.
    partial = path.with_name("partial-" + path.name)
    write(partial)
    os.replace(partial, path)


def _read_log(path):
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: float(value) for key, value in r.items()} for r in rows]


def _write_log(path, rows):
    def write(partial):
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    _move_into_place(path, write)
