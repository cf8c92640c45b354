import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc import losses
from keras_fgvc.models import Baseline, PainlessAttention
from keras_fgvc.ops import mix_hypotheses
from tests import tiny


def make(**options):
    settings = {"taps": (4, 8), "tap": 8}
    return PainlessAttention(
        tiny.backbone(), tiny.NUM_CLASSES, **{**settings, **options}
    )


def softmax(logits):
    return to_numpy(keras.ops.softmax(logits))


@pytest.mark.compiled
def test_outputs():
    images, _ = tiny.images_and_labels()
    outputs = make(num_heads=4).predict(images, verbose=0)
    shapes = {name: value.shape for name, value in outputs.items()}
    assert shapes == {
        "probabilities": (6, 3),
        "logits": (6, 3),
        "network_logits": (6, 3),
        "gates": (6, 9),
        "hypotheses": (6, 9, 3),
        "masks_0": (6, 8, 8, 4),
        "masks_1": (6, 4, 4, 4),
        "mean_activation": (6, 4, 4),
    }
    for name in ("masks_0", "masks_1"):
        np.testing.assert_allclose(outputs[name].sum((1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(outputs["gates"].sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"].sum(1), 1, rtol=1e-5)


def test_probabilities_are_those_of_equation_9():
    images, _ = tiny.images_and_labels()
    for mix in ("logits", "probabilities"):
        outputs = make(mix=mix).predict(images, verbose=0)
        terms, gates = outputs["hypotheses"], outputs["gates"][..., None]
        if mix == "logits":
            expected = softmax((gates * terms).sum(axis=1))
        else:
            expected = (gates * softmax(terms)).sum(axis=1)
        np.testing.assert_allclose(
            outputs["probabilities"], expected, rtol=1e-4
        )


def test_with_the_attention_gated_away_it_is_the_baseline():
    """Attention gates at 0, the network's at 1: the backbone's prediction."""
    images, _ = tiny.images_and_labels()
    model, plain = make(), Baseline(tiny.backbone(), tiny.NUM_CLASSES, tap=8)
    plain.get_layer("logits").set_weights(
        model.get_layer("network_logits").get_weights()
    )
    for ours, theirs in zip(
        model.features.weights, plain.features.weights, strict=True
    ):
        theirs.assign(to_numpy(ours.value))
    outputs = model.predict(images, verbose=0)
    closed = np.zeros_like(outputs["gates"])
    closed[:, 0] = 1.0
    mixed = mix_hypotheses(outputs["hypotheses"], closed, model.mix)
    np.testing.assert_allclose(
        softmax(mixed),
        plain.predict(images, verbose=0)["probabilities"],
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("mix", ["probabilities", "logits"])
def test_learns_and_moves_all_but_the_frozen_statistics(mix):
    images, labels = tiny.images_and_labels(12)
    model = make(mix=mix, diversity_weight=0.5)
    before = {w.path: to_numpy(w.value) for w in model.weights}
    model.compile(keras.optimizers.Adam(1e-2), metrics=["accuracy"])
    history = model.fit(images, labels, epochs=20, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert set(history) == {
        "loss",
        "cross_entropy",
        "mask_diversity",
        "accuracy",
    }
    np.testing.assert_allclose(
        history["loss"],
        np.add(
            history["cross_entropy"],
            np.multiply(0.5, history["mask_diversity"]),
        ),
        rtol=1e-4,
    )
    for weight in model.weights:
        moved = not np.array_equal(before[weight.path], to_numpy(weight.value))
        assert moved == ("batch_norm" not in weight.path), weight.path


def test_diversity_is_the_sum_over_the_modules():
    images, labels = tiny.images_and_labels()
    model = make(num_heads=3)
    outputs = model(images)
    terms = model.loss_terms(labels, outputs, training=False)
    expected = sum(
        to_numpy(losses.mask_diversity(outputs[name]))
        for name in ("masks_0", "masks_1")
    )
    np.testing.assert_allclose(
        to_numpy(terms["mask_diversity"]), expected, rtol=1e-5
    )


@pytest.mark.parametrize("options", [{"num_heads": 1}, {"diversity_weight": 0}])
def test_no_diversity_term_without_need(options):
    assert set(make(**options).loss_weights) == {"cross_entropy"}


def test_head_variables_are_all_but_the_backbones():
    model = make()
    names = {variable.path.split("/")[0] for variable in model.head_variables()}
    assert names == {"attention_0", "attention_1", "heads", "network_logits"}


def test_it_is_nearly_free():
    """Depth 2, width 2: two masks and three hypotheses a module's channels."""
    model = make()
    added = model.count_params() - model.features.count_params()
    masks = 2 * (7 + 11)
    heads = 2 * (7 + 11) * 3 + 2 * 2 * 3 + 2 * (7 + 11) + (7 + 11)
    network = 11 * 3 + 3 + 11
    assert added == masks + heads + network


@pytest.mark.parametrize(
    "options",
    [
        {"taps": ("re_lu_1",), "num_heads": 1, "kernel_size": 3},
        {"mask": "sigmoid", "reduction": "average", "gates": False},
        {"mix": "probabilities", "temperature": 0.5, "diversity_weight": 0.3},
        {"kernel_initializer": "zeros"},
    ],
)
def test_save_and_load_under_safe_mode(options, tmp_path):
    images, labels = tiny.images_and_labels()
    keras.backend.clear_session()  # fixed layer names
    model = make(**options)
    model.compile("adam", metrics=["accuracy"])
    model.fit(images, labels, verbose=0)
    expected = model.predict(images, verbose=0)
    path = tmp_path / "painless.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    assert loaded.get_config().keys() == model.get_config().keys()
    for name, value in options.items():
        assert getattr(loaded, name) == value
    for name, value in loaded.predict(images, verbose=0).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6)


def test_mixed_precision():
    images, labels = tiny.images_and_labels()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("adam")
    history = model.fit(images, labels, verbose=0).history
    assert np.isfinite(history["loss"][0])
    outputs = model.predict(images, verbose=0)
    for name in ("probabilities", "gates", "masks_0"):
        assert outputs[name].dtype == np.float32
    np.testing.assert_allclose(outputs["probabilities"].sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"taps": 16}, "`taps` must be a tuple of strides"),
        ({"taps": ()}, "`taps` must be a tuple of strides"),
        ({"taps": (8, 8)}, "`taps` must name each map once"),
        ({"num_heads": 0}, "`num_heads` must be at least 1"),
        ({"diversity_weight": -1.0}, "`diversity_weight` must be between"),
        ({"gates": True, "mix": "votes"}, "`mix` must be one of"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
