"""insert: nothing is lost, nothing changes until the new layers learn."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_fgvc import backbones
from keras_fgvc.layers import DeepBilinearTransformation
from tests import tiny

IMAGES = np.random.default_rng(6).integers(0, 256, (2, 64, 64, 3), "uint8")


def outputs(model, training=False):
    found = model(IMAGES, training=training)
    found = found if isinstance(found, (list, tuple)) else [found]
    return [keras.ops.convert_to_numpy(x) for x in found]


def randomize(model, seed=1):
    """Values as if pretrained: moving statistics that are not 0 and 1."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(weight + rng.uniform(0.01, 0.3, weight.shape))


def block(groups=2, **options):
    return DeepBilinearTransformation(groups, **options)


def wake(*blocks):
    for layer in blocks:
        layer.residual.gamma.assign(layer.residual.gamma + 1.0)


def plus_one(name="plus_one"):
    """Keeps the shape and shows wherever it is seen."""
    return layers.Rescaling(1.0, offset=1.0, name=name)


def branching():
    """A map with two readers, one of them far downstream."""
    images = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 3, 4, padding="same", name="stem")(images)
    y = layers.Conv2D(4, 3, padding="same", name="body")(x)
    y = layers.Add(name="sum")([x, y])
    y = y * 2.0  # an operation that is no layer
    y = layers.Conv2D(6, 3, 2, padding="same", name="head")(y)
    return keras.Model(images, [x, y], name="branching")


BACKBONES = {
    "branching": (lambda: backbones.build(branching(), taps=(4, 8)), (4, 8)),
    "mobilenet_v2": (
        lambda: backbones.build("mobilenet_v2", taps=(8, 16), weights=None),
        (8, 16),
    ),
    "resnet50": (
        lambda: backbones.build("resnet50", taps=(8, 16), weights=None),
        ("conv2_block3_out", 8),
    ),
}


