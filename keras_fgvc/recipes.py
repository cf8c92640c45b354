"""Each paper's hyper-parameters and stages, as frozen dataclasses.

A recipe ending in `-paper` holds what the paper prints, one in `-official`
what its authors' code does, one in `-short` a budget of ours for few images
and few epochs. Nothing else in the package carries a number of a paper.
"""

import dataclasses

from keras_fgvc._checks import check_choice, check_positive_int
from keras_fgvc.data import Augmentation


@dataclasses.dataclass(frozen=True)
class Stage:
    """One phase of a method's training.

    Args:
        name: A name of the model's `stages`.
        epochs: Passes over the training images.
        learning_rate: At the start.
        optimizer: `"sgd"` (with `momentum`) or `"adam"`.
        momentum: Of SGD.
        weight_decay: Coefficient of the squared weights in the loss, as
            papers give it; see `training.make_optimizer`.
        schedule: `"constant"`, `"step"` (times 0.1 every `step_epochs`) or
            `"cosine"` (to zero at the end).
        step_epochs: Epochs between two steps.
        augmentation: What happens to a training image.
        monitor: Name of the validation figure whose best epoch is kept;
            those with "accuracy" in the name count up, others down.
    """

    name: str
    epochs: int
    learning_rate: float
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "constant"
    step_epochs: int = 30
    augmentation: Augmentation = Augmentation()  # noqa: RUF009, it is frozen
    monitor: str = "val_accuracy"

    def __post_init__(self):
        check_positive_int("epochs", self.epochs)
        check_choice("optimizer", self.optimizer, ("sgd", "adam"))
        check_choice("schedule", self.schedule, ("constant", "step", "cosine"))


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one method is trained: sizes, stages, the model's arguments.

    Args:
        name: As in `available()`.
        method: Name of a class of `keras_fgvc.models`.
        image_size: Side of the square the backbone sees, in pixels.
        load_size: Side of the square images are loaded at. Larger than
            `image_size` where a method cuts crops, which then are sharper.
        batch_size: Images a step, over all devices.
        stages: The stages in order.
        arguments: Further arguments of the model, by name.
    """

    name: str
    method: str
    image_size: int
    load_size: int
    batch_size: int
    stages: tuple[Stage, ...]
    arguments: dict = dataclasses.field(default_factory=dict)

    def replace(self, **changes) -> "Recipe":
        """A copy with some fields changed; `arguments` are merged."""
        arguments = {**self.arguments, **changes.pop("arguments", {})}
        return dataclasses.replace(self, arguments=arguments, **changes)

    def with_epochs(self, **epochs: int) -> "Recipe":
        """A copy with other epochs for the stages named.

        Raises:
            ValueError: If the recipe has no stage of that name.
        """
        names = [stage.name for stage in self.stages]
        for name in epochs:
            check_choice("stage", name, names)
        stages = tuple(
            dataclasses.replace(s, epochs=epochs.get(s.name, s.epochs))
            for s in self.stages
        )
        return self.replace(stages=stages)


def _elope_stages(epochs, steps, rates, **shared):
    """ELoPE's four stages; `epochs`, `steps` and `rates` in their order."""
    # The paper says nothing of augmentation: these are its authors' values.
    photo = Augmentation(
        rotation=20,
        horizontal_flip=True,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        lighting=0.1,
    )
    turned = dataclasses.replace(photo, rotation=30)
    details = {
        "classifier": {"augmentation": photo},
        "localizer": {"augmentation": turned, "monitor": "val_heatmap"},
        "crops": {"augmentation": photo},
        "weighted": {"augmentation": photo},
    }
    rows = zip(details, epochs, steps, rates, strict=True)
    return tuple(
        Stage(
            name,
            epochs=count,
            step_epochs=step,
            learning_rate=rate,
            **{**shared, **details[name]},
        )
        for name, count, step, rate in rows
    )


_RECIPES = (
    # Section 6 and Table 2; the localiser's schedule is the official one.
    Recipe(
        name="elope-paper",
        method="ELoPE",
        image_size=448,
        load_size=640,
        batch_size=14,
        stages=_elope_stages(
            epochs=(90, 45, 90, 30),
            steps=(30, 30, 30, 30),
            rates=(3e-3, 3e-3, 3e-3, 3e-4),
            weight_decay=1e-3,
            schedule="step",
        ),
    ),
    # What rwth-i6/fgvc does otherwise: means go back to the unit sphere, the
    # weighted fine-tune is longer and starts faster.
    Recipe(
        name="elope-official",
        method="ELoPE",
        image_size=448,
        load_size=640,
        batch_size=14,
        stages=_elope_stages(
            epochs=(90, 45, 90, 40),
            steps=(30, 30, 30, 20),
            rates=(3e-3, 3e-3, 3e-3, 1e-3),
            weight_decay=1e-3,
            schedule="step",
        ),
        arguments={"renormalize": True},
    ),
    # Ours: some thousand photographs on a small machine in minutes. Adam,
    # because SGD needs its rate tuned anew for every backbone at this length.
    Recipe(
        name="elope-short",
        method="ELoPE",
        image_size=224,
        load_size=320,
        batch_size=16,
        stages=_elope_stages(
            epochs=(8, 12, 8, 2),
            steps=(1, 1, 1, 1),
            rates=(2e-4, 1e-3, 1e-4, 2e-5),
            optimizer="adam",
            schedule="cosine",
        ),
    ),
)
_BY_NAME = {recipe.name: recipe for recipe in _RECIPES}


def available() -> list[str]:
    """Names of the recipes."""
    return list(_BY_NAME)


def get(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ValueError: If there is none; the text lists those there are.
    """
    check_choice("recipe", name, tuple(_BY_NAME))
    return _BY_NAME[name]
