"""A work directory, read back: what was trained, on what, how it went."""

import dataclasses
import json
import pathlib

import keras

from keras_fgvc import data, recipes
from keras_fgvc._files import move_into_place
from keras_fgvc.data.identity import are_others, identity
from keras_fgvc.training.files import find_backups, read_log

# What makes it the same run. Its data may lie elsewhere than they did.
COMPARED = ("recipe", "seed", "classes", "images", "initial_weights")
# Facts that a later call may not know, and that it must not take away.
UNTOLD = ("initial_weights", "opened_by")


@dataclasses.dataclass(frozen=True)
class Run:
    """What `training.fit` left in a work directory.

    Args:
        workdir: The folder.
        recipe: `recipes.Recipe` it was trained by.
        seed: Of shuffling and augmentation.
        class_names: Names of the classes; label i belongs to name i.
        opened_by: Arguments of `data.open_dataset` that open its data again;
            empty for data that came from elsewhere.
        initial_weights: Where the backbone's weights came from: `"imagenet"`,
            `"random"`, a file's name and checksum, or `None` where nobody
            said.
        image_digests: From each split to a text that tells its images from
            others; empty where nobody said.
    """

    workdir: pathlib.Path
    recipe: recipes.Recipe
    seed: int
    class_names: tuple[str, ...]
    opened_by: dict
    initial_weights: str | None = None
    image_digests: dict = dataclasses.field(default_factory=dict)

    def load_model(self):
        """The trained model.

        Raises:
            ValueError: If no stage has been finished yet.
        """
        path = self.workdir / "model.keras"
        if not path.exists():
            raise ValueError(
                f"{self.workdir} has no model.keras yet: its training was "
                "interrupted. Run the same command again; it goes on after "
                "the last finished epoch."
            )
        return keras.saving.load_model(path)

    def open_data(self, name_or_path=None, *, data_dir=None):
        """The data it was trained on, with the same splits.

        Args:
            name_or_path: Where the data lies now, if it was moved.
            data_dir: See `data.open_dataset`.

        Raises:
            ValueError: If the data cannot be found, or has other classes, or
                has changed since: images added to class folders or taken
                away move the cuts, and some tested on would be some trained
                on.
        """
        arguments = dict(self.opened_by)
        if name_or_path is not None:
            arguments["name_or_path"] = str(name_or_path)
        if data_dir is not None:
            arguments["data_dir"] = str(data_dir)
        if "name_or_path" not in arguments:
            raise ValueError(
                f"{self.workdir / 'run.json'} does not tell what data this "
                "run was trained on. Name it."
            )
        images = data.open_dataset(**arguments)
        if tuple(images.class_names) != self.class_names:
            raise ValueError(
                f"{arguments['name_or_path']} has other classes than the run "
                f"in {self.workdir}: {_differing(images, self)}."
            )
        self._check_images(images, arguments["name_or_path"])
        return images

    def _check_images(self, images, place):
        others = _other_splits(self.image_digests, _digests(images))
        if others:
            raise ValueError(
                f"{place} has other images than the run in {self.workdir} in "
                f"{', '.join(others)}: files were added, removed or changed "
                "since, and images that it was trained on may be among those "
                "to test with. Restore the files; to judge the model on new "
                "ones give `evaluation.evaluate` the `data.open_dataset` of "
                "them."
            )

    def finished_stages(self) -> list[int]:
        """Numbers, from 1, of the recipe's stages that are trained."""
        return [
            number
            for number, stage in enumerate(self.recipe.stages, start=1)
            if (self.workdir / f"{number}-{stage.name}" / "done.json").exists()
        ]

    def logs(self) -> dict:
        """From each stage's folder, as "1-classifier", to its log.

        A log is a list of one dict an epoch, as `training.fit` returns.
        """
        found = {}
        for number, stage in enumerate(self.recipe.stages, start=1):
            folder = f"{number}-{stage.name}"
            rows = read_log(self.workdir / folder / "log.csv")
            if rows:
                found[folder] = rows
        return found


def claim(workdir, recipe, data, seed, model, is_chief):
    """Writes run.json, or checks that it names this same run.

    A run that has not finished its first epoch has nothing to lose: another
    may take its folder. Of several workers the chief writes.
    """
    run = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "classes": list(data.class_names),
        "images": dict(data.split_sizes),
        "image_digests": _digests(data),
        "initial_weights": model.initial_weights,
        "opened_by": data.opened_by,
    }
    run = json.loads(json.dumps(run))  # tuples become lists, as when read
    path = workdir / "run.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    differing = _differing_facts(run, found)
    if found and differing and _has_progress(workdir):
        raise ValueError(
            f"{workdir} holds another run: {', '.join(differing)} differ. "
            "Give a new folder, or the arguments of the first run (see "
            f"{path})."
        )
    if found and not differing:
        for name in UNTOLD:
            run[name] = run[name] or found.get(name)
        # Those of the first call, where these are in memory and those files.
        run["image_digests"] |= found.get("image_digests", {})
        if run == found or not is_chief:
            return
    workdir.mkdir(parents=True, exist_ok=True)
    move_into_place(
        path, lambda p: p.write_text(json.dumps(run, indent=1) + "\n")
    )


def _differing_facts(run, found):
    """What makes it another run, by name."""
    differing = [
        name
        for name in COMPARED
        # A model that was loaded does not tell what it began with.
        if None not in (run[name], found.get(name)) and run[name] != found[name]
    ]
    others = _other_splits(found.get("image_digests", {}), run["image_digests"])
    if others and "images" not in differing:
        differing.append(f"the images in {', '.join(others)}")
    return differing


def _digests(data):
    return {name: identity(split) for name, split in data.splits.items()}


def _other_splits(told, found):
    """Names of the splits whose images are known to be others."""
    return [
        name for name in told if are_others(told[name], found.get(name, ""))
    ]


def _has_progress(workdir):
    """Whether any stage has finished an epoch."""
    return any(
        (folder / "done.json").exists() or find_backups(folder)
        for folder in workdir.iterdir()
        if folder.is_dir()
    )


def open_run(workdir) -> Run:
    """Reads what `training.fit` wrote into a folder.

    Args:
        workdir: The folder.

    Returns:
        `Run`.

    Raises:
        ValueError: If the folder holds no run.

    Example: `examples/report.py`.
    """
    workdir = pathlib.Path(workdir)
    path = workdir / "run.json"
    if not path.exists():
        raise ValueError(
            f"{workdir} holds no run: it has no run.json. Give the `workdir` "
            "of a training."
        )
    run = json.loads(path.read_text())
    return Run(
        workdir=workdir,
        recipe=recipes.from_dict(run["recipe"]),
        seed=run["seed"],
        class_names=tuple(run["classes"]),
        opened_by=run.get("opened_by", {}),
        initial_weights=run.get("initial_weights"),
        image_digests=run.get("image_digests", {}),
    )


def _differing(images, run):
    ours, theirs = set(run.class_names), set(images.class_names)
    if ours == theirs:
        return "their order differs"
    missing, new = sorted(ours - theirs)[:3], sorted(theirs - ours)[:3]
    return f"missing {missing}, not known {new}"
