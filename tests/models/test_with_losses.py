"""Losses with a state in a functional model of the user's own."""

import keras
import numpy as np
import pytest

from keras_fgvc import layers, models
from tests import tiny


def functional(logits=True):
    image = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(6, 5, strides=4, activation="relu")(x)
    attention = keras.layers.Conv2D(2, 1, activation="relu")(x)
    parts = layers.BilinearAttentionPooling(normalize=True)([x, attention])
    embedding = layers.GlobalKMaxPooling(2)(x)
    scores = keras.layers.Dense(3)(embedding)
    outputs = {
        "probabilities": keras.layers.Softmax()(scores),
        "embedding": embedding,
        "parts": parts,
    }
    if logits:
        outputs["logits"] = scores
    return keras.Model(image, outputs, name="mine")


def wrapped(logits=True):
    return models.with_losses(
        functional(logits),
        {
            "embedding": layers.ClassMeanEmbeddingLoss(3),
            "parts": layers.AttentionCenterLoss(3, rate=0.5),
        },
        term_weights={"parts": 0.5},
    )


@pytest.mark.compiled
@pytest.mark.parametrize("logits", [True, False])
def test_trains_with_both_losses_and_is_saved(logits, tmp_path):
    images, labels = tiny.images_and_labels()
    model = wrapped(logits)
    model.compile("adam", metrics=["accuracy"])
    history = model.fit(images, labels, verbose=0).history
    assert {"cross_entropy", "embedding", "parts", "accuracy"} <= set(history)
    total = history["cross_entropy"][0] + history["embedding"][0]
    total += 0.5 * history["parts"][0]
    assert history["loss"][0] == pytest.approx(total, rel=1e-4)
    for loss in model.tracked_losses:
        assert np.any(keras.ops.convert_to_numpy(loss.weights[0]))  # moved
    model.save(tmp_path / "mine.keras")
    loaded = keras.saving.load_model(tmp_path / "mine.keras", safe_mode=True)
    assert loaded.loss_weights == model.loss_weights
    assert loaded.loss_layers["parts"].rate == 0.5
    for mine, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(mine), keras.ops.convert_to_numpy(other)
        )
    np.testing.assert_allclose(
        loaded.evaluate(images, labels, verbose=0, return_dict=True)["loss"],
        model.evaluate(images, labels, verbose=0, return_dict=True)["loss"],
        rtol=1e-4,
    )


@pytest.mark.slow
def test_is_exported(tmp_path):
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a SavedModel is TensorFlow's")
    from keras_fgvc import export

    path = export.export_saved_model(
        wrapped(), tmp_path / "1", class_names=("a", "b", "c"), load_size=32
    )
    assert tf.saved_model.load(str(path)).signatures["serving_default"]


def test_a_copy_by_its_config_shares_nothing():
    model = wrapped()
    other = type(model).from_config(model.get_config())
    assert other.loss_layers["parts"] is not model.loss_layers["parts"]


def test_wrong_arguments_are_refused():
    mine = functional()
    loss = layers.ClassMeanEmbeddingLoss(3)
    with pytest.raises(ValueError, match=r"without \['vector'\], and 1 inputs"):
        models.with_losses(mine, {"vector": loss})
    with pytest.raises(ValueError, match=r"Received: \['embeddings'\]"):
        models.with_losses(
            mine, {"embedding": loss}, term_weights={"embeddings": 1.0}
        )
    with pytest.raises(TypeError, match="hold layers"):
        models.with_losses(mine, {"embedding": "class_means"})
    with pytest.raises(TypeError, match=r"must be a keras\.Model"):
        models.with_losses("mine", {})
    plain = keras.Model(mine.input, mine.output["probabilities"])
    with pytest.raises(ValueError, match=r"dict of outputs"):
        models.with_losses(plain, {})
