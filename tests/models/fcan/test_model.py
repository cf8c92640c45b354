import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.models import FCAN, Baseline
from keras_fgvc.ops import crop_and_resize
from tests import tiny

BATCH, CLASSES, PARTS = 6, tiny.NUM_CLASSES, (1, 2)
SETTINGS = {
    "image_size": 40,  # maps of 5 x 5 cells
    "crop_size": 24,
    "part_sizes": PARTS,
    "num_samples": 7,
    "taps": (8, 8),
}


def make(**options):
    return FCAN(tiny.backbone(), CLASSES, **{**SETTINGS, **options})


def softmax(logits):
    return to_numpy(keras.ops.softmax(logits))


def moved_by_a_step(model, inputs, labels):
    """Names of the variables that training changes."""
    before = [to_numpy(w.value) for w in model.weights]
    model.compile(keras.optimizers.SGD(1.0), metrics=["accuracy"])
    model.fit(inputs, labels, verbose=0)
    after = [to_numpy(w.value) for w in model.weights]
    return {
        id(w)
        for w, old, new in zip(model.weights, before, after, strict=True)
        if not np.array_equal(old, new)
    }


@pytest.mark.compiled
def test_outputs():
    images, _ = tiny.images_and_labels(size=53)
    outputs = make().predict(images, verbose=0)
    assert {name: value.shape for name, value in outputs.items()} == {
        "probabilities": (BATCH, CLASSES),
        "logits": (BATCH, CLASSES),
        "view_logits": (BATCH, 3, CLASSES),
        "part_boxes": (BATCH, 2, 4),
        "score_maps": (BATCH, 5, 5, 2),
    }
    np.testing.assert_allclose(
        outputs["score_maps"].sum(axis=(1, 2)), 1, rtol=1e-5
    )


def test_the_prediction_is_the_mean_of_all_views():
    images, _ = tiny.images_and_labels()
    outputs = make().predict(images, verbose=0)
    views = softmax(outputs["view_logits"])
    assert np.ptp(views, axis=1).max() > 1e-3
    np.testing.assert_allclose(
        outputs["probabilities"], views.mean(axis=1), rtol=1e-4
    )
    np.testing.assert_allclose(
        softmax(outputs["logits"]), outputs["probabilities"], rtol=1e-4
    )


