import keras
import numpy as np
import pytest

from keras_fgvc.recipes import Stage
from keras_fgvc.training import make_optimizer


def rates(stage, steps):
    optimizer = make_optimizer(stage, steps)
    schedule = optimizer._learning_rate
    return [float(schedule(step)) for step in range(steps * stage.epochs)]


def test_step_schedule_falls_by_ten():
    stage = Stage("s", 4, 1.0, schedule="step", step_epochs=2)
    np.testing.assert_allclose(
        rates(stage, 3), [1.0] * 6 + [0.1] * 6, rtol=1e-6
    )


def test_cosine_schedule_ends_at_zero():
    stage = Stage("s", 4, 1.0, schedule="cosine")
    expected = [0.5 * (1 + np.cos(np.pi * i / 12)) for i in range(12)]
    np.testing.assert_allclose(rates(stage, 3), expected, rtol=1e-5)


def test_constant_rate():
    optimizer = make_optimizer(Stage("s", 1, 0.25, optimizer="adam"), 3)
    assert isinstance(optimizer, keras.optimizers.Adam)
    np.testing.assert_allclose(float(optimizer.learning_rate), 0.25)


def run(optimizer, gradient_of, steps=400):
    variable = keras.Variable(np.float32([1.0, -2.0]))
    optimizer.build([variable])
    path = []
    for _ in range(steps):
        gradient = gradient_of(keras.ops.convert_to_numpy(variable))
        optimizer.apply([keras.ops.convert_to_tensor(gradient)])
        path.append(keras.ops.convert_to_numpy(variable).copy())
    return np.array(path)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_weight_decay_is_that_of_a_coupled_sgd(decay):
    """Without a gradient, weights shrink as fast as with decay in it."""
    stage = Stage("s", 1, 0.01, weight_decay=decay)
    decoupled = run(make_optimizer(stage, 1), lambda w: 0 * w)
    coupled = run(keras.optimizers.SGD(0.01, 0.9), lambda w: decay * w)
    # Coupled decay starts some ten steps late, while momentum builds up.
    np.testing.assert_allclose(decoupled[-1], coupled[-1], rtol=0.08)
