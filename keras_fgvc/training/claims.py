"""Writes what a work directory trains, or refuses to train something else."""

import dataclasses
import json
import pathlib

from keras_fgvc._files import move_into_place
from keras_fgvc.data.sources.source import are_others
from keras_fgvc.decoding.resizing import SQUASH
from keras_fgvc.training.files import epochs_done
from keras_fgvc.training.longer import check_longer, only_epochs_differ

# Facts that identify a run. The data folder may move.
COMPARED = (
    "recipe",
    "seed",
    "classes",
    "images",
    "initial_weights",
    "precision",
)
SHOWN = ("recipe", "seed", "initial_weights", "precision")
# Kept from the first call when a later call does not know them.
UNTOLD = ("initial_weights", "opened_by")


def claim(workdir, recipe, data, seed, model, is_chief):
    """Writes run.json, or checks that it names this same run.

    The same run may be trained longer, see `check_longer`. A run that has not
    finished its first epoch has nothing to lose: another may take its folder.
    Of several workers the chief writes.
    """
    run = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "classes": list(data.class_names),
        "images": dict(data.split_sizes),
        "image_digests": digests(data),
        "initial_weights": model.initial_weights,
        "precision": model.dtype_policy.name,
        "opened_by": data.opened_by,
    }
    run = json.loads(json.dumps(run))  # tuples become lists, as when read
    found = _same_run(workdir, run)
    if found:
        for name in UNTOLD:
            run[name] = run[name] or found.get(name)
        # Those of the first call, where these are in memory and those files.
        run["image_digests"] |= found.get("image_digests", {})
        if run == found or not is_chief:
            return
    workdir.mkdir(parents=True, exist_ok=True)
    move_into_place(
        workdir / "run.json",
        lambda p: p.write_text(json.dumps(run, indent=1) + "\n"),
    )


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


def _same_run(workdir, run):
    """Returns the run that a folder holds, if it is this one; else {}.

    Raises:
        ValueError: If the folder holds another one that must not be lost.
    """
    path = workdir / "run.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    if found:  # before recipes had the field, all images were squashed
        found["recipe"].setdefault("resize", SQUASH)
    differing = _differing_facts(run, found)
    if not found or not differing:
        return found
    if not _has_progress(workdir):
        return {}
    recipes = (found["recipe"], run["recipe"])
    if differing == ["recipe"] and only_epochs_differ(*recipes):
        check_longer(workdir, *recipes)
        return found
    raise ValueError(
        f"{workdir} holds another run: {', '.join(differing)} differ"
        f"{_changes(run, found, differing)}. "
        "Give a new folder, or the arguments of the first run (see "
        f"{path})."
    )


def _differing_facts(run, found):
    """Names the facts that make it another run."""
    differing = [
        name
        for name in COMPARED
        # A model that was loaded does not tell what it began with.
        if None not in (run.get(name), found.get(name))
        and run[name] != found[name]
    ]
    told = found.get("image_digests", {})
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
    ]
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


def digests(data):
    return {
        name: split.source.identity() for name, split in data.splits.items()
    }


def other_splits(told, found):
    """Names of the splits whose images are known to be others."""
    return [
        name for name in told if are_others(told[name], found.get(name, ""))
    ]


def _has_progress(workdir):
    """Tells whether any stage has finished an epoch."""
    return any(epochs_done(folder) for folder in workdir.iterdir())
