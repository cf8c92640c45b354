import keras
import numpy as np
import pytest

from keras_fgvc import metrics
from keras_fgvc.models import Baseline, ELoPE, FineGrainedModel
from tests import tiny
from tests.tolerances import TOLERANCES


class TwoTerms(FineGrainedModel):
    """A term with one value an image, and a scalar one."""

    def __init__(self):
        image = keras.Input((4, 4, 3), name="image")
        pooled = keras.layers.GlobalAveragePooling2D()(image)
        probabilities = keras.layers.Dense(
            tiny.NUM_CLASSES, activation="softmax", name="probabilities"
        )(pooled)
        super().__init__(
            image,
            {"probabilities": probabilities},
            num_classes=tiny.NUM_CLASSES,
        )
        self.loss_weights = {"per_image": 2.0, "scalar": 0.5}

    def loss_terms(self, labels, outputs, training):
        return {
            "per_image": keras.ops.cast(labels, "float32"),
            "scalar": keras.ops.sum(outputs["probabilities"][:1] ** 0) / 3,
        }


def make_baseline(**options):
    return Baseline(tiny.backbone(), tiny.NUM_CLASSES, tap=8, **options)


def make_elope():
    return ELoPE(tiny.backbone(), 3, image_size=tiny.SIZE, tap=8)


@pytest.mark.compiled
def test_loss_is_the_weighted_sum_of_its_named_terms():
    model = TwoTerms()
    model.compile("sgd")
    images = np.zeros((4, 4, 4, 3), "float32")
    labels = np.array([0, 1, 2, 2])
    weights = np.array([1.0, 0.0, 3.0, 1.0], "float32")
    logs = model.evaluate(
        images, labels, sample_weight=weights, verbose=0, return_dict=True
    )
    per_image = (0 * 1 + 1 * 0 + 2 * 3 + 2 * 1) / 4
    np.testing.assert_allclose(logs["per_image"], per_image)
    np.testing.assert_allclose(logs["scalar"], 1.0, **TOLERANCES["float32"])
    np.testing.assert_allclose(
        logs["loss"], 2.0 * per_image + 0.5, **TOLERANCES["float32"]
    )


def test_named_terms_add_up_over_batches_of_different_size():
    images, labels = tiny.images_and_labels(7)
    model = make_elope()
    model.compile("sgd")
    logs = model.evaluate(
        images, labels, batch_size=4, verbose=0, return_dict=True
    )
    total = logs["cross_entropy"] + 2.0 * logs["embedding"]
    np.testing.assert_allclose(logs["loss"], total, rtol=1e-5)


@pytest.mark.compiled
def test_class_weight_weighs_the_images():
    images, labels = tiny.images_and_labels()
    losses = []
    for class_weight in ({0: 1.0, 1: 1.0, 2: 1.0}, {0: 3.0, 1: 3.0, 2: 3.0}):
        model = make_baseline()
        model.set_weights([np.full_like(w, 0.1) for w in model.get_weights()])
        model.compile(keras.optimizers.SGD(0.0))
        history = model.fit(
            images, labels, class_weight=class_weight, verbose=0
        )
        losses.append(history.history["loss"][0])
    np.testing.assert_allclose(losses[1], 3 * losses[0], rtol=1e-5)


def test_regularizers_are_added():
    model = TwoTerms()
    dense = model.get_layer("probabilities")
    dense.kernel.assign(np.full(dense.kernel.shape, 2.0))
    dense.kernel.regularizer = keras.regularizers.L2(0.1)
    model.compile("sgd")
    images, labels = np.zeros((2, 4, 4, 3), "float32"), np.zeros(2, "int32")
    logs = model.evaluate(images, labels, verbose=0, return_dict=True)
    extra = 0.1 * 4.0 * 9
    np.testing.assert_allclose(logs["loss"], 0.5 + extra, rtol=1e-5)


def test_a_column_of_labels_is_as_good_as_a_row():
    images, labels = tiny.images_and_labels()
    model = make_elope()
    model.compile("sgd", metrics=["accuracy"])
    row, column = (
        model.evaluate(images, y, verbose=0, return_dict=True)
        for y in (labels, labels[:, None])
    )
    assert row == column


def test_metrics_that_are_no_list():
    with pytest.raises(ValueError, match=r"must be a list, such as \["):
        make_baseline().compile("sgd", metrics="accuracy")
    with pytest.raises(ValueError, match=r"must be a list, such as \["):
        make_baseline().compile("sgd", metrics={"probabilities": ["accuracy"]})


