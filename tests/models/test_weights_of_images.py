"""Weights of classes and of images, against NumPy."""

import numpy as np
import pytest

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

CLASS_WEIGHT = {0: 1.0, 2: 0.25}  # 1 for the class between
model = pytest.fixture(scope="module")(make_model)

# On every backend: each has batches of its own kind.
pytestmark = pytest.mark.compiled


def losses_by_hand(model):
    rows = model.predict(IMAGES, verbose=0)["probabilities"]
    return -np.log(rows[np.arange(8), LABELS])


DATA = {
    "arrays": lambda y: (IMAGES, y),
    "list": lambda y: (IMAGES, LABELS.tolist()),
    "tf.data": lambda y: (pipeline(y),),
    "PyDataset": lambda y: (Batches(y),),
    "generator": lambda y: (generate(y),),
    "DataLoader": lambda y: (loader(y),),
}


@pytest.mark.filterwarnings("ignore:Your input ran out")  # a generator once
@pytest.mark.parametrize("with_boxes", [False, True])
@pytest.mark.parametrize("way", ["train_on_batch", *DATA])
def test_class_weight_against_numpy(model, way, with_boxes):
    y = {"label": LABELS, "box": BOXES} if with_boxes else LABELS
    weights = np.array([CLASS_WEIGHT.get(label, 1.0) for label in LABELS])
    expected = np.mean(losses_by_hand(model) * weights)
    assert abs(expected - np.mean(losses_by_hand(model))) > 0.05
    if way == "train_on_batch":
        found = model.train_on_batch(IMAGES, y, class_weight=CLASS_WEIGHT)[0]
    else:
        given = {"class_weight": CLASS_WEIGHT, "verbose": 0, "shuffle": False}
        found = model.fit(*DATA[way](y), **given).history["loss"][0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_class_weight_leaves_validation_alone(model):
    each, targets = losses_by_hand(model), {"label": LABELS, "box": BOXES}
    weights = np.array([CLASS_WEIGHT.get(label, 1.0) for label in LABELS])
    for options in (
        {"validation_split": 0.25},
        {"validation_data": (IMAGES[6:], {"label": LABELS[6:]})},
    ):
        logs = model.fit(
            IMAGES, targets, class_weight=CLASS_WEIGHT, verbose=0, **options
        ).history
        seen = 6 if "validation_split" in options else 8
        trained = np.mean((each * weights)[:seen])
        np.testing.assert_allclose(logs["loss"][0], trained, rtol=1e-4)
        np.testing.assert_allclose(
            logs["val_loss"][0], np.mean(each[6:]), rtol=1e-4
        )


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("balanced", "must be a dict from class number.*'balanced'"),
        ({3: 1.0}, "class numbers from 0 to 2.*Received: 3"),
        ({"wren": 1.0}, "class numbers from 0 to 2.*'wren'"),
        ({0: -1.0}, "finite numbers from 0 on.*-1.0 for class 0"),
        ({0: float("nan")}, "finite numbers.*nan for class 0"),
    ],
)
def test_class_weights_that_weigh_no_class(model, class_weight, message):
    with pytest.raises(ValueError, match=message):
        model.fit(IMAGES, LABELS, class_weight=class_weight, verbose=0)


@pytest.mark.parametrize("with_boxes", [False, True])
def test_weights_of_images(model, with_boxes):
    y = {"label": LABELS, "box": BOXES} if with_boxes else LABELS
    weights = np.arange(8, dtype="float32")
    expected = np.mean(losses_by_hand(model) * weights)
    for each in (
        weights,
        weights[:, None],
        weights.tolist(),
        {"label": weights},
    ):
        found = model.evaluate(IMAGES, y, sample_weight=each, verbose=0)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"labels": np.ones(8)}, r"key 'label' alone.*'labels'"),
        ({"label": np.ones(8), "box": np.ones(8)}, "'label' alone.*'box'"),
        (np.ones((8, 3)), r"one weight per image.*shape \(8, 3\)"),
    ],
)
def test_weights_that_are_none_of_images(model, weights, message):
    with pytest.raises(ValueError, match=message):
        model.fit(IMAGES, LABELS, sample_weight=weights, verbose=0)


def test_weights_of_images_and_classes(model):
    with pytest.raises(ValueError, match=r"`class_weight` must not.*together"):
        model.fit(
            IMAGES,
            LABELS,
            sample_weight=np.ones(8),
            class_weight={0: 1.0},
            verbose=0,
        )
