"""Freezes and releases layers; batch normalisation is the trap.

What `build(trainable=...)` froze is held: a later phase of a method thaws
other layers, not these.

`layer(x, training=False)` inside a functional graph does not freeze batch
normalisation in `fit`, because the outer call's `training=True` wins. Only
`trainable=False` on the layer itself does.
"""

import re

import keras

from keras_fgvc import _checks
from keras_fgvc._replicas import must_synchronize

MODES = ("frozen", "train")
# Attribute of a layer that is held: whether it was trainable before.
HELD = "_trainable_before"


def set_trainable(
    model: keras.Model, trainable: bool, *, batch_norm: str = "frozen"
) -> None:
    """Freezes or thaws a model, nested models included.

    `model.trainable = True` would also thaw batch normalisation that was
    frozen, and its moving statistics would silently drift in `fit`. Call
    this before `compile`: Keras reads `trainable` there.

    Args:
        model: the `keras.Model` to change in place.
        trainable: whether its layers train.
        batch_norm: "frozen" (default) keeps every BatchNormalization
            frozen, "train" treats it as any other layer.

    Raises:
        ValueError: if `batch_norm` is neither of the two.

    Example:

    ```python
    from keras_fgvc import backbones

    model = backbones.build("mobilenet_v2", taps=(16,), weights=None)
    backbones.set_trainable(model, True)
    assert not model.get_layer("bn_Conv1").trainable
    ```
    """
    _checks.check_choice("batch_norm", batch_norm, MODES)
    # One by one: with TensorFlow, `model.trainable = True` does nothing at all
    # where the model's own flag is True already, whatever its layers say.
    for layer in model._flatten_layers():
        layer.trainable = trainable
    if batch_norm == "frozen":
        for layer in batch_norm_layers(model):
            layer.trainable = False


def check_trainable(trainable) -> None:
    """Raises unless `trainable` is "all", "none" or "last:N"."""
    if isinstance(trainable, str) and re.fullmatch(
        r"all|none|last:[1-9]\d*", trainable, re.ASCII
    ):
        return
    hint = ""
    if isinstance(trainable, bool):
        hint = " To freeze a whole model, set its `trainable` once it is built."
    raise (ValueError if isinstance(trainable, str) else TypeError)(
        '`trainable` must be "all", "none" or "last:N" with the number N of '
        'blocks that train, such as "last:3". '
        f"Received: trainable={trainable!r}.{hint}"
    )


def hold(model: keras.Model, trainable: str) -> None:
    """Freezes all of a backbone but its last blocks.

    Args:
        model: a functional `keras.Model`, changed in place.
        trainable: "all", "none" or "last:N".

    Raises:
        ValueError: if the model has fewer than N blocks.
    """
    if trainable == "all":
        return
    kept = [] if trainable == "none" else _last_blocks(model, trainable)
    kept = {id(each) for layer in kept for each in layer._flatten_layers()}
    layers = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if kept.isdisjoint(id(each) for each in layer._flatten_layers())
    ]
    for layer in layers:
        if not is_held(layer):
            # Past Keras's tracking, because a built layer takes no new state.
            object.__setattr__(layer, HELD, layer.trainable)
    for layer in layers:
        layer.trainable = False


def _last_blocks(model, trainable):
    # A rare thing, imported where it is used.
    from keras_fgvc.backbones.blocks import find_blocks

    _, *blocks = find_blocks(model)
    count = int(trainable.partition(":")[2])
    if count > len(blocks):
        raise ValueError(
            f"The backbone {model.name!r} has {len(blocks)} blocks up to its "
            f'last tap. Received: trainable={trainable!r}. Give "last:N" with '
            f'N from 1 to {len(blocks)}, or "all".'
        )
    return [layer for block in blocks[-count:] for layer in block]


def is_held(layer) -> bool:
    """Tells whether `build(trainable=...)` froze a layer."""
    return hasattr(layer, HELD)


def release(model: keras.Model) -> None:
    """Undoes `hold`."""
    held = [x for x in model._flatten_layers() if is_held(x)]
    before = [getattr(layer, HELD) for layer in held]
    # A layer after the one it is in, which sets the flags of both.
    for layer, trainable in zip(held, before, strict=True):
        layer.trainable = trainable
        object.__delattr__(layer, HELD)


def hold_alike(source, target) -> None:
    """Holds the layers of a copy whose originals are held."""
    layers = (each._flatten_layers() for each in (source, target))
    for layer, copy in zip(*layers, strict=False):
        if is_held(layer):
            object.__setattr__(copy, HELD, getattr(layer, HELD))
            copy.trainable = False


def configure_batch_norm(
    model: keras.Model, batch_norm: str, momentum: float
) -> None:
    """Freezes every BatchNormalization, or lets it train with `momentum`.

    One that trains normalises by all replicas' images.
    """
    for layer in batch_norm_layers(model):
        layer.trainable = batch_norm == "train"
        if batch_norm == "train":
            layer.momentum = momentum
            layer.synchronized = must_synchronize()


def batch_norm_layers(model: keras.Model) -> list:
    """Every BatchNormalization in `model`, at any depth of nesting.

    `model.layers` is the public list, but it stops at composite layers.
    """
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
