"""Wrong targets are refused in one sentence, whatever way they come in."""

import contextlib
import sys

import keras
import numpy as np
import pytest

from keras_fgvc.models import (
    DAF,
    FCAN,
    Coarse2Fine,
    ELoPE,
    PainlessAttention,
)
from tests import tiny
from tests.models.ways_in import (
    BOXES,
    IMAGES,
    LABELS,
    Batches,
    generate,
    loader,
    make_model,
    pipeline,
)
from tests.two_replicas import check_answer

WRONG = {
    "from one": (LABELS + 1, r"from 0 to 2.*Received: 3"),
    "minus one": (np.where(LABELS == 2, -1, LABELS), r"Received: -1 and"),
    "fractions": (LABELS + 0.5, r"must be integers.*Received: \d\.5"),
    "nan": (np.where(LABELS == 1, np.nan, LABELS), r"Received: -?nan"),
    "one-hot": (np.eye(3, dtype="float32")[LABELS], r"one class number.*argm"),
    "three axes": (LABELS[:, None, None], r"shape \(batch,\).*Received"),
    "text": (np.array(["wren", "crow"] * 4), r"must be integers.*np\.unique"),
}
MISSING = {
    "none": (None, r"Received: no targets\. Give `y`"),
    "other key": ({"labels": LABELS}, r"a dict with 'labels'\. Name the"),
    "pair": ((LABELS, BOXES), r"Received: a tuple of 2\. Make it a dict"),
}


def tensors(targets):
    if targets is not None and np.asarray(targets).dtype.kind == "U":
        pytest.skip("some backends have no tensors of text")
    return keras.tree.map_structure(keras.ops.convert_to_tensor, targets)


WAYS = {
    "fit": lambda m, y: m.fit(IMAGES, y, verbose=0),
    "fit tensors": lambda m, y: m.fit(IMAGES, tensors(y), verbose=0),
    "validation": lambda m, y: m.fit(
        IMAGES, LABELS, validation_data=(IMAGES, y), verbose=0
    ),
    "evaluate": lambda m, y: m.evaluate(IMAGES, y, verbose=0),
    "train_on_batch": lambda m, y: m.train_on_batch(IMAGES, y),
    "test_on_batch": lambda m, y: m.test_on_batch(IMAGES, y),
    "tf.data": lambda m, y: m.fit(pipeline(y), shuffle=False, verbose=0),
    "evaluate tf.data": lambda m, y: m.evaluate(pipeline(y), verbose=0),
    "validate tf.data": lambda m, y: m.fit(
        pipeline(LABELS), validation_data=pipeline(y), shuffle=False, verbose=0
    ),
    "PyDataset": lambda m, y: m.fit(Batches(y), shuffle=False, verbose=0),
    "threads": lambda m, y: m.fit(
        Batches(y, workers=2), shuffle=False, verbose=0
    ),
    "generator": lambda m, y: m.fit(generate(y), shuffle=False, verbose=0),
    "DataLoader": lambda m, y: m.fit(loader(y), shuffle=False, verbose=0),
}
model = pytest.fixture(scope="module")(make_model)

# On every backend: each has batches of its own kind.
pytestmark = pytest.mark.compiled


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", WRONG)
def test_wrong_labels(model, way, fault):
    targets, message = WRONG[fault]
    with pytest.raises(ValueError, match=message) as caught:
        WAYS[way](model, targets)
    assert str(caught.value).startswith("Labels must")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("way", [w for w in WAYS if w != "fit tensors"])
@pytest.mark.parametrize("fault", MISSING)
def test_missing_labels(model, way, fault):
    targets, message = MISSING[fault]
    if way == "DataLoader" and fault == "pair":
        pytest.skip("its collation makes a list of a pair")
    with pytest.raises(ValueError, match=message):
        WAYS[way](model, targets)


@pytest.mark.parametrize("wrong", [0, 7])  # in the first batch, in the last
def test_weights_outlive_an_error(wrong):
    model = make_model(rate=0.1)
    before, labels = model.get_weights(), LABELS.copy()
    labels[wrong] = 3
    with pytest.raises(ValueError, match=r"^Labels must"):
        model.fit(Batches(labels), shuffle=False, verbose=0)
    with pytest.raises(ValueError, match=r"^Labels must"):
        model.evaluate(Batches(labels), verbose=0)
    after = model.get_weights()
    has_moved = [
        not np.array_equal(a, b) for a, b in zip(before, after, strict=True)
    ]
    if wrong == 0:
        assert not any(has_moved)
    elif keras.backend.backend() != "tensorflow":  # it looks at all before
        assert any(has_moved)
    model.fit(Batches(LABELS), verbose=0)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="graphs")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_graph_raises_one_sentence(jit_compile):
    model = make_model()
    model.compile("sgd", jit_compile=jit_compile)
    with pytest.raises(ValueError, match=r"^Labels must.*: 3 and 0 m.*0\.$"):
        model.fit(pipeline(LABELS + 1), shuffle=False, verbose=0)


