import keras
import numpy as np

from keras_fgvc.training.callbacks import EpochSeeds


def states(seed, epoch):
    image = keras.Input((5,))
    x = keras.layers.Dropout(0.5)(image)
    model = keras.Model(image, keras.layers.Dropout(0.5)(x))
    callback = EpochSeeds(seed)
    callback.set_model(model)
    callback.on_epoch_begin(epoch)
    return [tuple(v.numpy()) for v in model.variables if "seed_gen" in v.path]


def test_states_follow_from_seed_and_epoch_alone():
    assert states(3, 2) == states(3, 2)
    assert states(3, 2) != states(3, 1)
    assert states(3, 2) != states(4, 2)


def test_generators_differ_from_one_another():
    first, second = states(3, 0)
    assert first != second


def test_large_numbers_turn_over():
    for state in states(2**31, 5000):
        assert np.all(np.array(state) >= 0)
        assert np.all(np.array(state, "int64") < 2**32)


def test_dropout_of_an_epoch_is_the_same_in_every_run():
    ones = np.ones((4, 5), "float32")

    def draw(epoch):
        image = keras.Input((5,))
        layer = keras.layers.Dropout(0.5)
        model = keras.Model(image, layer(image))
        callback = EpochSeeds(7)
        callback.set_model(model)
        callback.on_epoch_begin(epoch)
        return model(ones, training=True).numpy()

    np.testing.assert_array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))
