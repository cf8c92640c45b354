"""The optimizer that a stage of a recipe describes."""

import keras

from keras_fgvc.recipes import Stage


def make_optimizer(stage: Stage, steps_per_epoch: int, model=None):
    """The optimizer of a stage, with its learning-rate schedule.

    Keras decouples weight decay: each step takes `rate * decay * weight` off
    a weight, once. The papers' decay is part of the gradient, which momentum
    counts 1 / (1 - momentum) times in the long run; so it is for SGD here.

    Args:
        stage: What to make.
        steps_per_epoch: Of the schedule.
        model: A `keras_fgvc.models` model, needed where `stage.head_rate` is
            not 1: its `head_variables()` learn that many times as fast.

    Returns:
        A Keras optimizer; a `MultiOptimizer` where there are two rates.

    Raises:
        ValueError: If a layer of the backbone has the name of one behind it.
    """
    slow = _one_rate(stage, steps_per_epoch, stage.learning_rate)
    if stage.head_rate == 1.0:
        return slow
    fast = _one_rate(
        stage, steps_per_epoch, stage.learning_rate * stage.head_rate
    )
    # Whole paths: a pattern might catch a layer of the backbone as well.
    paths = {variable.path: fast for variable in model.head_variables()}
    extractors = model.feature_extractors()
    for variable in [w for m in extractors for w in m.weights]:
        if variable.path in paths:
            raise ValueError(
                f"The backbone's {variable.path!r} and a weight behind the "
                "backbone have one name, so they cannot learn at two rates. "
                "Rename that layer of the backbone."
            )
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(slow, paths)
    )


def _one_rate(stage, steps_per_epoch, rate):
    rate = _schedule(stage, steps_per_epoch, rate)
    decay = stage.weight_decay or None
    if stage.optimizer == "adam":
        return keras.optimizers.Adam(rate, weight_decay=decay)
    if stage.optimizer == "rmsprop":
        return keras.optimizers.RMSprop(rate, weight_decay=decay)
    if decay:
        decay /= 1.0 - stage.momentum
    return keras.optimizers.SGD(
        rate, momentum=stage.momentum, weight_decay=decay
    )


def _schedule(stage, steps_per_epoch, rate):
    schedules = keras.optimizers.schedules
    if stage.schedule == "cosine":
        return schedules.CosineDecay(rate, steps_per_epoch * stage.epochs)
    if stage.schedule == "step":
        return schedules.ExponentialDecay(
            rate,
            steps_per_epoch * stage.step_epochs,
            stage.step_factor,
            staircase=True,
        )
    return rate
