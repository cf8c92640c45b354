"""The stages of a recipe, one after another, each where it was left."""

import importlib.util
import json
import pathlib

import keras

from keras_fgvc._files import move_into_place
from keras_fgvc._replicas import strategy_of
from keras_fgvc.recipes import Recipe
from keras_fgvc.recipes.monitoring import best_epoch
from keras_fgvc.training.claims import claim
from keras_fgvc.training.files import (
    Checkpoint,
    epochs_done,
    find_backups,
    read_log,
    save_backup,
    write_log,
)
from keras_fgvc.training.folders import (
    chosen_stages,
    is_finished,
    later_is_done,
    load_previous,
    remove_old_states,
    stage_folders,
)
from keras_fgvc.training.optimizers import make_optimizer
from keras_fgvc.training.progress import TimeLeft, figures_of
from keras_fgvc.training.seeds import EpochSeeds
from keras_fgvc.training.strategies import Workers
from keras_fgvc.training.tuning import (
    check_can_tune,
    restore_threshold,
    tune,
)

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
    tune_threshold: bool = False,
    verbose="auto",
) -> dict:
    """Trains a model through a recipe's stages; call again to resume.

    A model that was built in the scope of a `tf.distribute` strategy trains on
    its devices; see `make_strategy`.

    Finished stages are loaded, a stage that was interrupted goes on after its
    last finished epoch with the same images in the same order, and each
    stage ends with the weights of its best epoch on the validation split.

    The last stage that was finished goes on where the recipe has more epochs
    for it than before, with the schedule of the new number of epochs. The
    optimizer goes on too, from the state that this stage keeps until the next
    one begins: 2 (SGD) or 3 (Adam) times the size of the weights. If that
    file was removed, the stage goes on from its best epoch.

    Args:
        model: A `keras_fgvc.models` model.
        recipe: From `keras_fgvc.recipes`.
        data: `keras_fgvc.data.LabeledImages` with the splits `"train"` and
            `"validation"`.
        workdir: Folder for checkpoints and logs, made if it is missing.
        seed: Of shuffling and augmentation.
        stages: Names of the stages to run, or their numbers in the recipe,
            from 1; a name means each stage of that name. Defaults to all of
            the recipe's that the model has.
        tune_threshold: Whether `model.threshold` is set to the best one on
            the validation images, which then need boxes, after the stage
            `model.threshold_stage`. Later stages and later calls keep it.
            Defaults to `False`.
        verbose: As in `keras.Model.fit`.

    Returns:
        Dict from stage to its log, a list of one dict an epoch. Where a name
        occurs several times, that of the last.

    Raises:
        ValueError: If a stage is unknown, `data` lacks a split, `workdir`
            holds another run that has finished an epoch, or there is no
            threshold to choose.

    Example: `examples/elope.py`.
    """
    data.check_one_class_each()
    _check_splits(data)
    chosen = chosen_stages(model, recipe, stages)
    workdir = pathlib.Path(workdir)
    folders = stage_folders(model, recipe, workdir)
    if tune_threshold:
        check_can_tune(model, data, list(folders.values()))
    workers = Workers(strategy_of(model))
    workers.check_outside()
    for is_turn in (workers.is_chief, not workers.is_chief):
        if is_turn:  # the others compare with what the chief claimed
            claim(workdir, recipe, data, seed, model, workers.is_chief)
        workers.wait()
    logs = {}
    for number, stage in chosen:
        folder = folders[number]
        before = [f for n, f in folders.items() if n < number]
        if workers.is_chief:
            remove_old_states(folders, number)
        is_new = not is_finished(folder, stage)
        if is_new:
            with workers.scope():
                load_previous(model, folders, number)
            restore_threshold(model, before)
            run = _StageRun(model, recipe, stage, folder, workers)
            run(data, seed + SEEDS_PER_STAGE * number, verbose)
            workers.wait()
        with workers.scope():
            model.begin_stage(stage.name)
            model.load_weights(folder / "best.weights.h5")
        restore_threshold(model, [*before, folder])
        if tune_threshold and stage.name == model.threshold_stage:
            tune(model, data, folder, recipe.load_size, is_new, workers)
        logs[stage.name] = read_log(folder / "log.csv")
    last, _ = chosen[-1]
    if workers.is_chief and not later_is_done(folders, last):
        move_into_place(workdir / "model.keras", model.save)
    workers.wait()
    return logs


def _check_splits(data):
    for split, purpose in (("train", "teach"), ("validation", "choose epochs")):
        if not data.split_sizes.get(split):
            raise ValueError(
                f"{data.name} has no images to {purpose} in a split {split!r} "
                f"(it has {', '.join(data.split_sizes)}). `open_dataset` cuts "
                "one off: see its `validation_fraction`."
            )


