"""The stages of a recipe, one after another, each where it was left."""

import pathlib

from keras_fgvc._replicas import strategy_of
from keras_fgvc.recipes import Recipe
from keras_fgvc.training import checksums, lock
from keras_fgvc.training.claims import claim
from keras_fgvc.training.files import (
    BEST,
    DONE,
    LOG,
    epochs_done,
    is_finished,
    later_is_done,
    read_log,
    remove_backups,
    remove_partial_files,
)
from keras_fgvc.training.progress import tell_stage
from keras_fgvc.training.stage_run import StageRun
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
            holds another run that has finished an epoch (other images,
            labels, boxes, network, precision or settings), `data` is resized
            in another way than the recipe's, another process trains in
            `workdir`, a file there is damaged, a loss or the monitored figure
            becomes NaN or infinite, or there is no threshold to choose.

    Example: `examples/elope.py`.
    """
    data.check_one_class_each()
    data = data.resized(recipe.resize)
    model.resize = recipe.resize
    _check_splits(data)
    chosen_stages(model, recipe, stages)
    workdir = pathlib.Path(workdir)
    if tune_threshold:
        folders = stage_folders(model, recipe, workdir)
        check_can_tune(model, data, list(folders.values()))
    workers = Workers(strategy_of(model))
    workers.check_outside()
    with lock.held(workdir, workers.is_chief):
        if workers.is_chief:
            remove_partial_files(workdir)
        for is_turn in (workers.is_chief, not workers.is_chief):
            if is_turn:  # the others compare with what the chief claimed
                recipe = claim(
                    workdir, recipe, data, seed, model, workers.is_chief
                )
            workers.wait()
        run = _Run(model, recipe, data, workdir, workers)
        run.tune_threshold = tune_threshold
        logs = {}
        chosen = chosen_stages(model, recipe, stages)
        for count, (number, stage) in enumerate(chosen, start=1):
            if verbose and workers.is_chief and len(chosen) > 1:
                tell_stage(count, len(chosen), stage)
            seed_of_stage = seed + SEEDS_PER_STAGE * number
            logs[stage.name] = run(number, stage, seed_of_stage, verbose)
        run.save(number)
    return logs


class _Run:
    """Runs the stages of a model in a folder that this process may write to."""

    tune_threshold = False

    def __init__(self, model, recipe, data, workdir, workers):
        self.model = model
        self.recipe = recipe
        self.data = data
        self.workdir = workdir
        self.workers = workers
        self.folders = stage_folders(model, recipe, workdir)

    def __call__(self, number, stage, seed, verbose):
        """Trains a stage, or loads it; returns its log."""
        model, workers, folder = self.model, self.workers, self.folders[number]
        before = [f for n, f in self.folders.items() if n < number]
        if workers.is_chief:
            _remove_old_states(self.folders, number)
        is_new = not is_finished(folder, stage)
        if is_new:
            with workers.scope():
                _load_previous(model, before, folder)
            restore_threshold(model, before)
            run = StageRun(model, self.recipe, stage, folder, workers)
            run.later_epochs = sum(
                each.epochs
                for n, each in chosen_stages(model, self.recipe, None)
                if n > number
            )
            run(self.data, seed, verbose)
            workers.wait()
        with workers.scope():
            model.begin_stage(stage.name)
            checksums.load_weights(model, folder / BEST)
        restore_threshold(model, [*before, folder])
        if self.tune_threshold and stage.name == model.threshold_stage:
            size = self.recipe.load_size
            tune(model, self.data, folder, size, is_new, workers)
        return read_log(folder / LOG)

    def save(self, number):
        """Writes model.keras after a stage, unless a later one is done."""
        if self.workers.is_chief and not later_is_done(self.folders, number):
            path = self.workdir / "model.keras"
            checksums.save(path, self.model.save)
        self.workers.wait()


def _check_splits(data):
    for split, purpose in (("train", "teach"), ("validation", "choose epochs")):
        if not data.split_sizes.get(split):
            raise ValueError(
                f"{data.name} has no images to {purpose} in a split {split!r} "
                f"(it has {', '.join(data.split_sizes)}). `open_dataset` cuts "
                "one off: see its `validation_fraction`."
            )


def chosen_stages(model, recipe, wanted):
    """Pairs (number, stage) of the recipe's stages that shall run."""
    numbered = list(enumerate(recipe.stages, start=1))
    usable = [pair for pair in numbered if pair[1].name in model.stages]
    known = {n for n, _ in usable} | {stage.name for _, stage in usable}
    for given in wanted or ():
        if given not in known:
            names = ", ".join(stage.name for _, stage in numbered)
            raise ValueError(
                f"No stage {given!r}: {recipe.name} has {names}, "
                f"this model has {', '.join(model.stages)}."
            )
    wanted = set(wanted or known)
    return [(n, stage) for n, stage in usable if wanted & {n, stage.name}]


def stage_folders(model, recipe, workdir) -> dict[int, pathlib.Path]:
    """Returns folders by the number of the stage, of those the model has."""
    return {
        number: pathlib.Path(workdir) / f"{number}-{stage.name}"
        for number, stage in enumerate(recipe.stages, start=1)
        if stage.name in model.stages
    }


def _load_previous(model, before, folder) -> None:
    """Starts a stage from the best weights of the stage before it.

    Raises:
        ValueError: If that one is not finished.
    """
    if not before:
        return
    previous = before[-1]
    if not (previous / DONE).exists():
        raise ValueError(
            f"Stage {folder.name.partition('-')[2]!r} goes on from "
            f"{previous.name}, which is not finished in {folder.parent}: run "
            "that stage first."
        )
    checksums.load_weights(model, previous / BEST)


def _remove_old_states(folders, number) -> None:
    """Removes full states of stages that nothing can go on from.

    The last stage that has begun keeps its state, to be trained longer.
    """
    begun = [n for n, folder in folders.items() if epochs_done(folder)]
    for n, folder in folders.items():
        if n < max(number, *begun, 0) and folder.is_dir():
            remove_backups(folder)
