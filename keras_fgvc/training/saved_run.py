"""A work directory, read back: what was trained, on what, how it went."""

import dataclasses
import inspect
import pathlib
import re

from keras_fgvc import data, recipes
from keras_fgvc._files import damaged
from keras_fgvc.training import checksums, identity
from keras_fgvc.training.claims import FILE, REMEDY, other_splits
from keras_fgvc.training.files import DONE, LOG, read_log


@dataclasses.dataclass(frozen=True)
class SavedRun:
    """Facts, model, data and logs of a work directory; see `Run`."""

    workdir: pathlib.Path
    recipe: recipes.Recipe
    seed: int
    class_names: tuple[str, ...]
    opened_by: dict
    initial_weights: str | None = None
    image_digests: dict = dataclasses.field(default_factory=dict)
    label_digests: dict = dataclasses.field(default_factory=dict)
    box_digests: dict = dataclasses.field(default_factory=dict)

    def load_model(self, *, unfinished: bool = False):
        """Loads the trained model.

        Args:
            unfinished: Whether a model some of whose stages are not trained
                is loaded as well. Defaults to `False`.

        Raises:
            ValueError: If no stage has been finished yet; if some have not
                and `unfinished` is false.
        """
        path = self.workdir / "model.keras"
        if not path.exists():
            raise ValueError(
                f"{self.workdir} has no model.keras yet: its training was "
                "interrupted. Run the same command again; it goes on after "
                "the last finished epoch."
            )
        model = checksums.load_model(path)
        model.resize = self.recipe.resize
        missing = self.missing_stages(model)
        if missing and not unfinished:
            raise ValueError(
                f"{self.workdir} has not finished its training: "
                f"{', '.join(missing)} still to be trained. Run the same "
                "command again, it goes on after the last finished epoch; or "
                "pass `unfinished=True` (--unfinished) to use the model as it "
                "is."
            )
        return model

    def missing_stages(self, model) -> list[str]:
        """Folders, as "2-localizer", of the stages that are not trained.

        Args:
            model: The run's model. A recipe may name stages that it has not.
        """
        finished = self.finished_stages()
        return [
            f"{number}-{stage.name}"
            for number, stage in enumerate(self.recipe.stages, start=1)
            if stage.name in model.stages and number not in finished
        ]

    def open_data(
        self, name_or_path=None, *, data_dir=None, verify: str = "full"
    ):
        """The data it was trained on, with the same splits and pixels.

        Args:
            name_or_path: Where the data lies now, if it was moved.
            data_dir, verify: See `data.open_dataset`.

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
                f"{self.workdir / FILE} does not tell what data this "
                "run was trained on. Name it."
            )
        try:
            inspect.signature(data.open_dataset).bind(
                **arguments, verify=verify
            )
        except TypeError as error:
            reason = f"its 'opened_by' does not fit: {error}"
            raise damaged(self.workdir / FILE, reason, REMEDY) from error
        images = data.open_dataset(**arguments, verify=verify)
        if tuple(images.class_names) != self.class_names:
            raise ValueError(
                f"{arguments['name_or_path']} has other classes than the run "
                f"in {self.workdir}: {_differing(images, self)}."
            )
        images = self._as_in_training(images.resized(self.recipe.resize))
        self._check_images(images, arguments["name_or_path"])
        return images

    def _as_in_training(self, images):
        """Resizes as often as in training, where images were in memory.

        Pixels that were resized to one size and then to another are not those
        that are resized once, and the figures of both differ.
        """
        trained = {d.rpartition(" ")[0] for d in self.image_digests.values()}
        size = re.fullmatch(r"pixels (\d+)x(\d+)", "|".join(trained))
        in_memory = any(s.images is not None for s in images.splits.values())
        if size is None or in_memory:
            return images
        return images.in_memory(tuple(map(int, size.groups())))

    def _check_images(self, images, place):
        told = identity.image_digests(images)
        changed = {"images": other_splits(self.image_digests, told)}
        for kind, before, now in (
            ("labels", self.label_digests, identity.label_digests(images)),
            ("true boxes", self.box_digests, identity.box_digests(images)),
        ):
            both = [split for split in now if split in before]
            changed[kind] = [s for s in both if now[s] != before[s]]
        for kind, splits in changed.items():
            if splits:
                raise ValueError(
                    f"{place} has other {kind} than the run in {self.workdir} "
                    f"in {', '.join(splits)}: files were added, removed or "
                    "changed since, and images that it was trained on may be "
                    "among those to test with. Restore the files; to judge "
                    "the model on new ones give `evaluation.evaluate` the "
                    "`data.open_dataset` of them."
                )

    def finished_stages(self) -> list[int]:
        """Numbers, from 1, of the recipe's stages that are trained."""
        return [
            number
            for number, stage in enumerate(self.recipe.stages, start=1)
            if (self.workdir / f"{number}-{stage.name}" / DONE).exists()
        ]

    def logs(self) -> dict:
        """Returns the logs by stage folder, as {"1-classifier": log}.

        A log is a list of one dict an epoch, as `training.fit` returns.
        """
        found = {}
        for number, stage in enumerate(self.recipe.stages, start=1):
            folder = f"{number}-{stage.name}"
            rows = read_log(self.workdir / folder / LOG)
            if rows:
                found[folder] = rows
        return found


def _differing(images, run):
    ours, theirs = set(run.class_names), set(images.class_names)
    if ours == theirs:
        return "their order differs"
    missing, new = sorted(ours - theirs)[:3], sorted(theirs - ours)[:3]
    return f"missing {missing}, not known {new}"
