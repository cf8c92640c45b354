import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.models import Baseline
from tests import tiny


def make(**options):
    return Baseline(tiny.backbone(), tiny.NUM_CLASSES, tap=8, **options)


@pytest.mark.compiled
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_outputs(pooling):
    images, _ = tiny.images_and_labels()
    model = make(pooling=pooling)
    outputs = model.predict(images, verbose=0)
    assert outputs["probabilities"].shape == (6, 3)
    assert outputs["mean_activation"].shape == (6, 4, 4)
    np.testing.assert_allclose(outputs["probabilities"].sum(1), 1, rtol=1e-5)
    exponentials = np.exp(outputs["logits"])
    np.testing.assert_allclose(
        outputs["probabilities"],
        exponentials / exponentials.sum(1, keepdims=True),
        rtol=1e-4,
    )


@pytest.mark.compiled
def test_learns_and_moves_all_but_the_frozen_statistics():
    images, labels = tiny.images_and_labels(12)
    model = make()
    before = {w.path: to_numpy(w.value) for w in model.weights}
    model.compile(keras.optimizers.Adam(1e-2), metrics=["accuracy"])
    history = model.fit(images, labels, epochs=20, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    for weight in model.weights:
        moved = not np.array_equal(before[weight.path], to_numpy(weight.value))
        assert moved == ("batch_norm" not in weight.path), weight.path


def test_trained_batch_norm_moves():
    images, labels = tiny.images_and_labels(12)
    model = make(batch_norm="train")
    norms = [w for w in model.weights if "moving_mean" in w.path]
    before = [to_numpy(w.value) for w in norms]
    model.compile("sgd")
    model.fit(images, labels, verbose=0)
    assert norms
    for weight, old in zip(norms, before, strict=True):
        assert not np.array_equal(to_numpy(weight.value), old)


def test_two_predictions_are_equal_with_dropout():
    images, _ = tiny.images_and_labels()
    model = make(dropout_rate=0.5)
    first = model.predict(images, verbose=0)["probabilities"]
    second = model.predict(images, verbose=0)["probabilities"]
    np.testing.assert_array_equal(first, second)


def test_save_and_load_under_safe_mode(tmp_path):
    images, labels = tiny.images_and_labels()
    model = make(pooling="max", dropout_rate=0.3)
    model.compile("adam")
    model.fit(images, labels, verbose=0)
    expected = model.predict(images, verbose=0)
    path = tmp_path / "baseline.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    assert loaded.get_config().keys() == model.get_config().keys()
    assert (loaded.pooling, loaded.dropout_rate) == ("max", 0.3)
    for name, value in loaded.predict(images, verbose=0).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "median"}, "`pooling` must be one of 'average', 'max'"),
        ({"dropout_rate": 1.5}, "`dropout_rate` must be between"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="`num_classes` must be at least 2"):
        Baseline(tiny.backbone(), 1)


def test_a_count_of_numpy_is_a_count(tmp_path):
    model = Baseline(tiny.backbone(), np.int64(3), tap=8)
    model.save(tmp_path / "model.keras")  # its config is JSON
    assert keras.saving.load_model(tmp_path / "model.keras").num_classes == 3
