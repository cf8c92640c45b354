"""Which work directories belong together: runs that differ in the seed alone.

Used by `compare.py`.
"""

import dataclasses
import hashlib
import inspect
import json
import pathlib
import re
import zipfile

from keras_fgvc import evaluation, models, recipes, training
from keras_fgvc.training.claims import flat

# Of a model's config: what is no choice of the user, and what differs by seed
# (a threshold that was tuned). Arguments given to the training always count.
NOT_COMPARED = ("name", "stage", "num_classes", "seed", "threshold")


@dataclasses.dataclass(eq=False)
class Entry:
    """One work directory.

    Args:
        run: What was trained.
        name: Its method, or what the user calls it.
        recipe: The recipe's name, what was changed of it, how far it ran.
        model: Arguments of the model that are not its class's defaults.
        predictions: Of its model, once they are there.
    """

    run: training.Run
    name: str
    recipe: dict
    model: dict
    predictions: evaluation.Predictions | None = None


def read_entry(argument):
    """The entry of a work directory, perhaps with NAME= in front.

    Raises:
        ValueError: It holds no run, or an unfinished or damaged one.
    """
    name, _, folder = argument.rpartition("=")
    if pathlib.Path(argument).exists():  # a folder may have = in its name
        name, folder = "", argument
    run = training.open_run(folder)
    name = name or run.recipe.method
    return Entry(run, name, recipe_settings(run), model_settings(run))


def recipe_settings(run):
    """The recipe's name, what was changed of it, and how far it was run."""
    changed = flat(dataclasses.asdict(run.recipe))
    if run.recipe.name in recipes.available():
        known = flat(dataclasses.asdict(recipes.get(run.recipe.name)))
        changed = {k: v for k, v in changed.items() if known.get(k) != v}
    settings = {
        "recipe": run.recipe.name,
        "initial_weights": run.initial_weights or "not told",
    }
    for key, value in changed.items():
        # The method is the row's name, arguments are in the model's settings.
        if key not in ("name", "method") and not key.startswith("arguments"):
            settings[key.removeprefix("stages.")] = value
    finished = finished_stages(run)
    if len(finished) < len(run.recipe.stages):
        settings["stages"] = "+".join(finished)
    return settings


def finished_stages(run):
    """Names of the stages that are done; an error if one is begun only."""
    finished = []
    for number, stage in enumerate(run.recipe.stages, start=1):
        folder = run.workdir / f"{number}-{stage.name}"
        if (folder / "done.json").exists():
            finished.append(stage.name)
        elif folder.exists():
            raise ValueError(
                f"{run.workdir} is unfinished: its stage {stage.name!r} was "
                "interrupted or still runs. Run the same command again; it "
                "goes on after the last finished epoch."
            )
    if not (run.workdir / "model.keras").exists():
        raise ValueError(f"{run.workdir} has no trained model.keras yet.")
    return finished


def model_settings(run):
    """Arguments of the model that are not its class's defaults."""
    config = read_config(run.workdir / "model.keras")
    config = {k: v for k, v in config.items() if k not in NOT_COMPARED}
    config.update(run.recipe.arguments)
    config["dtype"] = config["dtype"]["config"]["name"]
    if isinstance(config.get("backbone"), dict):
        config["backbone"] = short_name(config["backbone"])
    method = getattr(models, run.recipe.method, Entry)
    parameters = inspect.signature(method).parameters
    usual = {name: p.default for name, p in parameters.items()}
    usual["dtype"] = "float32"
    return {k: v for k, v in config.items() if not same(v, usual.get(k))}


def read_config(path):
    """The arguments that a saved model is built with."""
    try:
        with zipfile.ZipFile(path) as file:
            return json.loads(file.read("config.json"))["config"]
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}).") from error


def same(value, other):
    """Whether two values are one in JSON, which has lists for tuples."""
    return json.dumps(value) == json.dumps(other, default=str)


def short_name(config):
    """Of a network; layers' numbers and objects' ids depend on the process."""
    text = json.dumps(config, sort_keys=True)
    text = re.sub(r'_\d+"|"shared_object_id": \d+', '"', text)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def make_rows(entries, problems):
    """From the name of each row to its entries, by seed.

    A second run of one seed goes to `problems`.
    """
    groups = {}
    for entry in entries:
        key = json.dumps(
            [entry.name, entry.recipe, entry.model], sort_keys=True
        )
        group = groups.setdefault(key, {})
        first = group.setdefault(entry.run.seed, entry)
        if first is not entry:
            problems.append(
                f"{entry.run.workdir} has the settings and the seed "
                f"({entry.run.seed}) of {first.run.workdir}. Give it a name "
                "if it is another row."
            )
    rows = [[group[s] for s in sorted(group)] for group in groups.values()]
    return {row_name(row[0], rows): row for row in rows}


def row_name(entry, rows):
    """The name, and the settings that differ among rows of this name."""
    others = [row[0] for row in rows if row[0].name == entry.name]
    recipe = {"recipe": entry.recipe["recipe"]}
    # Another recipe has other numbers throughout: its name says enough.
    akin = [o for o in others if o.recipe["recipe"] == recipe["recipe"]]
    parts = differing(recipe, [o.recipe for o in others])
    parts += differing(entry.recipe, [o.recipe for o in akin])
    parts += differing(entry.model, [o.model for o in others])
    return " ".join([entry.name, ", ".join(parts)]).strip()


def differing(settings, others):
    """Those of which another has another value, as "key=value"."""
    return [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in settings.items()
        if any(not same(value, other.get(key)) for other in others)
    ]
