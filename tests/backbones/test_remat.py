"""The same training with fewer activations in memory."""

import keras
import numpy as np
import pytest
from keras import layers
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc import backbones
from keras_fgvc.backbones import remat
from tests import hub_networks
from tests.two_replicas import check_answer

BACKEND = keras.backend.backend()


@keras.saving.register_keras_serializable(package="tests")
class Counted(layers.Layer):
    """The identity, which counts how often it is called in training."""

    calls = 0

    def call(self, x, training=None):
        Counted.calls += bool(training)
        return x


def network():
    """Residual blocks with all that has a state: norms and dropout."""
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(5, 3, strides=4, padding="same", name="stem")(x)
    for number in range(1, 4):
        name = f"block_{number}"
        y = layers.Conv2D(5, 3, padding="same", name=f"{name}_conv")(x)
        y = Counted(name=f"{name}_count")(y)
        y = layers.BatchNormalization(name=f"{name}_norm")(y)
        y = layers.Dropout(0.3, seed=number, name=f"{name}_drop")(y)
        x = layers.Add(name=f"{name}_add")([x, y])
    return keras.Model(image, x, name="network")


def classifier(features):
    image = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(features(image))
    model = keras.Model(image, layers.Dense(2)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, 0.9), loss)
    return model


def fitted(features):
    """All state after four steps of training."""
    model = classifier(features)
    images = np.random.default_rng(5).uniform(0, 255, (6, 16, 16, 3))
    model.fit(
        images.astype("float32"),
        np.array([0, 1] * 3),
        batch_size=3,
        epochs=2,
        shuffle=False,
        verbose=0,
    )
    return [to_numpy(variable) for variable in model.variables]


@pytest.mark.parametrize("trainable", ["all", "last:1"])
@pytest.mark.parametrize("taps", [(4,), ("block_1_norm", "block_3_add")])
def test_training_is_the_same(trainable, taps):
    """Weights, moving statistics and the seeds of dropout."""
    states = []
    for again in (False, True):
        keras.utils.set_random_seed(3)
        features = backbones.build(
            network(),
            taps=taps,
            batch_norm="train",
            trainable=trainable,
            remat=again,
        )
        if len(taps) > 1:
            last = features.outputs[-1]
            features = type(features)(features.inputs[0], last)
        states.append(fitted(features))
    for plain, again in zip(*states, strict=True):
        np.testing.assert_allclose(again, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(BACKEND == "jax", reason="which computes from a trace")
@pytest.mark.parametrize("again", [False, True])
def test_each_block_is_computed_twice(again):
    model = classifier(backbones.build(network(), taps=(4,), remat=again))
    model.compile(model.optimizer, model.loss, run_eagerly=True)
    Counted.calls = 0
    model.train_on_batch(np.zeros((2, 8, 8, 3), "float32"), np.array([0, 1]))
    assert Counted.calls == (6 if again else 3)
    Counted.calls = 0
    model.predict_on_batch(np.zeros((2, 8, 8, 3), "float32"))
    assert Counted.calls == 0


@pytest.mark.skipif(BACKEND != "jax", reason="whose gradient holds it")
def test_less_is_kept_for_the_gradient():
    """What a block gives, not the five maps inside it."""
    import jax

    kept = []
    for again in (False, True):
        image = keras.Input((16, 16, 3))
        x = layers.Conv2D(8, 1, name="stem")(image)
        for number in range(6):
            y = x
            for step in "abcde":
                y = layers.Activation("tanh")(y)
                y = layers.Conv2D(8, 1, name=f"block_{number}_{step}")(y)
            x = layers.Add()([x, y])
        model = keras.Model(image, x)
        if again:
            model = remat.rematerialize(model)

        def outputs(weights, images, model=model):
            return model.stateless_call(weights, [], images, training=True)[0]

        weights = [variable.value for variable in model.trainable_variables]
        _, gradient = jax.vjp(outputs, weights, np.ones((4, 16, 16, 3)))
        maps = [each for each in jax.tree.leaves(gradient) if each.size > 1000]
        kept.append(sum(each.nbytes for each in maps))
    assert kept[1] < 0.25 * kept[0]


def test_copies_and_files_keep_it(tmp_path):
    model = backbones.build(network(), taps=(4,), remat=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(2).uniform(0, 255, (2, 16, 16, 3))
    expected = to_numpy(model(images))
    np.testing.assert_allclose(to_numpy(loaded(images)), expected, rtol=1e-5)
    copy = backbones.clone(model, "copy")
    np.testing.assert_allclose(to_numpy(copy(images)), expected, rtol=1e-5)
    stem = backbones.clone_stem(model, "block_1_add")
    for each in (loaded, copy, stem, backbones.clone_batch_norm(model, "own")):
        assert isinstance(each, remat.RematModel)


def test_networks_inside_a_network():
    """The blocks of the inner one are computed again, not it as a whole."""
    inner = network()
    model = keras.Sequential([keras.Input((16, 16, 3)), inner])
    again = backbones.build(model, taps=(4,), remat=True)
    pieces = remat._pieces(again)
    assert [piece for _, _, piece in pieces][-1] is inner
    states = []
    plain = keras.Model(again.inputs[0], again.outputs[0])
    for features in (plain, again):
        values = [to_numpy(variable) + 0 for variable in features.variables]
        keras.utils.set_random_seed(3)
        states.append(fitted(features))
        for variable, value in zip(features.variables, values, strict=True):
            variable.assign(value)
    for one, other in zip(*states, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # KerasHub's
@pytest.mark.parametrize("family", ["DINOv3", "Swin", "MiT", "DenseNet"])
def test_networks_of_keras_hub(family):
    pytest.importorskip("keras_hub")
    states = []
    size = hub_networks.SIZE
    images = np.random.default_rng(5).uniform(0, 255, (4, size, size, 3))
    for again in (False, True):
        keras.utils.set_random_seed(3)
        features = backbones.build(
            hub_networks.network(family),
            taps=(32,),
            preprocessing="imagenet",
            remat=again,
        )
        nested = features.outputs[0]._keras_history.operation
        assert nested.remat == again
        assert backbones.clone(features, "copy").layers[-1].remat == again
        model = classifier(features)
        model.fit(images, np.array([0, 1] * 2), verbose=0, shuffle=False)
        states.append([to_numpy(v) for v in model.trainable_variables])
    for one, other in zip(*states, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute")
def test_two_replicas():
    check_answer(
        """
from keras_fgvc import backbones
from tests.backbones.test_remat import classifier, network
states = []
for again in (False, True):
    keras.utils.set_random_seed(3)
    with both.scope():
        features = backbones.build(
            network(), taps=(4,), batch_norm="train", remat=again)
        model = classifier(features)
    images = np.random.default_rng(5).uniform(0, 255, (8, 16, 16, 3))
    model.fit(images, np.array([0, 1] * 4), batch_size=4, shuffle=False,
              verbose=0)
    states.append([v.numpy() for v in model.weights])
print(max(np.abs(a - b).max() for a, b in zip(*states)) < 1e-5)
""",
        "True",
    )
