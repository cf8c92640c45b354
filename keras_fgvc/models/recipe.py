"""Recipe and Stage: frozen dataclasses of numbers and names."""

import dataclasses
import math

from keras_fgvc._checks import (
    check_choice,
    check_in_range,
    check_positive_int,
)
from keras_fgvc.data import Augmentation
from keras_fgvc.decoding.resizing import SQUASH, check_resize

OPTIMIZERS = ("sgd", "adam", "rmsprop")


@dataclasses.dataclass(frozen=True)
class Stage:
    """One phase of a method's training.

    Args:
        name: A name of the model's `stages`.
        epochs: Passes over the training images.
        learning_rate: At the start.
        head_rate: Learning rate of everything behind the backbone, as a
            multiple of the backbone's.
        focus_rate: Learning rate of the weights that the stage is named for,
            as a multiple of `learning_rate`, where the method's phase names
            them, see `models.phases.Phase.focus`. Defaults to 1.
        layer_decay: Factor by which the learning rate falls from each block
            of the backbone to the one before it, such as 0.75; the head's
            stays. Defaults to `None`, one rate for the backbone.
        optimizer: `"sgd"` (with `momentum`), `"adam"` or `"rmsprop"`.
        momentum: Of SGD.
        weight_decay: Coefficient of the squared weights in the loss, as
            papers give it; see `training.make_optimizer`.
        schedule: `"constant"`, `"step"` (times `step_factor` every
            `step_epochs`) or `"cosine"` (to zero at the end).
        step_epochs: Epochs between two steps.
        step_factor: What a step multiplies the rate by.
        augmentation: What happens to a training image.
        batch_size: Examples a step, if not the recipe's.
        num_examples: Number of training examples where a stage makes its
            own; 0 where it trains on the data.
        monitor: Name of the validation figure whose best epoch is kept;
            those with "accuracy" or "reward" in the name count up, others
            down.
    """

    name: str
    epochs: int
    learning_rate: float
    head_rate: float = 1.0
    focus_rate: float = 1.0
    layer_decay: float | None = None
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "constant"
    step_epochs: int = 30
    step_factor: float = 0.1
    augmentation: Augmentation = Augmentation()  # noqa: RUF009, it is frozen
    batch_size: int | None = None
    num_examples: int = 0
    monitor: str = "val_accuracy"

    def __post_init__(self):
        check_positive_int("epochs", self.epochs)
        for name in ("learning_rate", "focus_rate"):
            rate = getattr(self, name)
            if not 0.0 < rate < math.inf:
                raise ValueError(
                    f"`{name}` must be a positive number. "
                    f"Received: {name}={rate!r}."
                )
        decay = self.layer_decay
        if decay is not None:
            check_in_range("layer_decay", decay, 0.0, 1.0)
            if decay == 0.0:
                raise ValueError(
                    "`layer_decay` must be above 0 and at most 1. Received: "
                    f"layer_decay={decay}. To train the head alone, give the "
                    'model trainable="none".'
                )
        if self.batch_size is not None:
            check_positive_int("batch_size", self.batch_size)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("schedule", self.schedule, ("constant", "step", "cosine"))


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Training of one method: sizes, stages, the model's arguments.

    Args:
        name: As in `available()`.
        method: Name of a class of `keras_fgvc.models`, or of a registered one.
        image_size: Side of the square the backbone sees, in pixels.
        load_size: Side of the square images are loaded at. Larger than
            `image_size` where a method cuts crops, which then are sharper.
        batch_size: Images a step, over all devices.
        stages: The stages in order.
        arguments: Further arguments of the model, by name.
        resize: How images are brought to `load_size`, in training and ever
            after: `"squash"` (the default of all recipes) changes their
            aspect ratio, `"crop"` takes the largest central square, `"pad"`
            keeps all of the image, centred on mid-grey.

    Raises:
        ValueError: If `resize` is none of the three.
    """

    name: str
    method: str
    image_size: int
    load_size: int
    batch_size: int
    stages: tuple[Stage, ...]
    arguments: dict = dataclasses.field(default_factory=dict)
    resize: str = SQUASH

    def __post_init__(self):
        check_resize(self.resize)

    def replace(self, **changes) -> "Recipe":
        """A copy with some fields changed; `arguments` are merged."""
        arguments = {**self.arguments, **changes.pop("arguments", {})}
        return dataclasses.replace(self, arguments=arguments, **changes)

    def with_epochs(self, **epochs: int) -> "Recipe":
        """A copy with other epochs for the stages named.

        Raises:
            ValueError: If the recipe has no stage of that name.
        """
        return self._with("epochs", epochs)

    def with_batch_sizes(self, **batch_sizes: int) -> "Recipe":
        """A copy with other batch sizes for the stages named.

        Raises:
            ValueError: If the recipe has no stage of that name.
        """
        return self._with("batch_size", batch_sizes)

    def with_field(self, stage: str, field: str, value) -> "Recipe":
        """A copy with another value of one field of a stage.

        Raises:
            ValueError: If the recipe has no stage of that name, or the stage
                no such field.
        """
        fields = [each.name for each in dataclasses.fields(Stage)]
        check_choice("field", field, fields)
        return self._with(field, {stage: value})

    def _with(self, field, values):
        """A copy whose stages have other values of one field, by name."""
        names = [stage.name for stage in self.stages]
        for name in values:
            check_choice("stage", name, names)
        return self.replace(
            stages=tuple(
                dataclasses.replace(stage, **{field: values[stage.name]})
                if stage.name in values
                else stage
                for stage in self.stages
            )
        )

    def with_rounds(self, count: int) -> "Recipe":
        """A copy that goes through its stages several times.

        Raises:
            ValueError: If `count` is below 1.
        """
        check_positive_int("count", count)
        return self.replace(stages=self.stages * count)


def from_dict(config: dict) -> Recipe:
    """The recipe that `dataclasses.asdict` was applied to.

    JSON's lists, where a recipe has tuples, are made tuples again.

    Args:
        config: What `asdict` gave, perhaps through JSON.
    """
    stages = []
    for stage in config["stages"]:
        changes = Augmentation(**_with_tuples(stage["augmentation"]))
        stages.append(Stage(**{**stage, "augmentation": changes}))
    arguments = _with_tuples(config["arguments"])
    changes = {"stages": tuple(stages), "arguments": arguments}
    return Recipe(**{**config, **changes})


def _with_tuples(config):
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in config.items()
    }


def crop_and_flip(side: int, stored: int) -> Augmentation:
    """Returns crops of `side` out of `stored` pixels, half of them mirrored."""
    share = (side / stored) ** 2
    return Augmentation(random_crop=(share, share), horizontal_flip=True)


def short_classifier(augmentation: Augmentation) -> Stage:
    """Returns the stage of the short recipes that fine-tune in one stage.

    Ours: for some thousand photographs on a small machine.
    """
    return Stage(
        "classifier",
        epochs=8,
        learning_rate=2e-4,
        head_rate=10.0,
        optimizer="adam",
        schedule="cosine",
        augmentation=augmentation,
    )
