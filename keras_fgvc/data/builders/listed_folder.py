"""Reads a folder whose lists name images by numbers.

CUB_200_2011 and nabirds unpack to such a folder: images.txt (image, path),
image_class_labels.txt (image, class), classes.txt (class, name),
train_test_split.txt (image, 1 for train) and, where there are boxes,
bounding_boxes.txt (image, x, y, width, height, in pixels from 0).
"""

import os
import pathlib
from typing import NamedTuple

from keras_fgvc.data.builders._files import (
    distinct_names,
    look_up,
    read_mapping,
    read_table,
    to_numbers,
)

IMAGES, LABELS = "images.txt", "image_class_labels.txt"
CLASSES, SPLITS = "classes.txt", "train_test_split.txt"
BOXES = "bounding_boxes.txt"
NEEDED = (IMAGES, LABELS, CLASSES, SPLITS)
IMAGE_FOLDER = "images"
SPLIT_NAMES = {"1": "train", "0": "test"}


class ListedImage(NamedTuple):
    """One image as the lists describe it.

    Args:
        path: File name.
        label: Name of the class.
        split: "train" or "test".
        box: (x_min, y_min, x_max, y_max) in pixels, or None.
    """

    path: str
    label: str
    split: str
    box: tuple[float, ...] | None


def find_lists(root) -> str | None:
    """Returns the folder of the lists: `root`, or the only one in it."""
    inside = [os.path.join(root, name) for name in sorted(os.listdir(root))]
    for folders in ([root], inside):
        found = [folder for folder in folders if _has_lists(folder)]
        if len(found) == 1:
            return found[0]
    return None


def read_lists(folder) -> list[ListedImage]:
    """Reads the images of a folder with lists, in their order.

    Raises:
        ValueError: A list lacks an image or has a value that it cannot have.
    """
    folder = pathlib.Path(folder)
    files = {name: folder / name for name in (*NEEDED, BOXES)}
    paths = read_mapping(files[IMAGES])
    numbers = look_up(read_mapping(files[LABELS]), paths, files[LABELS])
    used = list(dict.fromkeys(numbers))
    names = look_up(read_mapping(files[CLASSES]), used, files[CLASSES])
    labels = dict(zip(used, distinct_names(names, used), strict=True))
    marks = look_up(read_mapping(files[SPLITS]), paths, files[SPLITS])
    strange = sorted(set(marks) - set(SPLIT_NAMES))
    if strange:
        raise ValueError(
            f"{files[SPLITS]} must hold 1 (train) or 0 (test) for each image. "
            f"Received: {', '.join(strange)}."
        )
    boxes = [None] * len(paths)
    if files[BOXES].is_file():
        boxes = read_boxes(files[BOXES], paths)
    return [
        ListedImage(
            str(folder / IMAGE_FOLDER / path),
            labels[number],
            SPLIT_NAMES[mark],
            box,
        )
        for path, number, mark, box in zip(
            paths.values(), numbers, marks, boxes, strict=True
        )
    ]


def _has_lists(folder) -> bool:
    paths = [os.path.join(folder, name) for name in NEEDED]
    return all(os.path.isfile(path) for path in paths)


def read_boxes(path, images) -> list[tuple[float, ...]]:
    """Returns the corners of the box of each of `images`, in pixels.

    Raises:
        ValueError: The list lacks an image, or holds what is no number.
    """
    boxes = {}
    for image, *numbers in read_table(path, 5):
        x, y, width, height = to_numbers(numbers, path)
        boxes[image] = (x, y, x + width, y + height)
    return look_up(boxes, images, path)


def describe(folder, listed) -> str:
    """Returns the layout note of a folder with lists."""
    lists = [*NEEDED, BOXES] if listed and listed[0].box else NEEDED
    others = sorted({*os.listdir(folder)} - {*lists, IMAGE_FOLDER})
    text = f"layout: {len({i.label for i in listed})} classes, "
    text += "splits, " + ("boxes" if BOXES in lists else "no boxes")
    text += f", from the lists {', '.join(lists)} in {folder}"
    return text + (f". Not read: {', '.join(others)}" if others else "")
