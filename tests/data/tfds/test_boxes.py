"""Boxes of TFDS's data sets."""

import numpy as np
import pytest
from PIL import Image

from keras_fgvc.data import (
    open_dataset,
)
from keras_fgvc.data.builders.record_contents import largest_box, turn_box
from tests.data.image_files import encode, smooth_pixels
from tests.data.tfds import archives
from tests.data.tfds.contents import by_content

HEIGHT, WIDTH = archives.HEIGHT, archives.WIDTH


def test_bad_boxes_are_reported_or_skipped(tmp_path, manual):
    # One without a width; one that reaches beyond the lower edge.
    boxes = {0: (3, 5, 0, 7), 1: (1, 31, 29, 20)}
    archives.cub(manual, boxes=boxes)
    message = r"1 x bad box\.\n.*train image \d: the box is .*empty.*x 0\.05"
    with pytest.raises(ValueError, match=message):
        open_dataset("cub200", data_dir=str(tmp_path))
    data = open_dataset(
        "cub200",
        data_dir=str(tmp_path),
        on_error="skip",
        validation_fraction=0,
    )
    assert data.split_sizes == {"train": 4, "test": 2}
    assert data.report.counts == {"bad box": 1}
    contents = list(archives.bird_files().values())
    found = by_content(data, "train")
    assert contents[0] not in found
    _, box = found[contents[1]]
    expected = [31 / HEIGHT, 1 / WIDTH, 1, 30 / WIDTH]
    np.testing.assert_allclose(box, expected, rtol=1e-6)


def test_a_box_turns_with_its_photograph(tmp_path, manual):
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned right by a quarter.
    pixels = smooth_pixels(HEIGHT, WIDTH)
    name = next(iter(archives.BIRDS))
    content = encode(pixels, "JPEG", exif=exif)
    archives.cub(manual, **{name: content})
    data = open_dataset("cub200", data_dir=str(tmp_path), validation_fraction=0)
    _, box = by_content(data, "train")[content]
    # As stored, x is 5 to 36 and y 7 to 27; y from below is x now.
    expected = [5 / WIDTH, 14 / HEIGHT, 36 / WIDTH, 34 / HEIGHT]
    np.testing.assert_allclose(box, expected, rtol=1e-6)


@pytest.mark.parametrize("code", range(1, 9))
def test_boxes_turn_as_pixels_do(code):
    import tensorflow as tf

    from keras_fgvc.decoding.exif import turn_upright

    image = np.zeros((11, 13, 3), np.uint8)
    image[2:5, 3:10] = 255
    turned = np.array(turn_upright(image, tf.constant(code)))[..., 0]
    rows, columns = (np.flatnonzero(turned.any(axis=a)) for a in (1, 0))
    height, width = turned.shape
    expected = [
        rows[0] / height,
        columns[0] / width,
        (rows[-1] + 1) / height,
        (columns[-1] + 1) / width,
    ]
    box = turn_box([2 / 11, 3 / 13, 5 / 11, 10 / 13], code)
    np.testing.assert_allclose(box, expected, rtol=1e-6)


def test_dogs_have_the_largest_box(tmp_path, manual):
    boxes_of_images = {
        7: [(1, 2, 12, 13)],
        11: [(1, 2, 12, 13), (5, 3, 55, 39), (0, 0, 30, 41)],
        13: [(0, 0, 59, 41), (2, 3, 5, 7)],
    }
    archives.dogs(manual, boxes_of_images)
    data = open_dataset("stanford_dogs", data_dir=str(tmp_path))
    assert data.split_sizes == {"train": 1, "validation": 1, "test": 1}
    assert data.num_classes == 120
    assert data.class_names.count("chihuahua") == 1
    assert "breed 118" in data.class_names
    boxes = np.concatenate([data.subset(s).boxes for s in data.splits])
    expected = [
        [2 / HEIGHT, 1 / WIDTH, 13 / HEIGHT, 12 / WIDTH],
        [3 / HEIGHT, 5 / WIDTH, 39 / HEIGHT, 55 / WIDTH],
        [0, 0, 1, 1],
    ]
    boxes = boxes[boxes[:, 3].argsort()]
    np.testing.assert_allclose(boxes, expected, rtol=1e-6)


def test_the_largest_box():
    turned_round = [0.9, 0.9, 0.1, 0.1]
    small, large = [0, 0, 0.3, 0.3], [0.5, 0.5, 0.9, 0.9]
    assert largest_box([turned_round, small, large]).tolist() == pytest.approx(
        large
    )
    assert largest_box([]).tolist() == [0, 0, 0, 0]
