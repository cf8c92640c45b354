"""Freezes and releases layers; batch normalisation is the trap.

`layer(x, training=False)` inside a functional graph does not freeze batch
normalisation in `fit`, because the outer call's `training=True` wins. Only
`trainable=False` on the layer itself does.
"""

import keras

from keras_fgvc import _checks
from keras_fgvc._replicas import must_synchronize

MODES = ("frozen", "train")


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
