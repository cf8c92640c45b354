"""Chooses the threshold of a heat map after the stage that trains it.

The choice lies beside that stage, `WORKDIR/2-localizer/threshold.json`: later
stages, in this process or another, are trained with it.
"""

from keras_fgvc import evaluation
from keras_fgvc._files import write_json
from keras_fgvc.training.files import THRESHOLD, epochs_done, read_threshold


def check_can_tune(model, data, folders) -> None:
    """Raises before the training if no threshold can be chosen.

    Args:
        model: A `keras_fgvc.models` model.
        data: `keras_fgvc.data.LabeledImages`.
        folders: Folders of all stages in order.

    Raises:
        ValueError: If the model has no threshold, the validation images have
            no boxes, or later stages were trained with another threshold.
    """
    if model.threshold_stage not in model.stages:
        raise ValueError(
            f"{type(model).__name__} with these arguments has no threshold to "
            "choose: omit `tune_threshold` (--tune-threshold)."
        )
    if data.subset("validation").boxes is None:
        raise ValueError(
            f"{data.name} has no boxes to choose a threshold by: omit "
            "`tune_threshold` (--tune-threshold) and set the threshold by "
            "hand (--arguments threshold=0.5)."
        )
    for place, folder in enumerate(folders):
        later = [f.name for f in folders[place + 1 :] if epochs_done(f)]
        is_tuned = folder.name.partition("-")[2] == model.threshold_stage
        if is_tuned and later and not (folder / THRESHOLD).exists():
            raise ValueError(
                f"`tune_threshold` (--tune-threshold) comes too late in "
                f"{folder.parent}: {', '.join(later)} went on from "
                f"{folder.name} with another threshold. Give a new folder."
            )


def restore_threshold(model, folders) -> None:
    """Sets the newest threshold that was chosen after one of some stages."""
    for folder in folders:
        path = folder / THRESHOLD
        if path.exists():
            model.set_threshold(read_threshold(path))


def tune(model, data, folder, load_size, is_new, workers) -> None:
    """Sets the best threshold on the validation split, and keeps it.

    Args:
        model: Whose stage in `folder` is finished.
        data: `keras_fgvc.data.LabeledImages`.
        folder: Where the choice is kept.
        load_size: Side in pixels at which images are loaded.
        is_new: Whether the stage was trained just now; else an earlier
            choice stands.
        workers: `strategies.Workers`, of which the chief writes.
    """
    path = folder / THRESHOLD
    if path.exists() and not is_new:
        return
    value = float(evaluation.best_threshold(model, data, load_size=load_size))
    model.set_threshold(value)
    workers.wait()  # until all have looked whether there is a file
    if workers.is_chief:
        write_json(path, value)
        print(f"{folder.name}: threshold {value} is best on validation.")
