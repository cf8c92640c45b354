import dataclasses

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc import recipes
from keras_fgvc.models import ELoPE
from keras_fgvc.ops import (
    box_area,
    crop_and_resize,
    heatmap_to_box,
    minmax_normalize,
)
from keras_fgvc.training.optimizers import make_optimizer
from tests import tiny
from tests.gradients import _jax, _tensorflow, _torch

only_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="slow, and the same on every backend",
)
TAKE = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
STAGES = ("classifier", "localizer", "crops", "weighted")


def make(**options):
    settings = {"image_size": tiny.SIZE, "embedding_dim": 13, "tap": 8}
    return ELoPE(tiny.backbone(), tiny.NUM_CLASSES, **{**settings, **options})


def values(model):
    # By number: the localiser's stem has layers of the same names and paths
    # as the backbone it was copied from.
    return [to_numpy(w.value) for w in model.weights]


def train(model, stage, epochs=2):
    images, labels = tiny.images_and_labels()
    model.begin_stage(stage)
    model.compile(keras.optimizers.Adam(1e-2), metrics=["accuracy"])
    before = values(model)
    history = model.fit(images, labels, epochs=epochs, verbose=0).history
    pairs = zip(before, values(model), strict=True)
    moved = {i for i, (a, b) in enumerate(pairs) if not np.array_equal(a, b)}
    return history, moved


@pytest.mark.compiled
def test_outputs():
    images, _ = tiny.images_and_labels(size=41)  # larger than image_size
    model = make()
    outputs = model.predict(images, verbose=0)
    shapes = {name: value.shape for name, value in outputs.items()}
    assert shapes == {
        "probabilities": (6, 3),
        "logits": (6, 3),
        "embedding": (6, 13),
        "mean_activation": (6, 4, 4),
        "heatmap": (6, 14, 14),
        "boxes": (6, 1, 4),
    }


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_trains_its_own_weights(stage):
    model = make()
    own = {id(weight) for weight in model.localizer.weights}
    localizers = {i for i, w in enumerate(model.weights) if id(w) in own}
    history, moved = train(model, stage)
    paths = {model.weights[i].path for i in moved}
    assert np.all(np.isfinite(history["loss"]))
    if stage == "localizer":
        assert moved
        assert moved <= localizers
        assert not any("moving" in path for path in paths)
        assert set(history) == {"loss", "heatmap", "accuracy"}
    else:
        assert any("logits" in path for path in paths)
        assert any("means" in path for path in paths)
        assert not moved & localizers
        released = any("rank_weights" in path for path in paths)
        assert released == (stage == "weighted")
        assert set(history) == {
            "loss",
            "cross_entropy",
            "embedding",
            "accuracy",
        }


def test_loss_is_equation_1():
    history, _ = train(make(embedding_weight=3.0), "classifier", epochs=1)
    np.testing.assert_allclose(
        history["loss"][0],
        history["cross_entropy"][0] + 3.0 * history["embedding"][0],
        rtol=1e-4,
    )


def test_a_new_classifier_says_little():
    """Large weights would pull the backbone after random directions."""
    layer = make(localize=False, embedding_dim=512).get_layer("logits")
    assert 0.005 < to_numpy(layer.kernel).std() < 0.02


