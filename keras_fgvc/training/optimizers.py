"""The optimizer that a stage of a recipe describes."""

import keras

from keras_fgvc.recipes import Stage


def make_optimizer(stage: Stage, steps_per_epoch: int):
    """The optimizer of a stage, with its learning-rate schedule.

    Keras decouples weight decay: each step takes `rate * decay * weight` off
    a weight, once. The papers' decay is part of the gradient, which momentum
    counts 1 / (1 - momentum) times in the long run; so it is for SGD here.
    """
    rate = _schedule(stage, steps_per_epoch)
    decay = stage.weight_decay or None
    if stage.optimizer == "adam":
        return keras.optimizers.Adam(rate, weight_decay=decay)
    if decay:
        decay /= 1.0 - stage.momentum
    return keras.optimizers.SGD(
        rate, momentum=stage.momentum, weight_decay=decay
    )


def _schedule(stage, steps_per_epoch):
    rate, schedules = stage.learning_rate, keras.optimizers.schedules
    if stage.schedule == "cosine":
        return schedules.CosineDecay(rate, steps_per_epoch * stage.epochs)
    if stage.schedule == "step":
        return schedules.ExponentialDecay(
            rate, steps_per_epoch * stage.step_epochs, 0.1, staircase=True
        )
    return rate
