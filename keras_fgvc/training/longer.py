"""Decides whether a run may be trained for other numbers of epochs."""

from keras_fgvc.training.files import epochs_done


def only_epochs_differ(told: dict, asked: dict) -> bool:
    """Tells whether two recipes, as read from JSON, are else the same."""
    return _without_epochs(told) == _without_epochs(asked)


def check_longer(workdir, told: dict, asked: dict) -> None:
    """Raises where other epochs would spoil what is trained.

    The last stage that has begun may get more epochs, or fewer than it was
    to have but not fewer than it has; a stage that has not begun any number.

    Args:
        workdir: Folder of the run.
        told: Recipe of the run, as read from JSON.
        asked: Recipe with the numbers of epochs that are asked for.

    Raises:
        ValueError: If a stage has more epochs already, or later stages were
            trained on top of it.
    """
    folders = [
        workdir / f"{number}-{stage['name']}"
        for number, stage in enumerate(asked["stages"], start=1)
    ]
    for place, folder in enumerate(folders):
        before, now = (r["stages"][place]["epochs"] for r in (told, asked))
        if before == now:
            continue
        done = epochs_done(folder)
        if now < done:
            raise ValueError(
                f"{folder.name} in {workdir} has {done} epochs done, so it "
                f"cannot end after {now}. Ask for at least {done}, or give a "
                "new folder."
            )
        later = [f.name for f in folders[place + 1 :] if epochs_done(f)]
        if later and now > done:
            names = ", ".join(later)
            raise ValueError(
                f"{folder.name} in {workdir} cannot be trained for {now} "
                f"epochs instead of {done}: {names} went on from it. Remove "
                f"{names} from that folder to train these anew, or give a "
                "new folder."
            )


def _without_epochs(recipe):
    stages = [{**stage, "epochs": None} for stage in recipe["stages"]]
    return {**recipe, "stages": stages}
