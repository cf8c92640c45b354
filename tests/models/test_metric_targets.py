"""Every metric of Keras sees what it compares, on every backend."""

import functools

import keras
import numpy as np
import pytest

from keras_fgvc import metrics as own
from keras_fgvc.models import Baseline
from tests import tiny

COLOURS = np.random.default_rng(3).integers(0, 255, (13, 1, 1, 3))
IMAGES = np.tile(COLOURS, (1, tiny.SIZE, tiny.SIZE, 1)).astype("uint8")
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 1, 0])
WEIGHTS = np.arange(13) / 4
ROWS = np.eye(3, dtype="float32")[LABELS]
m = keras.metrics


def make_model(**lists):
    model = Baseline(tiny.backbone(), tiny.NUM_CLASSES, tap=8)
    model.compile("sgd", **lists)
    return model


@pytest.fixture(scope="module")
def weights():
    """Weights with which each class is predicted, some images rightly."""
    model = Baseline(tiny.backbone(), tiny.NUM_CLASSES, tap=8)
    rng = np.random.default_rng(6)
    for w in model.weights:
        if len(w.shape) > 1:
            w.assign(0.3 * rng.normal(size=w.shape))
    logits = model.predict(IMAGES, verbose=0)["logits"]
    model.get_layer("logits").bias.assign(-logits.mean(axis=0))
    assert len(set((logits - logits.mean(axis=0)).argmax(axis=1))) == 3
    return model.get_weights()


def one_hot_metrics():
    """Pairs of what `compile` takes and what Keras counts on rows."""
    classes = [
        m.CategoricalAccuracy,
        lambda: m.TopKCategoricalAccuracy(k=2, name="top2"),
        lambda: m.F1Score(average="macro"),
        lambda: m.FBetaScore(average="weighted", beta=2.0),
        m.Precision,
        lambda: m.Recall(thresholds=0.3),
        lambda: m.Precision(class_id=2, name="of_2"),
        lambda: m.AUC(num_thresholds=17),
        m.CategoricalCrossentropy,
        m.BinaryAccuracy,
        m.BinaryCrossentropy,
        m.MeanSquaredError,
        m.RootMeanSquaredError,
        m.MeanAbsoluteError,
        m.KLDivergence,
        m.CosineSimilarity,
        m.TruePositives,
        lambda: m.SensitivityAtSpecificity(0.5, num_thresholds=17),
        lambda: m.OneHotMeanIoU(3, dtype="float32"),
        m.CategoricalHinge,
        lambda: m.R2Score(class_aggregation="variance_weighted_average"),
    ]
    return [(make(), make()) for make in classes]


def close(found, expected, name=""):
    found = keras.ops.convert_to_numpy(found)
    expected = keras.ops.convert_to_numpy(expected)
    np.testing.assert_allclose(found, expected, 1e-4, 1e-5, err_msg=name)


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_rows_see_rows(weights, weighted):
    pairs = one_hot_metrics()
    name = "weighted_metrics" if weighted else "metrics"
    model = make_model(**{name: [given for given, _ in pairs]})
    model.set_weights(weights)
    logs = model.evaluate(
        IMAGES,
        LABELS,
        batch_size=5,
        sample_weight=WEIGHTS,
        verbose=0,
        return_dict=True,
    )
    rows = model.predict(IMAGES, verbose=0)["probabilities"]
    for given, reference in pairs:
        reference.update_state(ROWS, rows, WEIGHTS if weighted else None)
        close(logs[given.name], reference.result(), given.name)
    right = rows.argmax(1) == LABELS
    assert 0 < right.mean() < 1
    by_hand = np.average(right, weights=WEIGHTS if weighted else None)
    close(logs["categorical_accuracy"], by_hand)


STRINGS = {
    "categorical_accuracy": lambda t, p: np.argmax(p, 1) == np.argmax(t, 1),
    "binary_accuracy": lambda t, p: np.mean((p > 0.5) == t, axis=1),
    "mse": lambda t, p: np.mean((t - p) ** 2, axis=1),
    "mae": lambda t, p: np.mean(abs(t - p), axis=1),
    "categorical_crossentropy": lambda t, p: -np.log(np.sum(t * p, axis=1)),
    "sparse_categorical_crossentropy": lambda t, p: -np.log(np.sum(t * p, 1)),
    "accuracy": lambda t, p: np.argmax(p, 1) == np.argmax(t, 1),
    "acc": lambda t, p: np.argmax(p, 1) == np.argmax(t, 1),
}


@pytest.mark.parametrize("boxes", [False, True])
def test_names_of_metrics_against_numpy(weights, boxes):
    model = make_model(metrics=list(STRINGS), weighted_metrics=["mse"])
    model.set_weights(weights)
    y = {"label": LABELS, "box": np.zeros((13, 4))} if boxes else LABELS
    logs = model.evaluate(
        IMAGES, y, sample_weight=WEIGHTS, verbose=0, return_dict=True
    )
    rows = model.predict(IMAGES, verbose=0)["probabilities"]
    for name, by_hand in STRINGS.items():
        close(logs[name], np.mean(by_hand(ROWS, rows)))
    each = STRINGS["mse"](ROWS, rows)
    close(logs["weighted_mse"], np.average(each, weights=WEIGHTS))


