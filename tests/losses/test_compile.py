"""Losses with a target train a plain Keras model by `compile(loss=...)`."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc import losses

RNG = np.random.default_rng(0)
BATCH = 8


def squares(sides):
    """Half sides `(b, n)` to boxes around the middle, `(b, n, 4)`."""
    return ops.stack([0.5 - sides, 0.5 - sides, 0.5 + sides, 0.5 + sides], -1)


# Name -> targets, number of outputs, from the outputs to a prediction.
WITH_TARGET = {
    "box_area_penalty": (
        RNG.uniform(0.1, 0.9, BATCH),
        2,
        lambda x: squares(0.5 * ops.sigmoid(x)),
    ),
    "heatmap_regression": (
        RNG.normal(size=(BATCH, 2, 3)),
        6,
        keras.layers.Reshape((2, 3)),
    ),
    "hint": (RNG.normal(size=(BATCH, 7)), 7, None),
    "pairwise_ranking": (RNG.uniform(size=(BATCH, 5)), 5, None),
    "reinforce": (
        np.eye(5)[RNG.integers(0, 5, BATCH)],
        5,
        ops.log_softmax,
    ),
    "soft_target": (RNG.normal(size=(BATCH, 5)), 5, None),
}
WITHOUT_TARGET = {
    "box_overlap": (2, 4),
    "channel_grouping": (3, 5, 4),
    "mask_diversity": (3, 5, 2),
}


def test_each_loss_is_here():
    assert {*WITH_TARGET, *WITHOUT_TARGET} == set(losses.__all__)


@pytest.mark.parametrize("name", WITH_TARGET)
def test_it_trains_a_model_through_compile(name):
    targets, width, form = WITH_TARGET[name]
    targets, loss = targets.astype("float32"), getattr(losses, name)
    inputs = RNG.normal(size=(BATCH, 11)).astype("float32")
    x = keras.Input((11,))
    y = keras.layers.Dense(width)(x)
    model = keras.Model(x, form(y) if form else y)
    expected = ops.mean(loss(targets, model(inputs)))
    model.compile(keras.optimizers.Adam(0.05), loss=loss)
    history = model.fit(
        inputs, targets, batch_size=BATCH, epochs=15, verbose=0
    ).history["loss"]
    np.testing.assert_allclose(
        history[0], ops.convert_to_numpy(expected), rtol=1e-4
    )
    assert history[-1] < 0.7 * history[0]


@pytest.mark.parametrize("name", WITHOUT_TARGET)
def test_without_a_target_it_is_refused(name):
    shape = WITHOUT_TARGET[name]
    x = keras.Input(shape)
    model = keras.Model(x, 2.0 * x)
    model.compile("sgd", loss=getattr(losses, name))
    values = np.ones((2, *shape), "float32")
    with pytest.raises(TypeError, match="takes 1 positional argument but 2"):
        model.train_on_batch(values, values)
