"""One stage of a recipe: from what is on disk to its last epoch."""

import importlib.util

import keras

from keras_fgvc.training import checksums
from keras_fgvc.training.callbacks import (
    Checkpoint,
    EpochSeeds,
    StopAtNonFinite,
)
from keras_fgvc.training.files import (
    BEST,
    DONE,
    LOG,
    check_log,
    epochs_done,
    find_backups,
    monitored,
    read_log,
    save_backup,
    write_done,
    write_log,
)
from keras_fgvc.training.optimizers import make_optimizer
from keras_fgvc.training.progress import TimeLeft, figures_of


class StageRun:
    """One stage: compile, restore what an earlier process left, go on."""

    later_epochs = 0  # of the stages after it, for the time left

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
            self._train(data, steps, start, seed, verbose)
        if self.workers.is_chief:
            write_done(self.folder, self.stage.monitor)

    def _train(self, data, steps, start, seed, verbose):
        train, validation = self._batches(data, seed, start)
        callbacks = self._callbacks(seed)
        try:
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
                callbacks=callbacks,
                verbose=verbose if self.workers.is_chief else 0,
            )
        finally:
            for each in callbacks:  # Keras leaves it open after an error
                if getattr(each, "csv_file", None) is not None:
                    each.csv_file.close()

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
        epochs = epochs_done(self.folder)
        if backups := find_backups(self.folder):
            epochs, path = backups[-1]
            checksums.load_weights(self.model, path)
        elif epochs:  # finished, and its last state was removed
            checksums.load_weights(self.whole, self.folder / BEST)
        if epochs:
            check_log(self.folder, epochs)
        return epochs

    def _go_on(self, epochs):
        """Makes the folder one of a stage that was interrupted, if any."""
        log, done = self.folder / LOG, self.folder / DONE
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
        is_alone = not self.workers.is_multi_worker
        callbacks = [
            EpochSeeds(seed),
            StopAtNonFinite(self.folder, self.stage, checks_steps=is_alone),
        ]
        if not self.workers.is_chief:
            return callbacks
        log, monitor = self.folder / LOG, self.stage.monitor
        values = [monitored(row, monitor, log) for row in read_log(log)]
        callbacks += [
            TimeLeft(self.stage, self.later_epochs),
            # The log before the checkpoint: it never lacks a finished epoch.
            keras.callbacks.CSVLogger(log, append=log.exists()),
            Checkpoint(self.folder, monitor, values, self.whole),
        ]
        if importlib.util.find_spec("tensorboard"):
            board = self.folder / "tensorboard"
            callbacks.append(
                keras.callbacks.TensorBoard(str(board), write_graph=False)
            )
        return callbacks
