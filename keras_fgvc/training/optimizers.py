"""The optimizer that a stage of a recipe describes."""

import keras

from keras_fgvc.models.phases import find_phase
from keras_fgvc.recipes import Stage


def make_optimizer(stage: Stage, steps_per_epoch: int, model=None):
    """The optimizer of a stage, with its learning-rate schedule.

    Keras decouples weight decay: each step takes `rate * decay * weight` off
    a weight, once. The papers' decay is part of the gradient, which momentum
    counts 1 / (1 - momentum) times in the long run; so it is for SGD here.

    With `layer_decay` d, block i of the n blocks of a backbone learns at the
    rate times d^(n + 1 - i), the stem at the rate times d^(n + 1), as in
    BEiT (Bao et al., 2022, https://arxiv.org/abs/2106.08254) and in timm's
    `param_groups_layer_decay`, where the head is group n + 1.

    Args:
        stage: What to make.
        steps_per_epoch: Of the schedule.
        model: A `keras_fgvc.models` model, needed where `stage.head_rate` or
            `stage.focus_rate` is not 1, or `stage.layer_decay` is given: its
            `head_variables()`, or the weights that its phase is named for,
            learn that many times as fast.

    Returns:
        A Keras optimizer; a `MultiOptimizer` where there are several rates.

    Raises:
        ValueError: If a layer of the backbone has the name of one behind it,
            or `stage.focus_rate` is not 1 and the model's phase names no
            weights.
    """
    factors = {}  # by path: a pattern might catch other layers as well
    if stage.layer_decay not in (None, 1.0):
        factors |= _factors_by_depth(model, stage.layer_decay)
    if stage.head_rate != 1.0 or factors:
        own = {v.path: stage.head_rate for v in model.head_variables()}
        _check_names(model, own)
        factors |= own
    if stage.focus_rate != 1.0:
        factors |= {v.path: stage.focus_rate for v in _focus(model, stage)}
    slow = _one_rate(stage, steps_per_epoch, stage.learning_rate)
    if not factors:
        return slow
    fast = {
        factor: _one_rate(stage, steps_per_epoch, stage.learning_rate * factor)
        for factor in dict.fromkeys(factors.values())
    }
    paths = {path: fast[factor] for path, factor in factors.items()}
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(slow, paths)
    )


def _factors_by_depth(model, decay):
    """Factors of the rates of the backbones' weights, by path."""
    # A rare thing, imported where it is used.
    from keras_fgvc.backbones.blocks import number_weights

    factors = {}
    for extractor in model.feature_extractors():
        numbers = number_weights(extractor)
        last = max(numbers.values(), default=0)
        for weight in extractor.trainable_weights:
            factor = decay ** (last + 1 - numbers[id(weight)])
            if factors.setdefault(weight.path, factor) != factor:
                raise ValueError(
                    f"Two weights of the backbone are named {weight.path!r} "
                    "and are in different blocks, so they cannot learn at two "
                    "rates. Rename one of the layers."
                )
    return factors


def _check_names(model, paths):
    extractors = model.feature_extractors()
    for variable in [w for m in extractors for w in m.weights]:
        if variable.path in paths:
            raise ValueError(
                f"The backbone's {variable.path!r} and a weight behind the "
                "backbone have one name, so they cannot learn at two rates. "
                "Rename that layer of the backbone."
            )


def _focus(model, stage):
    """Returns the weights that a stage is named for."""
    focus = find_phase(model, stage.name).focus or ()
    found = [v for layer in focus for v in layer.trainable_variables]
    if not found:
        raise ValueError(
            f"`focus_rate` is for stages whose phase names the layers that it "
            f"is for, and {stage.name!r} of {type(model).__name__} names "
            f"none. Received: focus_rate={stage.focus_rate}. Omit it."
        )
    return found


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
