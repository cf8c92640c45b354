"""The stages of a recipe that a model has, and their folders."""

import pathlib

from keras_fgvc.training.files import epochs_done, remove_backups


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


def is_finished(folder, stage) -> bool:
    """Tells whether a stage has all of its epochs and needs no training."""
    is_done = (folder / "done.json").exists()
    return is_done and epochs_done(folder) >= stage.epochs


def later_is_done(folders, number) -> bool:
    """Tells whether model.keras is of a later stage already."""
    return any(
        (folder / "done.json").exists()
        for n, folder in folders.items()
        if n > number
    )


def load_previous(model, folders, number) -> None:
    """Starts a stage from the best weights of the stage before it.

    Raises:
        ValueError: If that one is not finished.
    """
    before = [folder for n, folder in folders.items() if n < number]
    if not before:
        return
    previous, folder = before[-1], folders[number]
    if not (previous / "done.json").exists():
        raise ValueError(
            f"Stage {folder.name.partition('-')[2]!r} goes on from "
            f"{previous.name}, which is not finished in {folder.parent}: run "
            "that stage first."
        )
    model.load_weights(previous / "best.weights.h5")


def remove_old_states(folders, number) -> None:
    """Removes full states of stages that nothing can go on from.

    The last stage that has begun keeps its state, to be trained longer.
    """
    begun = [n for n, folder in folders.items() if epochs_done(folder)]
    for n, folder in folders.items():
        if n < max(number, *begun, 0) and folder.is_dir():
            remove_backups(folder)
