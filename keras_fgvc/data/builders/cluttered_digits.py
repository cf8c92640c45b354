"""Cluttered digits: one digit with its box among scraps of others."""

import numpy as np

from keras_fgvc._checks import check_positive_int
from keras_fgvc.data.builders.written_digits import (
    NUM_CLASSES,
    PATCH_SIZE,
    SPLITS,
    split_digits,
)
from keras_fgvc.data.dataset import Examples, LabeledImages

INK = 64  # A pixel at least this bright belongs to the digit's box.
SOURCE = "handwritten digits of scikit-learn (UCI Optical Recognition)"
LICENCE = "the digits: UCI Machine Learning Repository, CC BY 4.0"


def cluttered_digits(
    num_train: int = 10_000,
    num_validation: int = 2_000,
    num_test: int = 2_000,
    *,
    canvas: int = 40,
    distractors: int = 8,
    seed: int = 0,
    digits=None,
) -> LabeledImages:
    """Generates cluttered digits, a small data set with boxes.

    Cluttered Translated MNIST (Mnih et al., 2014, and section 4.1 of
    "A painless attention mechanism for convolutional neural networks", 2018):
    a digit at a random place of a dark canvas, and `distractors` patches of
    8 x 8 pixels cut from other digits, each at a random place; the brighter
    pixel wins. Nothing is downloaded: the digits are the 1,797 handwritten
    ones of scikit-learn (8 x 8, scaled up to 28 x 28). With
    `digits=load_mnist(...)` they are MNIST's, as in the papers; the second
    has 200,000, 100,000 and 100,000 images with 8 distractors.

    The written digits are shared out among the splits first, always in the
    same way, so that no digit (nor a patch of it) is seen in training and in
    the test, even across data sets with different arguments. Digits that come
    in splits keep them. The same seed puts the same digits at the same places
    whatever `distractors` is: only the clutter grows.

    Args:
        num_train: Number of training images. Default 10,000.
        num_validation: Number of validation images. Default 2,000.
        num_test: Number of test images. Default 2,000.
        canvas: Side length of the images in pixels, from 28. Default 40.
        distractors: Number of patches in an image. Default 8.
        seed: Integer from 0. Default 0.
        digits: Optional pair (images, labels) to use instead: uint8
            `(n, height, width)`, bright on dark, and integers 0..9. Or a
            dictionary of such pairs for "train", "test" and perhaps
            "validation", which is else cut from train, as `load_mnist`
            returns; or the two pairs of `keras.datasets.mnist.load_data()`.

    Returns:
        `LabeledImages` with images `(n, canvas, canvas, 3)` and boxes around
        the digits' ink (pixels of at least 64). The three channels are one
        array seen three times: copy the images before writing to them.

    Raises:
        ImportError: scikit-learn is missing and `digits` is None.
        ValueError: An argument is out of range, or there are too few digits
            or not all splits in `digits`.

    Example:

    ```python
    from keras_fgvc.data import cluttered_digits

    data = cluttered_digits(100, 20, 20, distractors=4)
    batches = data.batches(
        "train", load_size=40, batch_size=8, training=True, with_boxes=True
    )
    ```
    """
    counts = dict(
        zip(SPLITS, (num_train, num_validation, num_test), strict=True)
    )
    for split, count in counts.items():
        check_positive_int(f"num_{split}", count)
    check_positive_int("distractors", distractors, minimum=0)
    check_positive_int("seed", seed, minimum=0)
    pairs = split_digits(digits)
    largest = max(max(images.shape[1:]) for images, _ in pairs.values())
    check_positive_int("canvas", canvas, minimum=largest)
    splits = {
        split: _draw_split(
            *pairs[split],
            counts[split],
            canvas=canvas,
            distractors=distractors,
            rng_key=(seed, number),
        )
        for number, split in enumerate(SPLITS)
    }
    own = digits is not None
    return LabeledImages(
        name="cluttered_digits",
        class_names=tuple(str(digit) for digit in range(NUM_CLASSES)),
        splits=splits,
        source="digits given by the caller" if own else SOURCE,
        licence="" if own else LICENCE,
    )


def _draw_split(digits, labels, count, *, canvas, distractors, rng_key):
    """Examples of one split; digits and clutter draw from own streams."""
    rng = np.random.default_rng((*rng_key, 0))
    chosen = rng.integers(len(digits), size=count)
    height, width = digits.shape[1:]
    top = rng.integers(canvas - height + 1, size=count)
    left = rng.integers(canvas - width + 1, size=count)
    scenes = np.zeros((count, canvas, canvas), np.uint8)
    scenes[_windows(top, left, height, width)] = digits[chosen]
    clutter = np.random.default_rng((*rng_key, 1))
    for _ in range(distractors):
        _paste_patch(scenes, digits, chosen, clutter)
    corner = np.stack([top, left, top, left], axis=1)
    boxes = (_ink_boxes(digits)[chosen] + corner) / canvas
    # A view: red, green and blue are the same bytes.
    images = np.broadcast_to(scenes[..., None], (*scenes.shape, 3))
    return Examples(
        labels=labels[chosen],
        images=images,
        boxes=boxes.astype(np.float32),
    )


def _paste_patch(scenes, digits, chosen, rng) -> None:
    """Puts one patch of another digit at a random place of every scene."""
    count, canvas = scenes.shape[:2]
    # A step of 1 to n - 1 round the circle never ends at the digit itself.
    step = rng.integers(1, len(digits), size=count)
    other = (chosen + step) % len(digits)
    height, width = digits.shape[1:]
    patch_top = rng.integers(height - PATCH_SIZE + 1, size=count)
    patch_left = rng.integers(width - PATCH_SIZE + 1, size=count)
    _, rows, columns = _windows(patch_top, patch_left, PATCH_SIZE, PATCH_SIZE)
    patches = digits[other[:, None, None], rows, columns]
    top, left = rng.integers(canvas - PATCH_SIZE + 1, size=(2, count))
    place = _windows(top, left, PATCH_SIZE, PATCH_SIZE)
    scenes[place] = np.maximum(scenes[place], patches)


def _windows(top, left, height, width):
    """Index arrays of one (height, width) window in each of n images."""
    rows = top[:, None, None] + np.arange(height)[:, None]
    columns = left[:, None, None] + np.arange(width)
    return np.arange(len(top))[:, None, None], rows, columns


def _ink_boxes(digits) -> np.ndarray:
    """(n, 4) tight boxes [y_min, x_min, y_max, x_max] in pixels."""
    is_ink = digits >= INK
    starts, stops = [], []
    for axis in (2, 1):
        has_ink = is_ink.any(axis=axis)
        starts.append(has_ink.argmax(axis=1))
        stops.append(has_ink.shape[1] - has_ink[:, ::-1].argmax(axis=1))
    return np.stack(starts + stops, axis=1)
