"""Wrong labels in data of Grain, and in data that nothing reads before."""

import keras
import numpy as np
import pytest

from tests.models import grain_double
from tests.models.ways_in import BOXES, IMAGES, LABELS, Batches, make_model

pytestmark = [
    pytest.mark.compiled,
    # Keras does not know how many batches Grain has.
    pytest.mark.filterwarnings("ignore:Your input ran out of data"),
]
model = pytest.fixture(scope="module")(make_model)


@pytest.fixture
def grain(monkeypatch):
    try:
        import grain
    except ImportError:
        grain_double.install(monkeypatch)
        return grain_double
    pytest.skip(f"{grain.__name__} itself is installed; this is its double")


KINDS = {
    "map": lambda grain, batches: grain.MapDataset(batches),
    "iter": lambda grain, batches: grain.IterDataset(batches),
    "loader": lambda grain, batches: grain.DataLoader(batches),
}


def batches(targets, *more):
    parts = [slice(0, 4), slice(4, 8)]
    cut = [
        keras.tree.map_structure(lambda v, p=part: v[p], (targets, *more))
        for part in parts
    ]
    return [(IMAGES[p], *c) for p, c in zip(parts, cut, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", [LABELS + 1, np.where(LABELS, LABELS, -1)])
def test_wrong_labels_in_grain(model, grain, kind, wrong):
    good, bad = (KINDS[kind](grain, batches(y)) for y in (LABELS, wrong))
    calls = [
        lambda: model.fit(bad, shuffle=False, verbose=0),
        lambda: model.fit(good, validation_data=bad, shuffle=False, verbose=0),
        lambda: model.evaluate(bad, verbose=0),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"^Labels must be integers fr"):
            call()


@pytest.mark.parametrize("kind", KINDS)
def test_right_labels_in_grain(model, grain, kind):
    expected = model.evaluate(IMAGES, LABELS, verbose=0)
    targets = {"label": LABELS[:, None], "box": BOXES}
    data = KINDS[kind](grain, batches(targets))
    found = model.evaluate(data, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    heavy = {0: 3.0, 1: 2.0, 2: 1.0}
    weights = np.array([heavy[n] for n in LABELS], "float32")
    losses = [
        model.fit(data, class_weight=heavy, shuffle=False, verbose=0),
        model.fit(
            KINDS[kind](grain, batches(LABELS, weights)),
            shuffle=False,
            verbose=0,
        ),
        model.fit(IMAGES, LABELS, sample_weight=weights, verbose=0),
    ]
    losses = [each.history["loss"][0] for each in losses]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


def adapter(targets):
    """Data that pass every gate, as Keras's own adapters do."""
    from keras.src.trainers.data_adapters.py_dataset_adapter import (
        PyDatasetAdapter,
    )

    return PyDatasetAdapter(Batches(targets), shuffle=False)


@pytest.mark.parametrize("verbose", [0, 2])
def test_labels_that_nothing_reads(verbose):
    model = make_model()
    message = r"^Labels must be integers from 0 to 2 \(num_classes=3\). Rec"
    calls = [
        lambda y: model.evaluate(adapter(y), verbose=0),
        lambda y: model.evaluate(adapter(y), verbose=0, return_dict=True),
        lambda y: model.fit(adapter(y), shuffle=False, verbose=verbose),
        lambda y: model.fit(
            IMAGES, LABELS, validation_data=adapter(y), verbose=0
        ),
        lambda y: model.fit(
            adapter(y), callbacks=[keras.callbacks.History()], verbose=0
        ),
    ]
    for call in calls:
        call(LABELS)
        with pytest.raises(ValueError, match=message):
            call(LABELS + 1)