@only_tensorflow
@pytest.mark.slow
def test_the_short_recipe_trains_a_new_head_at_a_low_rate():
    """Eight colours, 100 steps at 5e-5: with one rate for all 25 % right."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), 8).astype("int32")
    images = rng.integers(0, 256, (8, 1, 1, 3))[labels]
    images = images + rng.normal(0, 20, (64, tiny.SIZE, tiny.SIZE, 3))
    model = ELoPE(
        tiny.backbone(), 8, image_size=tiny.SIZE, tap=8, localize=False
    )
    stage = recipes.get("elope-short").stages[0]
    stage = dataclasses.replace(stage, epochs=25, learning_rate=5e-5)
    model.begin_stage(stage.name)
    model.compile(make_optimizer(stage, 4, model), metrics=["accuracy"])
    images = images.clip(0, 255).astype("float32")
    model.fit(images, labels, batch_size=16, epochs=25, verbose=0)
    found = model.evaluate(images, labels, verbose=0, return_dict=True)
    assert found["accuracy"] > 0.6


def test_localizer_starts_as_the_classifiers_first_stage():
    model = make()
    train(model, "classifier")
    stem = model.localizer.stem
    names = [layer.name for layer in stem.layers if layer.weights]
    names = [name for name in names if not name.startswith("localizer_conv")]
    assert names

    def equal():
        return all(
            np.array_equal(a, b)
            for name in names
            for a, b in zip(
                stem.get_layer(name).get_weights(),
                model.features.get_layer(name).get_weights(),
                strict=True,
            )
        )

    assert not equal()  # the classifier has moved on
    model.begin_stage("localizer")
    assert equal()


@pytest.mark.slow
@pytest.mark.compiled
def test_localizer_learns_the_mean_activation():
    model = make()
    train(model, "classifier")
    history, _ = train(model, "localizer", epochs=60)
    assert history["heatmap"][-1] < 0.5 * history["heatmap"][0]


def test_switched_off_equals_no_localizer():
    images, _ = tiny.images_and_labels(size=41)
    model, plain = make(), make(localize=False)
    for layer in plain.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    np.testing.assert_allclose(
        model.predict(images, verbose=0)["logits"],
        plain.predict(images, verbose=0)["logits"],
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.compiled
def test_boxes_are_those_of_the_heatmap_and_crop_the_image():
    images, _ = tiny.images_and_labels(size=41)
    model = make(threshold=0.6, min_size=0.02)
    whole = model.predict(images, verbose=0)
    np.testing.assert_array_equal(whole["boxes"][:, 0], [[0, 0, 1, 1]] * 6)
    model.localizer.enable()
    outputs = model.predict(images, verbose=0)
    expected = keras.ops.convert_to_numpy(
        heatmap_to_box(
            minmax_normalize(outputs["heatmap"]),
            0.6,
            model.localizer.min_size,
        )
    )
    np.testing.assert_allclose(outputs["boxes"][:, 0], expected)
    assert not np.allclose(expected, [0, 0, 1, 1])
    assert not np.allclose(outputs["logits"], whole["logits"])


@pytest.mark.compiled
def test_set_threshold_moves_the_boxes_and_is_saved(tmp_path):
    images, _ = tiny.images_and_labels(size=41)
    model = make(threshold=0.1)
    model.localizer.enable()
    before = model.predict(images, verbose=0)
    model.set_threshold(0.8)
    after = model.predict(images, verbose=0)
    np.testing.assert_array_equal(before["heatmap"], after["heatmap"])
    areas = [
        to_numpy(box_area(o["boxes"][:, 0])).mean() for o in (before, after)
    ]
    assert areas[1] < areas[0]
    model.save(tmp_path / "elope.keras")
    loaded = keras.saving.load_model(tmp_path / "elope.keras")
    assert loaded.threshold == 0.8
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0)["boxes"], after["boxes"], atol=1e-5
    )


def test_boxes_by_mass(tmp_path):
    images, _ = tiny.images_and_labels(size=41)
    model = make(mass=0.8)
    model.localizer.enable()
    outputs = model.predict(images, verbose=0)
    heatmap = minmax_normalize(outputs["heatmap"])
    np.testing.assert_allclose(
        outputs["boxes"][:, 0],
        to_numpy(heatmap_to_box(heatmap, mass=0.8)),
        atol=1e-5,
    )
    with pytest.raises(ValueError, match="has a threshold"):
        model.set_threshold(0.5)
    model.save(tmp_path / "mass.keras")
    assert keras.saving.load_model(tmp_path / "mass.keras").mass == 0.8


def test_set_threshold_names_what_is_wrong():
    with pytest.raises(ValueError, match="`value` must be between 0"):
        make().set_threshold(1.5)
    with pytest.raises(ValueError, match="needs a localiser"):
        make(localize=False).set_threshold(0.5)


def test_rank_weights_at_one_are_equation_3():
    model = make()
    np.testing.assert_array_equal(
        model.get_layer("pooling").get_weights()[0], np.ones(4)
    )


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        ({"localize": False}, ("classifier", "weighted")),
        ({"pooling": "average"}, ("classifier", "localizer", "crops")),
        ({"pooling": "average", "localize": False}, ("classifier",)),
    ],
)
def test_ablations_drop_stages(options, stages):
    model = make(**options, embedding_weight=0.0)
    assert model.stages == stages
    history, _ = train(model, "classifier")
    assert set(history) == {"loss", "cross_entropy", "accuracy"}


@pytest.mark.parametrize("stage", STAGES)
def test_save_and_load_under_safe_mode(stage, tmp_path):
    images, _ = tiny.images_and_labels()
    model = make(renormalize=True, threshold=0.55)
    train(model, stage)
    expected = model.predict(images, verbose=0)
    path = tmp_path / "elope.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    assert loaded.stage == stage
    assert loaded.threshold == 0.55
    np.testing.assert_array_equal(
        to_numpy(loaded.embedding_loss.means.value),
        to_numpy(model.embedding_loss.means.value),
    )
    for name, value in loaded.predict(images, verbose=0).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_finite(policy):
    keras.config.set_dtype_policy(policy)
    try:
        history, _ = train(make(), "classifier")
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.all(np.isfinite(history["loss"]))


def seen_by_a_cell(localizer):
    """Rows of the localiser's small image that a cell in the middle sees."""
    size = localizer.working_size[0]

    def cell(images):
        return localizer.head(localizer.features(images))[:, 7, 7, 0]

    take = TAKE[keras.backend.backend()]
    images = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3))
    (found,) = take(cell, [images.astype("float32")], lambda fn: fn)
    rows = np.flatnonzero(np.abs(found).sum(axis=(0, 2, 3)))
    return rows.max() + 1 - rows.min()


