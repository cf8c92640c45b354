"""Writes what a work directory trains, or refuses to train something else."""

import dataclasses
import json
import pathlib

from keras_fgvc import recipes
from keras_fgvc._files import damaged, read_json, reading, write_json
from keras_fgvc.data.sources.source import are_others
from keras_fgvc.decoding.resizing import SQUASH
from keras_fgvc.training import identity
from keras_fgvc.training.files import epochs_done

FILE = "run.json"
REMEDY = "Restore it from a copy, or give a new folder."
KINDS = {
    "recipe": dict,
    "seed": int,
    "classes": list,
    # Older versions do not record all of these.
    "images": (dict, None),
    "image_digests": (dict, None),
    "label_digests": (dict, None),
    "box_digests": (dict, None),
    "initial_weights": (str, None),
    "precision": (str, None),
    "layer_precisions": (str, None),
    "architecture": (str, None),
    "functions": (str, None),
    "opened_by": (dict, None),
}
# Facts that identify a run. The data folder may move.
COMPARED = (
    "recipe",
    "seed",
    "classes",
    "images",
    "label_digests",
    "box_digests",
    "initial_weights",
    "precision",
    "layer_precisions",
    "architecture",
    "functions",
)
# Compared split by split, where both have the split.
OF_SPLITS = ("label_digests", "box_digests")
SHOWN = (
    *("recipe", "seed", "classes", "images", "initial_weights", "precision"),
    *("layer_precisions", "architecture", "functions", *OF_SPLITS),
)
# Kept from the first call when a later call does not know them.
UNTOLD = ("initial_weights", "architecture", "functions", "opened_by")
MAX_SHOWN = 6  # of the values that differ


def claim(workdir, recipe, data, seed, model, is_chief):
    """Writes run.json, or checks that it names this same run.

    The same run may be trained longer, see `_check_longer`. A run that has
    not finished its first epoch has nothing to lose: another may take its
    folder. Of several workers the chief writes.

    Returns:
        The recipe to train by. A run that was begun before a setting existed
        goes on with the default of that setting.
    """
    run = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "classes": list(data.class_names),
        "images": dict(data.split_sizes),
        "image_digests": identity.image_digests(data),
        "label_digests": identity.label_digests(data),
        "box_digests": identity.box_digests(data),
        "initial_weights": model.initial_weights,
        "precision": model.dtype_policy.name,
        "layer_precisions": identity.layer_precisions(model),
        "architecture": identity.architecture_of(model),
        "functions": identity.functions_of(model),
        "opened_by": data.opened_by,
    }
    run = json.loads(json.dumps(run))  # tuples become lists, as when read
    found, asked = _same_run(workdir, run), run["recipe"]
    if found:
        run["recipe"] = _as_recorded(asked, found["recipe"])
        for name in UNTOLD:
            run[name] = run[name] or found.get(name)
        # In-memory images and files have no digest in common.
        for name in ("image_digests", *OF_SPLITS):
            run[name] |= found.get(name) or {}
    if run != found and is_chief:
        write_json(workdir / FILE, run)
    recipe = recipes.from_dict(run["recipe"])
    if is_chief:
        _tell_newer(workdir, asked, recipe)
    return recipe


def _tell_newer(workdir, asked, recipe):
    """Prints the settings that are newer than the run and were asked for."""
    used = flat(json.loads(json.dumps(dataclasses.asdict(recipe))))
    newer = [n for n, value in flat(asked).items() if used.get(n) != value]
    if newer:
        told = ", ".join(f"{name}={used.get(name)}" for name in newer)
        print(f"{workdir} is older than some settings: it keeps {told}.")


def check_settings(workdir, recipe, **facts) -> None:
    """Raises as `fit` would, by what is known before any image is read.

    Args:
        workdir: Folder of a run, or of none yet.
        recipe: `recipes.Recipe` to train by.
        **facts: `seed` and `precision`, the name of a dtype policy.

    Raises:
        ValueError: If the folder holds another run that has finished an
            epoch.
    """
    run = {"recipe": dataclasses.asdict(recipe), **facts}
    _same_run(pathlib.Path(workdir), json.loads(json.dumps(run)))


def read_run(path) -> dict:
    """Reads run.json.

    Raises:
        DamagedFileError: If it does not hold what such a file holds.
    """
    run = read_json(path, KINDS, REMEDY)
    with reading(path, REMEDY):
        recipes.from_dict(run["recipe"])
    texts = [*run["classes"], *(run.get("image_digests") or {}).values()]
    if not all(isinstance(t, str) for t in texts):
        raise damaged(path, "its classes or digests are no texts", REMEDY)
    return run