def right_by_number(y_true, y_pred):
    named = keras.ops.argmax(y_pred, axis=-1)
    return keras.ops.cast(y_true, "int32") == keras.ops.cast(named, "int32")


def right_by_row(y_true, y_pred):
    return keras.ops.argmax(y_true, -1) == keras.ops.argmax(y_pred, -1)


right_by_row.needs_one_hot = True


class Numbers(keras.metrics.Metric):
    """Of a user: it says nothing, so it gets class numbers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.total = self.add_variable((), "zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        assert len(y_true.shape) == 1
        self.total.assign_add(keras.ops.sum(keras.ops.cast(y_true, "float32")))

    def result(self):
        return self.total


class Rows(Numbers):
    needs_one_hot = True

    def update_state(self, y_true, y_pred, sample_weight=None):
        assert tuple(y_true.shape)[1:] == (3,)
        self.total.assign_add(keras.ops.sum(y_true))


class MacroF1(keras.metrics.F1Score):
    """Inherits from a metric of Keras, and what it compares too."""


def test_metrics_of_a_user(weights):
    model = make_model(
        metrics=[
            "accuracy",
            right_by_number,
            right_by_row,
            Numbers(name="numbers"),
            Rows(name="rows"),
            MacroF1(average="macro", name="f1"),
            m.MeanMetricWrapper(right_by_row, name="wrapped"),
            m.MeanMetricWrapper(m.categorical_accuracy, name="of_keras"),
            m.MeanMetricWrapper(
                functools.partial(keras.losses.mean_squared_error), name="mse"
            ),
            keras.losses.CategoricalCrossentropy(name="loss_of_keras"),
            m.sparse_categorical_accuracy,
            m.SparseTopKCategoricalAccuracy(k=2, name="top2"),
            m.MeanIoU(3, sparse_y_pred=False, name="iou"),
        ]
    )
    model.set_weights(weights)
    logs = model.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
    rows = model.predict(IMAGES, verbose=0)["probabilities"]
    for name in ("right_by_number", "right_by_row", "wrapped", "of_keras"):
        close(logs[name], logs["accuracy"])
    close(logs["sparse_categorical_accuracy"], logs["accuracy"])
    close(logs["numbers"], LABELS.sum())
    close(logs["rows"], 13)
    close(logs["mse"], np.mean((ROWS - rows) ** 2))
    close(logs["loss_of_keras"], logs["cross_entropy"])
    reference = m.F1Score(average="macro")
    reference.update_state(ROWS, rows)
    close(logs["f1"], reference.result())


@pytest.mark.compiled
@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_steps_count_the_same(weights, jit_compile):
    if keras.backend.backend() == "torch" and jit_compile:
        pytest.skip("torch.compile takes long")
    metric = m.F1Score(average="macro")
    model = make_model(
        metrics=[metric, "categorical_accuracy"], jit_compile=jit_compile
    )
    model.set_weights(weights)
    rows = model.predict(IMAGES, verbose=0)["probabilities"]
    for _ in range(2):  # the second forgets the first
        logs = model.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
    reference = m.F1Score(average="macro")
    reference.update_state(ROWS, rows)
    close(logs["f1_score"], reference.result())
    close(metric.result(), reference.result())  # the user's own object
    close(logs["categorical_accuracy"], np.mean(rows.argmax(1) == LABELS))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = make_model(metrics=["categorical_accuracy", "accuracy"])
    finally:
        keras.config.set_dtype_policy("float32")
    logs = model.fit(IMAGES, LABELS, verbose=0).history
    assert logs["categorical_accuracy"] == logs["accuracy"]


def test_saved_lists_are_those_of_the_user(tmp_path):
    model = make_model(
        metrics=[m.F1Score(average="macro"), "mse", own.LocalizationAccuracy()],
        weighted_metrics=["categorical_accuracy"],
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    config = loaded.get_compile_config()
    kinds = [c if isinstance(c, str) else c["class_name"]
             for c in config["metrics"]]  # fmt: skip
    assert kinds == ["F1Score", "mse", "LocalizationAccuracy"]
    assert config["weighted_metrics"] == ["categorical_accuracy"]
    y = {"label": LABELS, "box": np.zeros((13, 4), "float32")}
    for each in (model, loaded):
        with pytest.raises(ValueError, match="`y_pred` must be a dict"):
            each.evaluate(IMAGES, y, verbose=0)  # no boxes in a Baseline
    assert loaded._monitors.given["metrics"].of_labels[0].metric.average


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (m.Accuracy(), r'keras\.metrics\.Accuracy.*Give "accuracy"'),
        ("Mean", r"keras\.metrics\.Mean, which"),
        (m.MeanIoU(3), r"MeanIoU for predictions.*sparse_y_pred=False"),
    ],
)
def test_metrics_that_cannot_compare(metric, message):
    with pytest.raises(ValueError, match=message):
        make_model(metrics=[metric])
    with pytest.raises(ValueError, match=r"`weighted_metrics` must be a list"):
        make_model(weighted_metrics="mse")
