import keras
import numpy as np
import pytest

from keras_fgvc.backbones.blocks import find_blocks
from keras_fgvc.models import (
    DAF,
    Baseline,
    Coarse2Fine,
    ELoPE,
    PainlessAttention,
)
from keras_fgvc.recipes import Stage
from keras_fgvc.training import make_optimizer
from tests import hub_networks, tiny


def rates(stage, steps):
    optimizer = make_optimizer(stage, steps)
    schedule = optimizer._learning_rate
    return [float(schedule(step)) for step in range(steps * stage.epochs)]


def test_step_schedule_falls_by_ten():
    stage = Stage("s", 4, 1.0, schedule="step", step_epochs=2)
    np.testing.assert_allclose(
        rates(stage, 3), [1.0] * 6 + [0.1] * 6, rtol=1e-6
    )


def test_step_factor():
    stage = Stage("s", 3, 1.0, schedule="step", step_epochs=1, step_factor=0.5)
    np.testing.assert_allclose(rates(stage, 2), [1, 1, 0.5, 0.5, 0.25, 0.25])


def test_cosine_schedule_ends_at_zero():
    stage = Stage("s", 4, 1.0, schedule="cosine")
    expected = [0.5 * (1 + np.cos(np.pi * i / 12)) for i in range(12)]
    np.testing.assert_allclose(rates(stage, 3), expected, rtol=1e-5)


def test_constant_rate():
    optimizer = make_optimizer(Stage("s", 1, 0.25, optimizer="adam"), 3)
    assert isinstance(optimizer, keras.optimizers.Adam)
    np.testing.assert_allclose(float(optimizer.learning_rate), 0.25)
    optimizer = make_optimizer(Stage("s", 1, 0.25, optimizer="rmsprop"), 3)
    assert isinstance(optimizer, keras.optimizers.RMSprop)


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


def test_head_learns_ten_times_as_fast_and_only_it():
    """From one start, a step of SGD moves the head ten times as far."""
    images, labels = tiny.images_and_labels()
    moves = []
    for head_rate in (1.0, 10.0):
        keras.utils.set_random_seed(0)
        keras.backend.clear_session()
        model = PainlessAttention(tiny.backbone(), 3, taps=("re_lu_2",), tap=8)
        stage = Stage("classifier", 1, 0.03, head_rate=head_rate)
        model.compile(make_optimizer(stage, 1, model))
        before = [w.numpy() for w in model.trainable_variables]
        model.fit(images, labels, batch_size=6, verbose=0)
        after = [w.numpy() for w in model.trainable_variables]
        moves.append([b - a for a, b in zip(before, after, strict=True)])
    head = {id(v) for v in model.head_variables()}
    assert 0 < len(head) < len(model.trainable_variables)
    for weight, plain, fast in zip(
        model.trainable_variables, *moves, strict=True
    ):
        factor = 10.0 if id(weight) in head else 1.0
        np.testing.assert_allclose(
            fast, factor * plain, rtol=0.02, atol=1e-6, err_msg=weight.path
        )


@pytest.mark.slow
def test_weights_that_a_stage_is_named_for_have_their_own_rate():
    """From one start, a step of SGD moves the rank weights as far as told."""
    images, labels = tiny.images_and_labels()
    moves = {}
    for rates in ((1.0, 1.0), (1.0, 100.0), (10.0, 1.0), (10.0, 100.0)):
        keras.utils.set_random_seed(0)
        keras.backend.clear_session()
        model = ELoPE(tiny.backbone(), 3, localize=False, tap=8)
        model.begin_stage("weighted")
        head_rate, focus_rate = rates
        stage = Stage(
            "weighted", 1, 1e-4, head_rate=head_rate, focus_rate=focus_rate
        )
        model.compile(make_optimizer(stage, 1, model))
        before = [w.numpy() for w in model.trainable_variables]
        model.fit(images, labels, batch_size=6, verbose=0)
        after = [w.numpy() for w in model.trainable_variables]
        moves[rates] = [b - a for a, b in zip(before, after, strict=True)]
    focus = {id(v) for v in model.get_layer("pooling").weights}
    head = {id(v) for v in model.head_variables()} - focus
    assert focus
    for place, weight in enumerate(model.trainable_variables):
        plain = moves[1.0, 1.0][place]
        for head_rate, focus_rate in moves:
            own = focus_rate if focus_rate != 1 else head_rate
            factor = head_rate if id(weight) in head else 1.0
            factor = own if id(weight) in focus else factor
            np.testing.assert_allclose(
                moves[head_rate, focus_rate][place],
                factor * plain,
                rtol=0.05,
                atol=1e-6,
                err_msg=weight.path,
            )


def test_a_rate_for_weights_that_no_phase_names():
    model = ELoPE(tiny.backbone(), 3, localize=False, tap=8)
    stage = Stage("classifier", 1, 1e-3, focus_rate=10.0)
    with pytest.raises(ValueError, match="'classifier' of ELoPE names none"):
        make_optimizer(stage, 1, model)
    with pytest.raises(ValueError, match="`focus_rate` must be a positive num"):
        Stage("classifier", 1, 1e-3, focus_rate=0.0)


def test_one_name_on_both_sides_of_the_backbones_end():
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, name="network_logits")(image)
    model = PainlessAttention(
        keras.Model(image, x),
        3,
        taps=("network_logits",),
        tap="network_logits",
    )
    stage = Stage("classifier", 1, 1e-3, head_rate=10.0)
    with pytest.raises(ValueError, match="'network_logits/kernel' and a weigh"):
        make_optimizer(stage, 1, model)


