"""Cluttered digits: one digit with its box among scraps of others."""

import numpy as np

from keras_fgvc._checks import check_labels, check_positive_int
from keras_fgvc.data.examples import Examples
from keras_fgvc.data.labeled_images import LabeledImages
from keras_fgvc.data.splits import stratified_cut

DIGIT_SIZE = 28  # MNIST's; smaller digits are scaled up to it.
PATCH_SIZE = 8
INK = 64  # A pixel at least this bright belongs to the digit's box.
NUM_CLASSES = 10
HELD_OUT = 0.15  # Share of the written digits for validation, and for test.
# Which written digit belongs to which split never depends on the seed:
# a model trained on one data set may be tested on another.
SPLIT_SEED = 20110
SPLITS = ("train", "validation", "test")
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
    ones of scikit-learn (8 x 8, scaled up to 28 x 28).

    The written digits are shared out among the splits first, always in the
    same way, so that no digit (nor a patch of it) is seen in training and in
    the test, even across data sets with different arguments. The same seed
    puts the same digits at the same places whatever `distractors` is: only
    the clutter grows.

    Args:
        num_train: Number of training images. Default 10,000.
        num_validation: Number of validation images. Default 2,000.
        num_test: Number of test images. Default 2,000.
        canvas: Side length of the images in pixels, from 28. Default 40.
        distractors: Number of patches in an image. Default 8.
        seed: Integer from 0. Default 0.
        digits: Optional pair (images, labels) to use instead, such as MNIST:
            uint8 `(n, height, width)`, bright on dark, and integers 0..9.

    Returns:
        `LabeledImages` with images `(n, canvas, canvas, 3)` and boxes around
        the digits' ink (pixels of at least 64).

    Raises:
        ImportError: scikit-learn is missing and `digits` is None.
        ValueError: An argument is out of range, or there are too few digits.

    Example:

    ```python
    from keras_fgvc.data import cluttered_digits

    data = cluttered_digits(100, 20, 20, distractors=4)
    batches = data.batches(
        "train", image_size=40, batch_size=8, training=True, with_boxes=True
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
    images, labels = _load_digits() if digits is None else digits
    images, labels = _prepare_digits(images, labels)
    check_positive_int("canvas", canvas, minimum=max(images.shape[1:]))
    splits = {
        split: _draw_split(
            images[members],
            labels[members],
            counts[split],
            canvas=canvas,
            distractors=distractors,
            rng_key=(seed, number),
        )
        for number, (split, members) in enumerate(_share_out(labels).items())
    }
    own = digits is not None
    return LabeledImages(
        name="cluttered_digits",
        class_names=tuple(str(digit) for digit in range(NUM_CLASSES)),
        splits=splits,
        source="digits given by the caller" if own else SOURCE,
        licence="" if own else LICENCE,
    )


def _load_digits():
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "cluttered_digits takes its digits from scikit-learn, which is "
            "not installed. Run `pip install keras-fgvc[demo]`, or pass "
            "`digits=(images, labels)`."
        ) from error
    loaded = load_digits()
    brightest = 16
    pixels = np.round(loaded.images * (255 / brightest))
    return pixels.astype(np.uint8), loaded.target


def _prepare_digits(images, labels):
    images, labels = np.asarray(images), np.asarray(labels)
    is_right = images.ndim == 3 and images.dtype == np.uint8
    if not is_right or min(images.shape[1:]) < PATCH_SIZE:
        raise ValueError(
            "`digits` must hold uint8 images (n, height, width) of at least "
            f"{PATCH_SIZE} x {PATCH_SIZE} pixels. "
            f"Received: {images.dtype} of shape {images.shape}."
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            "`digits` must hold one label an image. Received: labels of "
            f"shape {labels.shape} for {len(images)} images."
        )
    check_labels(labels, NUM_CLASSES)
    if max(images.shape[1:]) < DIGIT_SIZE:
        images = _enlarge(images)
    return images, labels.astype(np.int32)


def _enlarge(images):
    """Bilinear, with the rows and columns as two small matrices."""
    rows = _bilinear_weights(images.shape[1])
    columns = _bilinear_weights(images.shape[2])
    enlarged = np.einsum("yh,nhw,xw->nyx", rows, images, columns, optimize=True)
    return np.round(enlarged).astype(np.uint8)


def _bilinear_weights(size: int) -> np.ndarray:
    """(DIGIT_SIZE, size) weights; beyond the edge it is dark."""
    centres = (np.arange(DIGIT_SIZE) + 0.5) * size / DIGIT_SIZE - 0.5
    distance = np.abs(centres[:, None] - np.arange(size))
    return np.maximum(0.0, 1.0 - distance)


def _share_out(labels) -> dict[str, np.ndarray]:
    """Split -> indices of its written digits, the same for every seed."""
    is_test = stratified_cut(labels, HELD_OUT, SPLIT_SEED)
    rest = np.flatnonzero(~is_test)
    share = HELD_OUT / (1.0 - HELD_OUT)
    is_validation = stratified_cut(labels[rest], share, SPLIT_SEED)
    shared_out = {
        "train": rest[~is_validation],
        "validation": rest[is_validation],
        "test": np.flatnonzero(is_test),
    }
    for split, members in shared_out.items():
        if len(members) < 2:
            raise ValueError(
                "`digits` must hold at least 2 digits for each split. "
                f"Received: {len(labels)} digits, {len(members)} of them "
                f"for {split}."
            )
    return shared_out


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
    return Examples(
        labels=labels[chosen],
        images=np.repeat(scenes[..., None], 3, axis=3),
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