class _StageRun:
    """One stage: compile, restore what an earlier process left, go on."""

    def __init__(self, model, recipe, stage, folder, workers):
        self.workers = workers
        self.whole = model
        self.model = model  # what this stage trains
        self.recipe = recipe
        self.stage = stage
        self.batch_size = stage.batch_size or recipe.batch_size
        self.folder = folder

    def __call__(self, data, seed, verbose):
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.workers.scope():
            data = self._prepare(data)
            steps = self._steps_per_epoch(data)
            optimizer = make_optimizer(self.stage, steps, self.whole)
            self.model.compile(optimizer, metrics=figures_of(self))
            optimizer.build(self.model.trainable_variables)
            start = self._restore()
        self.workers.wait()  # the chief changes what the others read
        if self.workers.is_chief:
            self._go_on(start)
        if start < self.stage.epochs:
            train, validation = self._batches(data, seed, start)
            self.model.fit(
                train,
                validation_data=validation,
                validation_steps=self.workers.num_batches(
                    data.split_sizes["validation"], self.batch_size
                ),
                initial_epoch=start,
                epochs=self.stage.epochs,
                steps_per_epoch=steps,
                shuffle=False,  # the pipeline shuffles
                callbacks=self._callbacks(seed),
                verbose=verbose if self.workers.is_chief else 0,
            )
        if self.workers.is_chief:
            self._finish()

    def _prepare(self, data):
        """Sets what this stage trains; returns on what."""
        phase = self.whole.begin_stage(self.stage.name)
        self.model, data = phase.data(
            self.whole,
            self.stage,
            data,
            folder=self.folder.parent / self._cache,
            load_size=self.recipe.load_size,
        )
        return data

    @property
    def _cache(self):
        """Folder of what is computed once; workers fill one each."""
        if self.workers.is_chief:
            return "cache"
        return f"cache-{self.workers.number}"

    def _steps_per_epoch(self, data):
        count, batch = data.split_sizes["train"], self.batch_size
        if count < batch:
            raise ValueError(
                f"{data.name} has {count} training images, fewer than one "
                f"batch of {batch}: make `batch_size` smaller."
            )
        return count // batch

    def _batches(self, data, seed, start):
        def train(share):
            return data.batches(
                "train",
                training=True,
                seed=seed,
                augmentation=self.stage.augmentation,
                epochs=range(start, self.stage.epochs),
                share=share,
                **shared,
            )

        def validation(share):
            return data.batches("validation", share=share, **shared)

        shared = {
            "load_size": self.recipe.load_size,
            "batch_size": self.batch_size,
        }
        share_out = self.workers.share_out
        return share_out(train), share_out(validation)

    def _restore(self):
        """Loads the last state; returns the number of epochs done."""
        backups = find_backups(self.folder)
        if backups:
            epochs, path = backups[-1]
            self.model.load_weights(path)
            return epochs
        epochs = epochs_done(self.folder)
        if epochs:  # finished, and its last state was removed
            self.whole.load_weights(self.folder / "best.weights.h5")
        return epochs

    def _go_on(self, epochs):
        """Makes the folder one of a stage that was interrupted, if any."""
        log, done = (self.folder / n for n in ("log.csv", "done.json"))
        if not epochs:
            log.unlink(missing_ok=True)
            return
        # An epoch that was logged but not saved is run, and logged, again.
        write_log(log, read_log(log, limit=epochs))
        total = self.stage.epochs
        text = f"going on after epoch {epochs} of {total}."
        if done.exists():
            text = f"{epochs} epochs are done, goes on to {total}."
            if not find_backups(self.folder):
                text += " Its last state was removed: it begins with the best."
                save_backup(self.folder, epochs, self.model)
            done.unlink()
        print(f"{self.folder.name}: {text}")

    def _callbacks(self, seed):
        if not self.workers.is_chief:
            return [EpochSeeds(seed)]
        log = self.folder / "log.csv"
        values = [row[self.stage.monitor] for row in read_log(log)]
        callbacks = [
            EpochSeeds(seed),
            TimeLeft(self.stage),
            # The log before the checkpoint: it never lacks a finished epoch.
            keras.callbacks.CSVLogger(log, append=log.exists()),
            Checkpoint(self.folder, self.stage.monitor, values, self.whole),
        ]
        if importlib.util.find_spec("tensorboard"):
            board = self.folder / "tensorboard"
            callbacks.append(
                keras.callbacks.TensorBoard(str(board), write_graph=False)
            )
        return callbacks

    def _finish(self):
        rows = read_log(self.folder / "log.csv")
        monitor = self.stage.monitor
        best = best_epoch([row[monitor] for row in rows], monitor)
        done = {"epochs": len(rows), "best": rows[best]}
        move_into_place(
            self.folder / "done.json",
            lambda p: p.write_text(json.dumps(done, indent=1) + "\n"),
        )
