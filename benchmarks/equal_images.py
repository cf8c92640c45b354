"""The images of equal_budget.py: splits or folds, whole or cut."""

import dataclasses

import numpy as np

from keras_fgvc import data

VALIDATION = 10  # one of so many training images of a fold
CENTER = 0.7  # sides of the central cut, which a localiser's boxes have


def make_folds(images, count, number, seed):
    """The data set with one fold of all its images as the test split.

    All images of all splits are dealt out by turns within each class, in an
    order that is the same for every seed: each is a test image once. The seed
    chooses the validation images among the rest.

    Args:
        images: `LabeledImages` in memory.
        count: Number of folds.
        number: The fold, from 0.
        seed: Of the validation split.
    """
    everything = join(list(images.splits.values()))
    fold = _turns(everything.labels, np.random.default_rng(0)) % count
    rest = np.flatnonzero(fold != number)
    turn = _turns(everything.labels[rest], np.random.default_rng(seed))
    splits = {
        "train": rest[turn % VALIDATION != 0],
        "validation": rest[turn % VALIDATION == 0],
        "test": np.flatnonzero(fold == number),
    }
    splits = {name: everything.take(rows) for name, rows in splits.items()}
    return dataclasses.replace(images, splits=splits)


def join(examples):
    """One `Examples` of several, in memory."""
    boxes = [each.boxes for each in examples]
    return data.Examples(
        labels=np.concatenate([each.labels for each in examples]),
        images=np.concatenate([each.images for each in examples]),
        boxes=None
        if any(each is None for each in boxes)
        else np.concatenate(boxes),
    )


def _turns(labels, rng):
    """A number for each image: its place among those of its class."""
    turns = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        turns[rng.permutation(rows)] = np.arange(len(rows))
    return turns


def cut(images, region):
    """The same images cut to a region and brought back to their size.

    Args:
        images: `LabeledImages` in memory.
        region: `"center"`, the middle 0.7 of each side, or `"boxes"`, the true
            boxes; an image without one stays whole.
    """
    splits = {n: _cut(each, region) for n, each in images.splits.items()}
    return dataclasses.replace(images, splits=splits)


def _cut(examples, region):
    import tensorflow as tf

    side = examples.images.shape[1]
    margin = (1 - CENTER) / 2
    boxes = np.tile(
        np.float32([margin, margin, 1 - margin, 1 - margin]),
        (len(examples), 1),
    )
    if region == "boxes":
        boxes = np.where(
            np.isnan(examples.boxes), np.float32([0, 0, 1, 1]), examples.boxes
        )
    pixels = np.empty_like(examples.images)
    for row, (image, box) in enumerate(
        zip(examples.images, boxes, strict=True)
    ):
        top, left, bottom, right = np.round(box * side).astype(int)
        part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
        resized = tf.image.resize(part, (side, side), antialias=True)
        pixels[row] = np.clip(np.round(resized), 0, 255)
    return data.Examples(labels=examples.labels, images=pixels)