def test_regions_lie_around_the_highest_score():
    images, _ = tiny.images_and_labels()
    outputs = make().predict(images, verbose=0)
    for image in range(BATCH):
        for part, size in enumerate(PARTS):
            scores = outputs["score_maps"][image, ..., part]
            assert np.count_nonzero(scores) == (6 - size) ** 2  # windows
            cell = np.unravel_index(scores.argmax(), scores.shape)
            start = np.clip(np.array(cell) - size // 2, 0, 5 - size) / 5
            np.testing.assert_allclose(
                outputs["part_boxes"][image, part],
                [*start, *(start + size / 5)],
                rtol=1e-5,
            )


def test_parts_are_cut_from_the_image_as_it_came():
    """Not from the smaller one the places are scored on."""
    images, _ = tiny.images_and_labels(size=101)
    model = make()
    outputs = model.predict(images, verbose=0)
    crops = crop_and_resize(
        images.astype("float32"), outputs["part_boxes"], (24, 24)
    )
    for part in range(2):
        expected = model.classifiers[1 + part](crops[:, part])
        np.testing.assert_allclose(
            to_numpy(expected),
            outputs["view_logits"][:, 1 + part],
            rtol=1e-4,
            atol=1e-5,
        )


def test_view_0_is_the_baseline():
    images, _ = tiny.images_and_labels(size=24)
    model = make()
    baseline = Baseline(tiny.backbone(), CLASSES, tap=8)
    baseline.set_weights(model.classifiers[0].get_weights())
    np.testing.assert_allclose(
        model.predict(images, verbose=0)["view_logits"][:, 0],
        baseline.predict(images, verbose=0)["logits"],
        rtol=1e-4,
        atol=1e-5,
    )


def test_regions_in_the_middle():
    images, _ = tiny.images_and_labels()
    model = make(regions="center")
    assert model.stages == ("whole", "parts")
    outputs = model.predict(images, verbose=0)
    assert "score_maps" not in outputs
    expected = [[0.4, 0.4, 0.6, 0.6], [0.3, 0.3, 0.7, 0.7]]
    np.testing.assert_allclose(
        outputs["part_boxes"], np.tile(expected, (BATCH, 1, 1)), rtol=1e-6
    )


@pytest.mark.parametrize("regions", ["attention", "center"])
def test_only_logits_are_ahead_of_the_backbones(regions):
    """What may learn faster, with no weight of a backbone among it."""
    model = make(regions=regions)
    for stage, views in (("whole", 1), ("parts", 3)):
        model.begin_stage(stage)
        layers = ("whole_logits", "part_0_logits", "part_1_logits")[:views]
        assert [v.path for v in model.head_variables()] == [
            f"{layer}/{weight}"
            for layer in layers
            for weight in ("kernel", "bias")
        ]


@pytest.mark.parametrize("condition", [True, False])
def test_a_glimpse_sees_the_one_before_it_if_asked(condition):
    images, _ = tiny.images_and_labels()
    model = make(condition=condition)
    before = model.predict(images, verbose=0)["score_maps"]
    first = model.glimpses[0]
    first.set_weights([5 * w + 1 for w in first.get_weights()])
    after = model.predict(images, verbose=0)["score_maps"]
    assert not np.allclose(before[..., 0], after[..., 0], rtol=1e-3)
    same = np.allclose(before[..., 1], after[..., 1], rtol=1e-6)
    assert same != condition


@pytest.mark.compiled
def test_a_fresh_model_trains_every_view():
    images, labels = tiny.images_and_labels()
    model = make()
    moved = moved_by_a_step(model, images, labels)
    for network in model.classifiers:
        for weight in network.trainable_weights:
            assert id(weight) in moved, weight.path
    for glimpse in model.glimpses:
        assert not moved & {id(w) for w in glimpse.weights}
    assert not moved & {id(w) for w in model.features.weights}


def test_what_each_stage_trains():
    model = make()
    glimpses = [w for g in model.glimpses for w in g.weights]
    networks = [w for c in model.classifiers for w in c.trainable_weights]
    whole = list(model.classifiers[0].trainable_weights)
    expected = {"whole": whole, "localizer": glimpses, "parts": networks}
    for stage, weights in expected.items():
        model.begin_stage(stage)
        found = {id(w) for w in model.trainable_variables}
        wanted = {id(w) for w in weights if "seed" not in w.path}
        assert found == wanted, stage


def test_networks_begin_as_the_whole_images():
    model = make()
    whole, *parts = model.classifiers
    whole.set_weights([w + 1 for w in whole.get_weights()])
    model.begin_stage("localizer")
    backbone = whole.get_weights()[:-2]  # without the classifier
    for ours, theirs in zip(
        model.features.get_weights(), backbone, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    model.begin_stage("parts")
    for part in parts:
        for ours, theirs in zip(
            part.get_weights(), whole.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_a_second_round_goes_on_with_the_parts_networks(tmp_path):
    model = make()
    model.begin_stage("parts")
    model.classifiers[1].set_weights(
        [w + 1 for w in model.classifiers[1].get_weights()]
    )
    kept = model.classifiers[1].get_weights()
    # The file says so too: another process may run the next round.
    model.save_weights(tmp_path / "round.weights.h5")
    other = make()
    other.load_weights(tmp_path / "round.weights.h5")
    other.begin_stage("whole")
    other.begin_stage("parts")
    for ours, theirs in zip(
        other.classifiers[1].get_weights(), kept, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_model_made_from_a_config_has_not_begun_its_parts():
    model = make()
    model.begin_stage("parts")
    again = FCAN.from_config(model.get_config())
    assert model.parts_begun.is_set()
    assert not again.parts_begun.is_set()
    whole, *parts = again.classifiers
    whole.set_weights([w + 1 for w in whole.get_weights()])
    again.begin_stage("parts")
    for ours, theirs in zip(
        parts[0].get_weights(), whole.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_head_variables_are_all_but_the_backbones():
    model = make()
    model.begin_stage("parts")
    names = {v.path.split("/")[0] for v in model.head_variables()}
    assert names == {"whole_logits", "part_0_logits", "part_1_logits"}


def test_save_and_load_under_safe_mode(tmp_path):
    images, labels = tiny.images_and_labels()
    keras.backend.clear_session()  # fixed layer names
    model = make(
        judge="crops", places=3, num_samples=None, folds=5, entropy_weight=0.5
    )
    model.compile("adam", metrics=["accuracy"])
    model.fit(images, labels, verbose=0)
    expected = model.predict(images, verbose=0)
    model.save(tmp_path / "fcan.keras")
    loaded = keras.saving.load_model(tmp_path / "fcan.keras", safe_mode=True)
    assert loaded.get_config().keys() == model.get_config().keys()
    assert (loaded.judge, loaded.places, loaded.folds) == ("crops", 3, 5)
    assert loaded.num_samples is None
    for name, value in loaded.predict(images, verbose=0).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6)
    # Loading must not take the layers of one copy for those of another.
    assert len({id(w) for w in loaded.weights}) == len(model.weights)


def test_a_config_from_before_0_9_chooses_among_cells():
    """Such files know nothing of windows, nor of standardized maps."""
    config = make().get_config()
    del config["places"], config["standardize"], config["folds"]
    loaded = FCAN.from_config(config)
    assert (loaded.places, loaded.standardize) == ("cells", False)
    assert all(g.places == "cells" for g in loaded.glimpses)
    assert not any(g.standardize for g in loaded.glimpses)


def test_mixed_precision():
    images, labels = tiny.images_and_labels()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make()
        model.compile("sgd", metrics=["accuracy"])
        history = model.fit(images, labels, verbose=0).history
        outputs = model.predict(images, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(history["loss"][0])
    assert outputs["probabilities"].dtype == np.float32
    assert outputs["part_boxes"].dtype == np.float32
    np.testing.assert_allclose(outputs["probabilities"].sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"part_sizes": ()}, r"`part_sizes` must be a tuple .*\(\)"),
        ({"part_sizes": 4}, r"`part_sizes` must be a tuple .* 4"),
        ({"part_sizes": (0,)}, r"`part_sizes`.*=0"),
        ({"part_sizes": (2, 9)}, r"`part_sizes` .* 5 x 5 cells.*\(2, 9\)"),
        ({"regions": "middle"}, r"`regions` must be one of .*'middle'"),
        ({"reward": "best"}, r"`reward` must be one of .*'best'"),
        ({"judge": "whole"}, r"`judge` must be one of .*'whole'"),
        ({"entropy_weight": -1.0}, r"`entropy_weight`.*-1"),
        ({"classification_weight": -1.0}, r"`classification_weight`.*-1"),
        ({"image_size": 0}, r"`image_size`"),
        ({"crop_size": 0}, r"`crop_size`"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_the_localizers_stage_says_how_it_trains():
    images, labels = tiny.images_and_labels(size=40)
    model = make()
    model.begin_stage("localizer")
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"keras_fgvc\.training\.fit"):
        model.fit(images, labels, verbose=0)
    assert np.isfinite(model.evaluate(images, labels, verbose=0)).all()