def rate_of(optimizer, variable):
    return float(optimizer._optimizer_map(variable).learning_rate)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_rates_by_depth_are_those_of_timm(optimizer):
    """Groups in order, the head's as the last: rate * d ** (last - group)."""
    model = Baseline(tiny.backbone(), 3, tap=8, batch_norm="train")
    stage = Stage(
        *("classifier", 1, 0.5),
        optimizer=optimizer,
        layer_decay=0.25,
        weight_decay=0.1,
    )
    made = make_optimizer(stage, 1, model)
    groups = [*find_blocks(model.features), [model.get_layer("logits")]]
    layer_max, seen = len(groups) - 1, set()
    for group, layers in enumerate(groups):
        for variable in [v for x in layers for v in x.trainable_weights]:
            scale = 0.25 ** (layer_max - group)
            np.testing.assert_allclose(rate_of(made, variable), 0.5 * scale)
            inner = made._optimizer_map(variable)
            factor = 10.0 if optimizer == "sgd" else 1.0  # by its momentum
            np.testing.assert_allclose(inner.weight_decay, 0.1 * factor)
            seen.add(id(variable))
    assert seen == {id(v) for v in model.trainable_variables}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_step_goes_as_far_as_the_depth_says(optimizer):
    """From one start; the decay of a weight is scaled with its rate."""
    images, labels = tiny.images_and_labels()
    moves = []
    for decay in (None, 0.5):
        keras.utils.set_random_seed(0)
        keras.backend.clear_session()
        model = Baseline(tiny.backbone(), 3, tap=8)
        stage = Stage(
            *("classifier", 1, 0.01),
            optimizer=optimizer,
            layer_decay=decay,
            head_rate=3.0,
            weight_decay=0.1,
        )
        model.compile(make_optimizer(stage, 1, model))
        before = [w.numpy() for w in model.trainable_variables]
        model.fit(images, labels, batch_size=6, verbose=0)
        after = [w.numpy() for w in model.trainable_variables]
        moves.append([b - a for a, b in zip(before, after, strict=True)])
    factors = {"conv2d": 1 / 8, "conv2d_1": 1 / 4, "conv2d_2": 1 / 2}
    for weight, plain, slow in zip(
        model.trainable_variables, *moves, strict=True
    ):
        factor = factors.get(weight.path.split("/")[0], 1.0)
        np.testing.assert_allclose(
            slow, factor * plain, rtol=0.02, atol=1e-6, err_msg=weight.path
        )


@pytest.mark.parametrize("make", [DAF, Coarse2Fine])
def test_rates_by_depth_of_several_backbones(make):
    """Equal blocks learn at equal rates, whichever backbone they are of."""
    keras.backend.clear_session()
    taps = {"taps": (4, 8), "groups": 1} if make is DAF else {"tap": 8}
    model = make(tiny.backbone(), 3, image_size=32, batch_norm="train", **taps)
    stage = Stage("classifier", 1, 1.0, layer_decay=0.5)
    made = make_optimizer(stage, 1, model)
    expected = {"conv2d": 1 / 8, "conv2d_1": 1 / 4, "conv2d_2": 1 / 2}
    found = {}
    for backbone in model.feature_extractors():
        for variable in backbone.trainable_weights:
            name = variable.path.split("/")[-2]
            found.setdefault(name, set()).add(rate_of(made, variable))
    assert {name: {rate} for name, rate in expected.items()} == {
        name: rates for name, rates in found.items() if name in expected
    }
    assert {rate_of(made, v) for v in model.head_variables()} == {1.0}


@pytest.mark.filterwarnings("ignore")  # KerasHub's
@pytest.mark.parametrize("family", ["DINOv2", "ResNet"])
def test_rates_by_depth_of_a_network_of_keras_hub(family):
    pytest.importorskip("keras_hub")
    network = hub_networks.network(family)
    model = Baseline(network, 3, preprocessing="imagenet")
    stage = Stage("classifier", 1, 1.0, layer_decay=0.5)
    made = make_optimizer(stage, 1, model)
    backbone = model.feature_extractors()[0].trainable_weights
    count = {"DINOv2": 2, "ResNet": 4}[family]
    assert {rate_of(made, variable) for variable in backbone} == {
        0.5 ** (count + 1 - group) for group in range(count + 1)
    }


def test_one_name_in_two_blocks():
    image = keras.Input((None, None, 3))
    x = image
    for number in range(2):
        inner = keras.Input((None, None, 3))
        y = keras.layers.Conv2D(3, 3, strides=2, name="same")(inner)
        x = keras.Model(inner, y, name=f"half_{number}")(x)
    model = Baseline(keras.Model(image, x), 3, tap="half_1")
    stage = Stage("classifier", 1, 1.0, layer_decay=0.5)
    with pytest.raises(ValueError, match=r"named 'same/kernel'.*Rename one"):
        make_optimizer(stage, 1, model)


@pytest.mark.parametrize("decay", [0.0, 1.5, -0.5])
def test_a_decay_that_is_none(decay):
    with pytest.raises(ValueError, match=r"`layer_decay` must be .*Received"):
        Stage("classifier", 1, 1.0, layer_decay=decay)
