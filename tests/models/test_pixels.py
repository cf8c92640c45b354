"""Warnings of images that are no raw pixels, for all kinds of data."""

import warnings

import keras
import numpy as np
import pytest

from keras_fgvc.models import Baseline
from keras_fgvc.models._pixels import look_at_first, problem_of
from tests import tiny

RAW, LABELS = tiny.images_and_labels(6)
SCALED = (RAW / 255).astype("float32")


@pytest.fixture(scope="module")
def model():
    made = Baseline(tiny.backbone(), tiny.NUM_CLASSES, tap=8)
    made.compile("sgd")
    return made


class Batches(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return 2

    def __getitem__(self, index):
        part = slice(3 * index, 3 * index + 3)
        return self.images[part], LABELS[part]


def told(call, start="Images must be raw") -> list[str]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call()
    texts = [str(warning.message) for warning in seen]
    return [text for text in texts if text.startswith(start)]


def dataset(images, labels=LABELS):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(3)


def generator(images):
    yield from ((images[:3], LABELS[:3]), (images[3:], LABELS[3:]))


CALLS = {
    "fit": lambda model, x: model.fit(x, LABELS, epochs=2, verbose=0),
    "fit with validation": lambda model, x: model.fit(
        x, LABELS, epochs=2, validation_data=(x, LABELS), verbose=0
    ),
    "evaluate": lambda model, x: model.evaluate(x, LABELS, verbose=0),
    "predict": lambda model, x: model.predict(x=x, verbose=0),
    "predict a tensor": lambda model, x: model.predict(
        keras.ops.convert_to_tensor(x), verbose=0
    ),
    "fit a PyDataset": lambda model, x: model.fit(
        Batches(x), epochs=2, verbose=0
    ),
    "fit a tf.data.Dataset": lambda model, x: model.fit(
        dataset(x), epochs=2, shuffle=False, verbose=0
    ),
    "evaluate with a dict": lambda model, x: model.evaluate(
        dataset(x, {"label": LABELS}), verbose=0
    ),
    "predict a tf.data.Dataset": lambda model, x: model.predict(
        dataset(x).map(lambda image, label: image), verbose=0
    ),
    "evaluate a generator": lambda model, x: model.evaluate(
        generator(x), verbose=0
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_scaled_pixels_are_told_once(model, name):
    (text,) = told(lambda: CALLS[name](model, SCALED))
    assert "0..255" in text
    assert "float32 from 0" in text
    assert "divided by 255" in text


@pytest.mark.parametrize("name", CALLS)
def test_raw_pixels_are_not_told(model, name):
    for images in (RAW, RAW.astype("float32")):
        assert not told(lambda x=images: CALLS[name](model, x))


ABOUT_PIXELS = ("Raw pixels", "Images must")


def network_of(*first):
    layers = [*first, keras.layers.Conv2D(4, 3, 8, padding="same")]
    return keras.Sequential([keras.Input((None, None, 3)), *layers])


def without_preprocessing(*first, preprocessing="none"):
    made = Baseline(
        network_of(*first),
        tiny.NUM_CLASSES,
        tap=8,
        preprocessing=preprocessing,
    )
    made.compile("sgd")
    return made


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("name", CALLS)
def test_raw_pixels_into_a_network_without_preprocessing(name, dtype):
    made = without_preprocessing()
    images = RAW.astype(dtype)
    (text,) = told(lambda: CALLS[name](made, images), "Raw pixels go into")
    assert f"Received: {dtype} from " in text
    # Once per model.
    assert not told(lambda: CALLS[name](made, images), ABOUT_PIXELS)


@pytest.mark.parametrize("name", CALLS)
def test_normalised_pixels_are_what_such_a_network_takes(name):
    made = without_preprocessing()
    for images in (SCALED, SCALED * 2 - 1, (SCALED - 0.45) / 0.225):
        assert not told(lambda x=images: CALLS[name](made, x), ABOUT_PIXELS)
    less_mean = RAW - np.array([103.9, 116.8, 123.7], "float32")
    assert not told(lambda: CALLS[name](made, less_mean), ABOUT_PIXELS)


class TokenNetwork:
    """A network that is kept whole, as those which end in tokens are."""

    def __new__(cls, *first):
        image = keras.Input((tiny.SIZE, tiny.SIZE, 3))
        x = image
        for layer in (*first, keras.layers.Conv2D(4, 8, 8)):
            x = layer(x)
        return keras.Model(image, keras.layers.Reshape((-1, 4))(x))


def test_tokens_without_preprocessing():
    plain, scaled = (
        Baseline(TokenNetwork(*first), 3, tap=8, preprocessing="none")
        for first in ((), (keras.layers.Rescaling(1 / 255),))
    )
    start = "Raw pixels go into"
    assert len(told(lambda: plain.predict(RAW, verbose=0), start)) == 1
    assert not told(lambda: scaled.predict(RAW, verbose=0), ABOUT_PIXELS)


@pytest.mark.parametrize(
    "first",
    [keras.layers.Rescaling(1 / 255), keras.layers.BatchNormalization()],
)
def test_a_network_may_begin_with_its_own_preprocessing(first):
    made = without_preprocessing(first)
    assert not told(lambda: made.predict(RAW, verbose=0), ABOUT_PIXELS)
    assert len(told(lambda: made.predict(SCALED, verbose=0))) == 1


@pytest.mark.parametrize("preprocessing", [lambda x: x / 9, "imagenet", "tf"])
def test_a_preprocessing_that_was_given_is_not_told(preprocessing):
    made = without_preprocessing(preprocessing=preprocessing)
    assert not told(lambda: made.predict(RAW, verbose=0), ABOUT_PIXELS)


def test_no_batch_of_a_generator_is_lost():
    found = list(look_at_first(generator(RAW)))
    np.testing.assert_array_equal(
        np.concatenate([images for images, _ in found]), RAW
    )
    assert list(look_at_first(iter_of_none())) == []


def iter_of_none():
    yield from ()


def test_a_dataset_keeps_its_length_and_order():
    looking = look_at_first(dataset(RAW.astype("float32")))
    assert len(looking) == 2
    images = [image for image, _ in looking.as_numpy_iterator()]
    np.testing.assert_array_equal(np.concatenate(images), RAW)


def test_a_dataset_of_whole_bytes_stays_as_it_is():
    given = dataset(RAW)
    assert look_at_first(given) is given


def test_a_loader_of_pytorch_is_looked_at():
    torch = pytest.importorskip("torch")
    tensors = torch.utils.data.TensorDataset(
        torch.tensor(SCALED), torch.tensor(np.asarray(LABELS, "int64"))
    )
    loader = torch.utils.data.DataLoader(tensors, batch_size=3)
    assert len(told(lambda: look_at_first(loader))) == 1


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (RAW, ""),
        ((RAW / 255).round().astype("uint8"), "divided by 255 and rounded"),
        (RAW // RAW.max(), "divided by 255 and rounded"),
        (RAW > 128, "divided by 255 and rounded"),
        (RAW // (RAW.max() // 2), ""),  # 2 may be a dark image
        (RAW * 0, ""),
        (SCALED * 0, ""),
        (RAW.astype("float32") / 4, ""),
        (RAW * 1.3 - 30, ""),  # overshoot of an interpolation
        (SCALED, "divided by 255"),
        (SCALED.astype("float16"), "divided by 255"),
        (SCALED * 2 - 1, "normalised"),
        ((SCALED - 0.45) / 0.22, "normalised"),
        (RAW - np.array([103.9, 116.8, 123.7]), "normalised"),
        (RAW.astype("int16") - 128, "normalised"),
        (RAW.astype("uint16") * 257, "16-bit"),
        (RAW * 257.0, "16-bit"),
        (RAW.astype("float32") + np.nan, ""),
    ],
)
def test_what_is_told(pixels, expected):
    text = problem_of(np.asarray(pixels))
    assert bool(text) == bool(expected)
    assert expected in text


def test_maps_of_features_are_no_images(model):
    maps = np.random.default_rng(0).random((2, 4, 4, 8), "float32")
    assert not told(lambda: look_at_first(maps))
    inputs = {"image": SCALED, "boxes": np.zeros((6, 2, 4), "float32")}
    assert len(told(lambda: look_at_first(inputs))) == 1