@only_tensorflow
def test_a_thin_first_stage_gets_the_weights_and_the_view_of_the_papers():
    plain = ELoPE(
        "mobilenet_v2", 3, image_size=64, weights=None, localizer_weights=0
    )
    deep = ELoPE("mobilenet_v2", 3, image_size=64, weights=None)
    counts = [m.localizer.stem.count_params() for m in (plain, deep)]
    assert counts[0] < 25_000 < 220_000 <= counts[1] < 260_000
    assert seen_by_a_cell(plain.localizer) == 27
    assert seen_by_a_cell(deep.localizer) == 43


def test_older_files_have_the_first_stage_alone():
    config = make(localizer_weights=0).get_config()
    del config["localizer_weights"]
    assert ELoPE.from_config(config).localizer_weights == 0


@only_tensorflow
def test_parameter_count_with_resnet50():
    """The paper's Table 3: 24 M for the plain network, 25 M with ELoPE."""
    model = ELoPE("resnet50", 200, image_size=64, weights=None)
    localizer = model.localizer.count_params()
    assert round(localizer / 1e4) == 23  # "only 220000 parameters"
    total = sum(int(np.prod(w.shape)) for w in model.weights)
    means = 200 * 512  # kept for training alone
    assert 24.5e6 < total - means < 25.5e6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "median"}, "`pooling` must be one of"),
        ({"image_size": 0}, "`image_size` must be at least 1"),
        ({"threshold": 1.2}, "`threshold` must be between"),
        ({"embedding_weight": -1}, "`embedding_weight` must be between"),
        ({"k": 17}, r"`k` must be between 1 and"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ("center", (0.15, 0.15, 0.85, 0.85)),
        (np.array([0.1, 0.2, 0.5, 0.9]), (0.1, 0.2, 0.5, 0.9)),
    ],
)
def test_a_fixed_box_is_cropped_and_has_no_localiser(box, expected, tmp_path):
    images, _ = tiny.images_and_labels(size=41)
    model = make(box=box)
    assert model.stages == ("classifier", "crops", "weighted")
    whole = model.predict(images, verbose=0)
    np.testing.assert_array_equal(whole["boxes"][:, 0], [[0, 0, 1, 1]] * 6)
    history, moved = train(model, "crops")
    assert np.all(np.isfinite(history["loss"]))
    assert moved
    found = model.predict(images, verbose=0)
    np.testing.assert_allclose(found["boxes"][:, 0], [expected] * 6)
    assert "heatmap" not in found
    crops = crop_and_resize(
        images, np.float32([expected] * 6), (tiny.SIZE,) * 2
    )
    plain = make(localize=False)
    for layer in plain.layers:
        if layer.weights:
            plain.get_layer(layer.name).set_weights(
                model.get_layer(layer.name).get_weights()
            )
    np.testing.assert_allclose(
        plain.predict(to_numpy(crops), verbose=0)["logits"],
        found["logits"],
        rtol=1e-3,
        atol=1e-4,
    )
    model.save(tmp_path / "fixed.keras")
    loaded = keras.saving.load_model(tmp_path / "fixed.keras")
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0)["boxes"], found["boxes"]
    )
    with pytest.raises(ValueError, match="needs a localiser"):
        model.set_threshold(0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box": "middle"}, "`box` must be 'learned', 'center' or"),
        ({"box": (0.5, 0.0, 0.5, 1.0)}, "`box` must be"),
        ({"box": (0.0, 0.0, 1.0)}, "`box` must be"),
        ({"box": None}, "`box` must be"),
        ({"box": "center", "localize": False}, "`box` is of models that crop"),
    ],
)
def test_bad_boxes(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
