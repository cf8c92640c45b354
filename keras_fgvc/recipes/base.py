"""What a recipe is: frozen dataclasses of numbers and names."""

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
        head_rate: Learning rate of everything behind the backbone, as a
            multiple of the backbone's.
        optimizer: `"sgd"` (with `momentum`) or `"adam"`.
        momentum: Of SGD.
        weight_decay: Coefficient of the squared weights in the loss, as
            papers give it; see `training.make_optimizer`.
        schedule: `"constant"`, `"step"` (times `step_factor` every
            `step_epochs`) or `"cosine"` (to zero at the end).
        step_epochs: Epochs between two steps.
        step_factor: What a step multiplies the rate by.
        augmentation: What happens to a training image.
        num_examples: Number of training examples where a stage makes its
            own; 0 where it trains on the data.
        monitor: Name of the validation figure whose best epoch is kept;
            those with "accuracy" in the name count up, others down.
    """

    name: str
    epochs: int
    learning_rate: float
    head_rate: float = 1.0
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "constant"
    step_epochs: int = 30
    step_factor: float = 0.1
    augmentation: Augmentation = Augmentation()  # noqa: RUF009, it is frozen
    num_examples: int = 0
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