def _same_run(workdir, run):
    """Returns the run that a folder holds, if it is this one; else {}.

    Raises:
        ValueError: If the folder holds another one that must not be lost.
    """
    path = workdir / FILE
    if not path.exists():
        if workdir.is_dir() and _has_progress(workdir):
            raise damaged(path, "it is missing beside trained stages", REMEDY)
        return {}
    found = read_run(path)
    # Before recipes had the field, all images were squashed.
    found["recipe"].setdefault("resize", SQUASH)
    run = {**run, "recipe": _as_recorded(run["recipe"], found["recipe"])}
    differing = _differing_facts(run, found)
    if not differing:
        return found
    if not _has_progress(workdir):
        return {}
    told, asked = found["recipe"], run["recipe"]
    if differing == ["recipe"] and _only_epochs_differ(told, asked):
        _check_longer(workdir, told, asked)
        return found
    raise ValueError(
        f"{workdir} holds another run: {', '.join(differing)} differ"
        f"{_changes(run, found, differing)}. "
        "Give a new folder, or the arguments of the first run (see "
        f"{path})."
    )


def _as_recorded(asked, told):
    """Drops settings of a recipe that are newer than the run's record."""
    known = {name: value for name, value in asked.items() if name in told}
    stages = []
    for stage, before in zip(asked["stages"], told["stages"], strict=False):
        stage = {name: v for name, v in stage.items() if name in before}
        if "augmentation" in stage:
            own = stage["augmentation"].items()
            names = before["augmentation"]
            stage["augmentation"] = {n: v for n, v in own if n in names}
        stages.append(stage)
    return {**known, "stages": stages + asked["stages"][len(stages) :]}


def _differing_facts(run, found):
    """Names the facts that make it another run."""
    differing, is_old = [], "functions" not in found
    for name in COMPARED:
        ours, theirs = run.get(name), found.get(name)
        if ours is None or theirs is None:
            continue  # a loaded model does not tell its beginning
        if name in OF_SPLITS:
            both = [split for split in theirs if split in ours]
            ours, theirs = ({s: d[s] for s in both} for d in (ours, theirs))
        if name == "functions" and not are_others(ours, theirs):
            continue  # byte code of another version of Python
        if name == "architecture" and run["functions"] and is_old:
            continue  # it had the code of functions
        if ours != theirs:
            differing.append(name)
    if "precision" in differing and "layer_precisions" in differing:
        differing.remove("layer_precisions")  # it follows
    told = found.get("image_digests") or {}
    others = other_splits(told, run.get("image_digests", {}))
    if others and "images" not in differing:
        differing.append(f"the images in {', '.join(others)}")
    return differing


def _changes(run, found, differing):
    """Lists each setting that differs, with both values, in brackets."""
    names = [name for name in SHOWN if name in differing]
    given, there = (flat({n: r[n] for n in names}) for r in (run, found))
    changes = [
        f"{name} was {there.get(name)}, now {given.get(name)}"
        for name in dict.fromkeys([*there, *given])
        if given.get(name) != there.get(name)
        and (name in given or not name.startswith(OF_SPLITS))
    ]
    if len(changes) > MAX_SHOWN:
        rest = len(changes) - MAX_SHOWN
        changes = [*changes[:MAX_SHOWN], f"and {rest} more"]
    return f" ({'; '.join(changes)})" if changes else ""


def flat(value, prefix="") -> dict:
    """Flattens settings, to keys such as "recipe.stages.3-crops.epochs"."""
    is_list = isinstance(value, (list, tuple))
    if is_list and value and isinstance(value[0], dict):
        value = {f"{n}-{v['name']}": v for n, v in enumerate(value, start=1)}
    if not isinstance(value, dict):
        return {prefix: value}
    found = {}
    for key, entry in value.items():
        found |= flat(entry, f"{prefix}.{key}" if prefix else key)
    return found


def other_splits(told, found):
    """Names of the splits whose images are known to be others."""
    return [
        name for name in told if are_others(told[name], found.get(name, ""))
    ]


def _has_progress(workdir):
    """Tells whether any stage has finished an epoch."""
    return any(epochs_done(folder) for folder in workdir.iterdir())


def _only_epochs_differ(told: dict, asked: dict) -> bool:
    """Tells whether two recipes, as read from JSON, are else the same."""
    return _without_epochs(told) == _without_epochs(asked)


def _without_epochs(recipe):
    stages = [{**stage, "epochs": None} for stage in recipe["stages"]]
    return {**recipe, "stages": stages}


def _check_longer(workdir, told: dict, asked: dict) -> None:
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