@pytest.mark.parametrize(
    ("make", "places"), BACKBONES.values(), ids=BACKBONES.keys()
)
def test_equal_at_the_start_and_not_after(make, places):
    model = make()
    randomize(model)
    added = [block(1), block(2)]
    result = backbones.insert(model, dict(zip(places, added, strict=True)))
    expected = outputs(model)
    for found, wanted in zip(outputs(result), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    wake(*added)
    for found, wanted in zip(outputs(result), expected, strict=True):
        assert np.abs(found - wanted).max() > 1e-4 * np.abs(wanted).max()
    for found, wanted in zip(outputs(model), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)  # as it was


def test_everything_downstream_sees_the_layer():
    model = branching()
    stem = keras.Model(model.input, model.get_layer("stem").output)
    result = backbones.insert(model, {"stem": plus_one()})
    x = stem(IMAGES) + 1.0
    y = 2.0 * (x + model.get_layer("body")(x))
    expected = [x, model.get_layer("head")(y)]
    for found, wanted in zip(outputs(result), expected, strict=True):
        np.testing.assert_allclose(
            found, keras.ops.convert_to_numpy(wanted), rtol=1e-5, atol=1e-4
        )


def test_names_inputs_and_structure_stay():
    model = backbones.build(branching(), taps=(4,), name="features")
    result = backbones.insert(model, {4: plus_one()})
    assert result.name == "features"
    assert result.input.name == "image"
    assert result.output.shape == model.output.shape  # no list of one
    several = backbones.insert(branching(), {4: plus_one()})
    assert [x.shape[-1] for x in several.output] == [4, 6]


def test_weights_are_shared():
    model = branching()
    result = backbones.insert(model, {4: block()})
    names = {layer.name for layer in model.layers if layer.weights}
    for name in names:
        assert result.get_layer(name) is model.get_layer(name)
    added = [x for x in result.layers if x.weights and x.name not in names]
    assert len(result.weights) == len(model.weights) + len(added[0].weights)


def test_a_second_time():
    model = branching()
    once = backbones.insert(model, {"stem": plus_one("a")})
    twice = backbones.insert(once, {"a": plus_one("b"), "head": plus_one("c")})
    both = backbones.insert(
        model, {"stem": layers.Rescaling(1.0, 2.0), "head": plus_one("d")}
    )
    for found, wanted in zip(outputs(twice), outputs(both), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_a_sequential_model():
    model = keras.Sequential([keras.Input((None, None, 3)), branching_stem()])
    model.add(layers.ReLU(name="last"))
    result = backbones.insert(model, {"last": plus_one()})
    np.testing.assert_allclose(outputs(result)[0], outputs(model)[0] + 1.0)


def branching_stem():
    return layers.Conv2D(4, 3, 4, padding="same", name="stem")


@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_training(batch_norm):
    """Reaches the block; frozen batch normalisation stays as it was."""
    backbone = backbones.build(
        tiny.backbone(), taps=(4, 8), batch_norm=batch_norm
    )
    added = block(1, name="block")
    result = backbones.insert(backbone, {4: added})
    images = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(result(images)[1])
    model = keras.Model(images, layers.Dense(3)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss=loss)
    norms = [
        x for x in backbone.layers if isinstance(x, layers.BatchNormalization)
    ]
    before = [w for x in norms for w in x.get_weights()]
    before_block = added.get_weights()
    model.fit(*tiny.images_and_labels(), epochs=2, verbose=0)
    after = [w for x in norms for w in x.get_weights()]
    moved = [np.any(a != b) for a, b in zip(before, after, strict=True)]
    assert any(moved) == (batch_norm == "train")
    paired = zip(added.weights, before_block, added.get_weights(), strict=True)
    for weight, old, new in paired:
        assert np.any(old != new), weight.path
    assert added.name in [layer.name for layer in result.layers]


def test_a_model_that_contains_it_saves_loads_and_clones(tmp_path):
    backbone = backbones.build(tiny.backbone(), taps=(4, 8))
    added = block(1)
    result = backbones.insert(backbone, {4: added})
    images = keras.Input((None, None, 3))
    model = keras.Model(images, result(images))
    randomize(model)
    wake(added)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    copy = backbones.clone(result, "copy")
    for other in (loaded, copy):
        for found, wanted in zip(outputs(other), outputs(model), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    frozen = [
        x.trainable
        for x in loaded._flatten_layers()
        if isinstance(x, layers.BatchNormalization)
    ]
    assert sorted(frozen) == [False] * 3 + [True] * 2


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="export is TensorFlow's"
)
def test_exports(tmp_path):
    import tensorflow as tf

    added = block()
    result = backbones.insert(
        backbones.build("mobilenet_v2", taps=(8,), weights=None), {8: added}
    )
    wake(added)
    images = IMAGES.astype("float32")
    result.export(str(tmp_path / "served"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(
        loaded.serve(tf.constant(images)),
        result.predict(images, verbose=0),
        rtol=1e-4,
        atol=1e-4,
    )


def called_twice():
    images = keras.Input((None, None, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    return keras.Model(images, shared(shared(images)), name="twice")


def without_graph():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    return Subclassed(name="subclassed")


@pytest.mark.parametrize(
    ("model", "added", "error", "message"),
    [
        (branching, {"stam": plus_one()}, ValueError, "no layer 'stam'.*stem"),
        (branching, {16: plus_one()}, ValueError, "no feature map of stride"),
        (branching, {"image": plus_one()}, ValueError, "'image', the input"),
        (
            branching,
            {8: plus_one("a"), "head": plus_one("b")},
            ValueError,
            "8 and 'head', both of which are 'head'",
        ),
        (
            branching,
            {"stem": layers.Conv2D(5, 1)},
            ValueError,
            r"tap 'stem' must keep.*4\).*shape \(None, None, None, 5\)",
        ),
        (
            called_twice,
            {"shared": plus_one()},
            ValueError,
            "called once.*'shared', which model 'twice' calls again",
        ),
        (
            without_graph,
            {4: plus_one()},
            ValueError,
            "functional or Sequential",
        ),
        (
            lambda: "resnet50",
            {4: plus_one()},
            TypeError,
            "Received: 'resnet50'",
        ),
        (branching, {}, TypeError, r"`layers` must be a dict.*layers=\{\}"),
        (branching, [plus_one()], TypeError, "`layers` must be a dict"),
        (branching, {4: len}, TypeError, "value at 4 must be a keras.layers"),
        (
            branching,
            {4.5: plus_one()},
            TypeError,
            "stride .* or a layer's name",
        ),
    ],
)
def test_wrong_arguments_are_named(model, added, error, message):
    with pytest.raises(error, match=message):
        backbones.insert(model(), added)


def test_a_layer_of_several_outputs():
    class Pair(layers.Layer):
        def call(self, x):
            return x, x

    with pytest.raises(ValueError, match="several outputs from 'pair'"):
        backbones.insert(branching(), {4: Pair(name="pair")})
    images = keras.Input((8, 8, 3))
    both = keras.Model(images, Pair(name="pair")(images))
    with pytest.raises(ValueError, match=r"one output.*one with 2"):
        backbones.insert(both, {"pair": plus_one()})
