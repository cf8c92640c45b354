"""The handwritten digits that cluttered scenes are made of, by split."""

import numpy as np

from keras_fgvc._checks import check_labels
from keras_fgvc._extras import install_command
from keras_fgvc.data.pipeline.shares import stratified_cut

NUM_CLASSES = 10
DIGIT_SIZE = 28  # MNIST's; smaller digits are scaled up to it.
PATCH_SIZE = 8  # Of the distractors, which are cut from digits.
SPLITS = ("train", "validation", "test")
HELD_OUT = 0.15  # Share of the written digits for validation, and for test.
# Which written digit belongs to which split never depends on the seed:
# a model trained on one data set may be tested on another.
SPLIT_SEED = 20110


def split_digits(digits=None) -> dict[str, tuple]:
    """Shares written digits out among the splits, always in the same way.

    Args:
        digits: What `cluttered_digits` takes: None for scikit-learn's, a pair
            (images, labels), a dictionary of pairs, or a pair of pairs.

    Returns:
        Dictionary from "train", "validation" and "test" to pairs (images,
        labels): uint8 `(n, height, width)` and int32 `(n,)`.

    Raises:
        ImportError: scikit-learn is missing and `digits` is None.
        ValueError: The digits are not of this form, or too few.
    """
    if digits is None:
        digits = _load_digits()
    elif not isinstance(digits, dict) and isinstance(digits[0], tuple):
        digits = dict(zip(("train", "test"), digits, strict=True))
    if isinstance(digits, dict):
        _check_names(digits)
        pairs = {split: _prepare(*pair) for split, pair in digits.items()}
    else:
        train, test = _cut(*_prepare(*digits), HELD_OUT)
        pairs = {"train": train, "test": test}
    if "validation" not in pairs:
        share = HELD_OUT / (1.0 - HELD_OUT)  # What is left is less.
        pairs["train"], pairs["validation"] = _cut(*pairs["train"], share)
    _check_numbers(pairs)
    return pairs


def _load_digits():
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "cluttered_digits takes its digits from scikit-learn, which is "
            "not installed. Pass `digits=(images, labels)`, or run: "
            f"{install_command('demo')}."
        ) from error
    loaded = load_digits()
    brightest = 16
    pixels = np.round(loaded.images * (255 / brightest))
    return pixels.astype(np.uint8), loaded.target


def _prepare(images, labels):
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


def _cut(images, labels, share: float):
    """Two pairs: what is left, and the share of every class cut off."""
    is_cut = stratified_cut(labels, share, SPLIT_SEED)
    return (
        (images[~is_cut], labels[~is_cut]),
        (images[is_cut], labels[is_cut]),
    )


def _check_names(digits: dict) -> None:
    required = {"train", "test"}
    if not required <= set(digits) <= set(SPLITS):
        raise ValueError(
            '`digits`, as a dictionary, must have the splits "train" and '
            '"test", and may have "validation". Received: '
            f"{sorted(digits)}."
        )


def _check_numbers(pairs: dict) -> None:
    total = sum(len(labels) for _, labels in pairs.values())
    for split, (_, labels) in pairs.items():
        if len(labels) < 2:
            raise ValueError(
                "`digits` must hold at least 2 digits for each split. "
                f"Received: {total} digits, {len(labels)} of them for {split}."
            )