@pytest.mark.parametrize("kind", ["int64", "uint8", "float32", "bool", "list"])
@pytest.mark.parametrize("shape", [(8,), (8, 1)])
def test_labels_of_every_type_train_alike(model, kind, shape):
    labels = (LABELS > 1).astype("int32")
    expected = model.evaluate(IMAGES, labels, verbose=0)
    other = labels.reshape(shape)
    other = other.tolist() if kind == "list" else other.astype(kind)
    for targets in (other, {"label": other, "box": BOXES}):
        found = model.evaluate(IMAGES, targets, verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_targets_must_be_as_many_as_images(model):
    for y in (LABELS[:7], {"label": LABELS, "box": BOXES[:7]}):
        with pytest.raises(ValueError, match=r"one per image.* 7 for 8 images"):
            model.train_on_batch(IMAGES, y)
    with pytest.raises(ValueError, match=r"`sample_weight` must.* 7 for 8"):
        model.fit(IMAGES, LABELS, sample_weight=np.ones(7), verbose=0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_weights_must_be_finite_and_images_some(model, wrong):
    weights = np.where(LABELS == 1, wrong, 1.0)
    with pytest.raises(ValueError, match=r"^`sample_weight` must be finite"):
        model.fit(IMAGES, LABELS, sample_weight=weights, verbose=0)
    with pytest.raises(ValueError, match=r"^Targets must be of one image"):
        model.fit(IMAGES[:0], LABELS[:0], verbose=0)


SIZED = {"image_size": tiny.SIZE, "tap": 8}
METHODS = {
    "ELoPE": (ELoPE, {**SIZED, "embedding_dim": 7}),
    "PainlessAttention": (PainlessAttention, {"taps": (4, 8), "tap": 8}),
    "FCAN": (
        FCAN,
        {
            "image_size": tiny.SIZE,
            "crop_size": 24,
            "part_sizes": (2,),
            "taps": (8, 8),
        },
    ),
    "Coarse2Fine": (Coarse2Fine, {**SIZED, "num_maps": 2}),
    "DAF": (DAF, {"image_size": tiny.SIZE, "taps": (4, 8), "groups": 11}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_each_method_has_the_gate(name):
    method, options = METHODS[name]
    model = make_model(method, rate=0.01, **options)
    with pytest.raises(ValueError, match=r"^Labels must.*Received: 3"):
        model.fit(Batches(LABELS + 1), verbose=0)
    # Where nothing reads the labels the loss is NaN, and no error of a graph.
    wrong = keras.ops.convert_to_tensor(np.where(LABELS == 2, -1, LABELS))
    outputs = model(IMAGES.astype("float32"), training=False)
    with _no_assertion():
        loss = model.compute_loss(IMAGES, wrong, outputs, training=False)
    assert np.isnan(keras.ops.convert_to_numpy(loss))
    model.loss_weights = {"crossentropy": 1.0}
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"'crossentropy'.*Known terms: \w"):
        model.fit(IMAGES, LABELS, verbose=0)


@contextlib.contextmanager
def _no_assertion():
    """As under XLA, which drops the assertion of TensorFlow's graph."""
    base = sys.modules["keras_fgvc.models.base"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "assert_in_graph", lambda *arguments: None)
        yield


@pytest.mark.parametrize("weights", [{}, {"cross_entropy": float("nan")}])
def test_weights_of_terms_that_weigh_nothing(weights):
    model = make_model()
    model.loss_weights = weights
    with pytest.raises(ValueError, match="`loss_weights` must be a dict"):
        model.compile("sgd")


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="replicas")
def test_two_replicas():
    code = """
from keras_fgvc.models import Baseline
from tests import tiny
images, labels = tiny.images_and_labels(8)
boxes = np.zeros((8, 4), "float32")
def batches(y):
    return tf.data.Dataset.from_tensor_slices((images, y)).batch(4)
losses = []
for strategy in (one, both):
    with strategy.scope():
        model = Baseline(tiny.backbone(), 3, tap=8)
        model.set_weights([np.full_like(w, 0.1) for w in model.get_weights()])
        model.compile(keras.optimizers.SGD(0.0), weighted_metrics=["mse"])
    y = {"label": labels, "box": boxes}
    logs = model.fit(batches(y), class_weight={0: 3.0}, verbose=0).history
    losses.append((logs["loss"][0], logs["mse"][0]))
    for wrong in (labels + 1, np.eye(3)[labels]):
        try:
            model.fit(batches(wrong), verbose=0)
        except ValueError as error:
            assert str(error).startswith("Labels must"), error
            assert "\\n" not in str(error)
        else:
            raise AssertionError("no error")
np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
print("alike")
"""
    check_answer(code, "alike")