@pytest.mark.parametrize("method", [Baseline, ELoPE])
def test_what_a_given_backbone_has_behind_its_tap_is_no_part_of_it(method):
    image = keras.Input((tiny.SIZE, tiny.SIZE, 3))
    features = keras.layers.Conv2D(5, 3, 8, padding="same", name="map")(image)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    whole = keras.Model(image, keras.layers.Dense(7, name="top")(pooled))
    options = {"image_size": tiny.SIZE, "localize": False}
    options = {} if method is Baseline else options
    model = method(whole, tiny.NUM_CLASSES, tap="map", **options)
    assert not [w.path for w in model.weights if "top" in w.path]
    assert any("map" in w.path for w in model.trainable_variables)
    copy = method.from_config(model.get_config())
    assert [w.shape for w in copy.weights] == [w.shape for w in model.weights]


def test_metrics_see_probabilities_or_the_dicts():
    images, _ = tiny.images_and_labels()
    model = make_elope()
    # Named right by their own guesses: no other column would do.
    labels = model.predict(images, verbose=0)["probabilities"].argmax(axis=1)
    targets = {
        "label": labels,
        "box": np.tile(np.float32([0, 0, 1, 1]), (len(labels), 1)),
    }
    model.compile("sgd", metrics=["accuracy", metrics.LocalizationAccuracy()])
    logs = model.evaluate(images, targets, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["accuracy"], 1.0)
    # The localiser is still off: its box is the whole image, as is the target.
    np.testing.assert_allclose(logs["localization_accuracy"], 1.0)


def test_compile_refuses_a_loss():
    with pytest.raises(ValueError, match=r"part of the model.*Received: loss="):
        make_baseline().compile("sgd", loss="mse")
    with pytest.raises(
        ValueError, match=r"`model\.loss_weights`, which has cross_entropy"
    ):
        make_baseline().compile("sgd", loss_weights={"cross_entropy": 0.5})


def test_unknown_stage():
    with pytest.raises(ValueError, match=r"has the stages classifier.*'crop'"):
        make_baseline().begin_stage("crop")


def test_labels_out_of_range():
    images, labels = tiny.images_and_labels()
    model = make_baseline()
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"from 0 to 2.*Received: 7"):
        model.fit(images, labels + 7, verbose=0)


def test_loss_terms_must_be_written():
    image = keras.Input((4, 4, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    model = FineGrainedModel(image, {"probabilities": pooled}, num_classes=3)
    with pytest.raises(NotImplementedError, match="must implement"):
        model.loss_terms(None, None, True)


def test_compiled_state_survives_saving(tmp_path):
    images, labels = tiny.images_and_labels()
    boxes = np.tile(np.float32([0, 0, 1, 1]), (len(labels), 1))
    targets = {"label": labels, "box": boxes}
    model = make_elope()
    model.compile(
        keras.optimizers.Adam(1e-3),
        metrics=["accuracy", metrics.LocalizationAccuracy(0.7)],
    )
    model.fit(images, targets, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert isinstance(loaded.optimizer, keras.optimizers.Adam)
    assert int(loaded.optimizer.iterations) == 1
    assert [m.iou_threshold for m in loaded._monitors.localization] == [0.7]
    logs = loaded.fit(images, targets, verbose=0).history
    assert set(logs) == {
        "loss",
        "cross_entropy",
        "embedding",
        "accuracy",
        "localization_accuracy",
    }


def test_weights_of_the_losses_survive_saving(tmp_path):
    images, labels = tiny.images_and_labels()
    model = make_elope()
    name = next(iter(model.loss_weights))
    model.loss_weights[name] = 0.25
    model.compile("sgd")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.loss_weights == model.loss_weights
    assert loaded.evaluate(images, labels, verbose=0) == pytest.approx(
        model.evaluate(images, labels, verbose=0), rel=1e-5
    )
    config = model.get_config()
    del config["loss_weights"]  # as in files of before
    assert ELoPE.from_config(config).loss_weights[name] == 1.0


def test_mixed_precision_is_loaded_as_saved(tmp_path):
    images, _ = tiny.images_and_labels()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make_baseline()
    finally:
        keras.config.set_dtype_policy("float32")
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert loaded.get_layer("logits").compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    np.testing.assert_array_equal(
        model.predict(images, verbose=0)["probabilities"],
        loaded.predict(images, verbose=0)["probabilities"],
    )


def test_channels_first_is_refused():
    backbone = tiny.backbone()
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="channels-last"):
            Baseline(backbone, tiny.NUM_CLASSES, tap=8)
    finally:
        keras.config.set_image_data_format("channels_last")
