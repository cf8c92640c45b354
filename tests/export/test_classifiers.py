"""Any Keras classifier is exported; what is none is refused in words."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_fgvc import export
from keras_fgvc.export.classifiers import as_classifier
from tests import tiny
from tests.export.conftest import NAMES


def ending_in(activation, units=3, shape=(None, None, 3), **options):
    """A user's functional model."""
    image = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(5, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(units, activation=activation, **options)(x)
    return keras.Model(image, x, name="mine")


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = ending_in(None)

    def call(self, images, training=False):
        return self.inner(images, training=training)


def with_names(activation, **names):
    model = ending_in(activation)
    outputs = dict.fromkeys(names, model.output)
    return keras.Model(model.input, outputs)


MODELS = {
    "softmax": lambda: ending_in("softmax"),
    "logits": lambda: ending_in(None, kernel_initializer="zeros"),
    "fixed size": lambda: ending_in("softmax", shape=(32, 32, 3)),
    "sequential": lambda: keras.Sequential(
        [*ending_in(None).layers, keras.layers.Softmax()]
    ),
    "named": lambda: with_names("softmax", probabilities=1),
    "named logits": lambda: with_names(None, logits=1),
    "one of any name": lambda: with_names("softmax", species=1),
    "subclassed": Subclassed,
    "half precision": lambda: ending_in("softmax", dtype="mixed_bfloat16"),
}


QUICK = ("softmax", "logits")


@pytest.mark.parametrize(
    "kind",
    [
        kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow)
        for kind in MODELS
    ],
)
def test_a_users_classifier_serves_probabilities(kind, tmp_path):
    model = MODELS[kind]()
    images, _ = tiny.images_and_labels(2)
    images = images.astype("float32")
    path = export.export_saved_model(
        model, tmp_path / "1", class_names=NAMES, load_size=32
    )
    loaded = tf.saved_model.load(str(path))
    served = loaded.signatures["serving_default"](image=tf.constant(images))
    expected = model.predict(images, verbose=0)
    if isinstance(expected, dict):
        (expected,) = expected.values()
    if "logits" in kind or kind == "subclassed":
        np.testing.assert_allclose(served["logits"], expected, atol=1e-5)
        expected = np.exp(expected) / np.exp(expected).sum(-1, keepdims=True)
    np.testing.assert_allclose(served["probabilities"], expected, atol=1e-3)
    assert served["top_classes"].shape == (2, 3)


def test_a_method_is_taken_as_it_is(exported):
    model, _ = exported
    assert as_classifier(model, 40) is model


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: ending_in("sigmoid"), r"sums of \[.*as of a sigmoid"),
        (lambda: ending_in("softmax", units=1), r"Received: \(None, 1\)"),
        (lambda: ending_in("softmax", shape=(40, 40, 3)), "of 40 x 40 pixels"),
        (lambda: ending_in("softmax", shape=(32, 32, 1)), "of 1 channels"),
        (lambda: with_names("softmax", a=1, b=1), "Received: 2 outputs"),
        (lambda: tiny.backbone(), r"Received: \(None, None, None, 11\)"),
    ],
)
def test_what_is_no_classifier_is_refused(model, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        export.export_saved_model(
            model(), tmp_path / "1", class_names=NAMES, load_size=32
        )


def test_wrong_counts_and_types_are_refused(tmp_path):
    path = tmp_path / "1"
    with pytest.raises(ValueError, match=r"model's 4 classes\. Received: 3"):
        export.export_saved_model(
            ending_in("softmax", 4), path, class_names=NAMES, load_size=32
        )
    with pytest.raises(TypeError, match=r"must be a keras\.Model"):
        export.export_saved_model(
            "birds.keras", path, class_names=NAMES, load_size=32
        )
