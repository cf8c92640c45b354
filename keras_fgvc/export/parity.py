"""Compares the answers of a written file with the model's own."""

import keras
import numpy as np

from keras_fgvc._checks import check_finite_answers

# Largest difference between a model and its reloaded export, both float32,
# as a share of the largest value (or of 1).
TOLERANCE = 1e-4


def sample_images(load_size: int):
    """Two images of noise, uint8: nothing in them is special."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (2, load_size, load_size, 3), np.uint8)


def check_answers(model, load_size: int) -> None:
    """Raises if a model has no finite probabilities for an image of noise.

    Args:
        model: The model that is to be exported.
        load_size: Side of the images in pixels.

    Raises:
        ValueError: If one is NaN or infinite.
    """
    images = sample_images(load_size).astype("float32")
    found = model(images, training=False)
    if isinstance(found, dict):
        found = found["probabilities"]
    found = keras.ops.convert_to_numpy(keras.ops.cast(found, "float32"))
    check_finite_answers("probabilities", found)


def check_parity(model, images, answers, path) -> None:
    """Compares the answers of what lies at `path` with the model's.

    Args:
        model: The model that was exported.
        images: uint8 images, as `sample_images` gives them.
        answers: Dict of arrays, by the model's output names; may hold more.
        path: What was written, for the message.

    Raises:
        RuntimeError: If an output is missing or differs.
    """
    expected = model(images.astype("float32"), training=False)
    for name, value in expected.items():
        value = keras.ops.convert_to_numpy(value).astype("float32")
        if name not in answers:
            raise RuntimeError(
                f"The model written to {path} has no output {name!r}. "
                "It was left there for a look."
            )
        found = np.asarray(answers[name]).astype("float32")
        difference = _difference(found, value)
        if not difference <= TOLERANCE * max(1.0, np.abs(value).max()):
            raise RuntimeError(
                f"The model written to {path} differs from the model: "
                f"{name!r} by {difference:.2g}. It was left there for a look."
            )


def _difference(found, expected):
    if found.shape != expected.shape:
        return np.inf
    return float(np.max(np.abs(found - expected)))
