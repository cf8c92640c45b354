"""Crop and pad against plain slices, and boxes there and back."""

import numpy as np
import pytest
import tensorflow as tf

from keras_fgvc.data import decode_and_resize
from keras_fgvc.decoding import images
from keras_fgvc.decoding.resizing import (
    PADDING,
    RESIZES,
    from_frame,
    place,
    resize,
    to_frame,
)
from tests.data.image_files import encode, smooth_pixels

# Wide, tall, square, of the target's aspect, one pixel high, one pixel wide.
STORED = [(44, 61), (61, 44), (47, 47), (48, 64), (1, 60), (60, 1), (13, 9)]
TARGETS = [(32, 32), (24, 32), (37, 23)]
SIZES = [(stored, target) for stored in STORED for target in TARGETS]
BOXES = np.float32([[0.45, 0.4, 0.55, 0.6], [0.48, 0.1, 0.5, 0.55]])


def half_up(value):
    return int(np.floor(value + 0.5))


def inscribed(within, aspect):
    """The largest rectangle of an aspect, by comparing the two ratios."""
    height, width = within
    if width / height >= aspect[1] / aspect[0]:
        size = height, max(1, half_up(height * aspect[1] / aspect[0]))
    else:
        size = max(1, half_up(width * aspect[0] / aspect[1])), width
    corner = (height - size[0]) // 2, (width - size[1]) // 2
    return corner, size


@pytest.mark.parametrize(("stored", "target"), SIZES)
def test_crop_is_the_central_part(stored, target):
    pixels = smooth_pixels(*stored)
    (row, column), (height, width) = inscribed(stored, target)
    part = pixels[row : row + height, column : column + width]
    placed, frame = place(pixels, target, "crop")
    np.testing.assert_array_equal(placed, resize(part, target))
    whole = [-row, -column, stored[0] - row, stored[1] - column]
    expected = np.divide(whole, [height, width] * 2)
    np.testing.assert_allclose(frame, expected, rtol=1e-6)


@pytest.mark.parametrize(("stored", "target"), SIZES)
def test_pad_keeps_the_whole_image(stored, target):
    pixels = smooth_pixels(*stored)
    (row, column), (height, width) = inscribed(target, stored)
    expected = np.full((*target, 3), PADDING, np.uint8)
    inner = slice(row, row + height), slice(column, column + width)
    expected[inner] = resize(pixels, (height, width))
    placed, frame = place(pixels, target, "pad")
    np.testing.assert_array_equal(placed, expected)
    ends = [row, column, row + height, column + width]
    np.testing.assert_allclose(frame, np.divide(ends, target * 2), rtol=1e-6)


def test_pad_and_crop_are_near_pillow():
    from PIL import Image, ImageOps

    pixels = smooth_pixels(90, 160)
    image = Image.fromarray(pixels)
    grey = (PADDING,) * 3
    for way, expected in (
        ("pad", ImageOps.pad(image, (32, 32), Image.BOX, grey)),
        ("crop", ImageOps.fit(image, (32, 32), Image.BOX)),
    ):
        placed, _ = place(pixels, (32, 32), way)
        difference = placed.numpy().astype(int) - np.asarray(expected)
        assert np.abs(difference).mean() < 1.5, way


@pytest.mark.parametrize("way", RESIZES)
def test_an_image_of_the_target_aspect_is_resized_alike(way):
    pixels = smooth_pixels(48, 64)
    placed, frame = place(pixels, (24, 32), way)
    np.testing.assert_array_equal(placed, resize(pixels, (24, 32)))
    np.testing.assert_array_equal(frame, (0, 0, 1, 1))


@pytest.mark.parametrize("way", RESIZES)
@pytest.mark.parametrize(("stored", "target"), SIZES[:9])
def test_boxes_come_back(stored, target, way):
    _, frame = place(smooth_pixels(*stored), target, way)
    shown = to_frame(BOXES[:1], frame)
    np.testing.assert_allclose(from_frame(shown, frame), BOXES[:1], atol=1e-6)


@pytest.mark.parametrize("way", RESIZES)
def test_a_box_stays_around_its_pixels(way):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[10:30, 32:48] = 255
    placed, frame = place(pixels, (40, 40), way)
    box = to_frame(np.float32([0.25, 0.4, 0.75, 0.6]), frame).numpy()
    rows, columns = np.nonzero(placed.numpy()[..., 0] == 255)
    ends = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    np.testing.assert_allclose(box, np.divide(ends, 40), atol=1e-6)


def test_what_a_crop_cuts_off_a_box_is_gone():
    _, frame = place(np.zeros((10, 30, 3), np.uint8), (5, 5), "crop")
    boxes = np.float32(
        [
            [0.2, 0.2, 0.8, 0.5],  # half of it within
            [0.2, 0.7, 0.8, 0.9],  # outside
            [0, 0, 0, 0],  # no box
            [np.nan] * 4,  # not known
        ]
    )
    expected = np.float32([[0.2, 0, 0.8, 0.5], [0] * 4, [0] * 4, [np.nan] * 4])
    np.testing.assert_allclose(to_frame(boxes, frame), expected, atol=1e-6)


def test_zeros_and_padding_are_no_boxes():
    _, frame = place(np.zeros((10, 30, 3), np.uint8), (6, 6), "pad")
    zeros = np.zeros((2, 4), np.float32)
    np.testing.assert_array_equal(to_frame(zeros, frame), zeros)
    np.testing.assert_array_equal(from_frame(zeros, frame), zeros)
    found = from_frame(np.float32([0.0, 0.1, 1.0, 0.9]), frame)
    np.testing.assert_allclose(found, [0, 0.1, 1, 0.9], atol=1e-6)


def test_each_image_has_its_own_frame():
    frames = np.float32([[0.25, 0, 0.75, 1], [0, -0.5, 1, 1.5]])
    parts = np.tile(np.float32([0.25, 0.5, 0.5, 0.75]), (2, 3, 1))
    found = from_frame(parts, frames).numpy()
    np.testing.assert_allclose(found[0], np.tile([0, 0.5, 0.5, 0.75], (3, 1)))
    np.testing.assert_allclose(
        found[1], np.tile([0.25, 0.5, 0.5, 0.625], (3, 1))
    )


@pytest.mark.parametrize("way", ["crop", "pad"])
@pytest.mark.parametrize("stored", [(400, 700), (700, 400), (401, 403)])
def test_a_reduced_jpeg_keeps_enough_pixels(way, stored, monkeypatch):
    """What is cropped or padded is never enlarged after decoding."""
    sizes = []
    monkeypatch.setattr(
        images.resizing,
        "_inscribed",
        lambda within, aspect, own=images.resizing._inscribed: (
            sizes.append((within, aspect)) or own(within, aspect)
        ),
    )
    encoded = encode(smooth_pixels(*stored), "JPEG", quality=95)
    received = decode_and_resize(encoded, (97, 97), resize=way).numpy()
    ((within, aspect),) = sizes
    decoded = np.asarray(within if way == "crop" else aspect)
    assert (decoded >= 97).all()
    assert (decoded < stored).all()  # it was reduced
    whole, _ = place(images.decode(encoded), (97, 97), way)
    difference = received.astype(int) - whole.numpy()
    assert np.abs(difference).mean() < 3


def test_orientation_comes_first():
    """A photograph that lies on its side is cropped upright."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = smooth_pixels(30, 60)
    lying = encode(np.rot90(pixels), "PNG", exif=exif)
    for way in RESIZES:
        expected, _ = place(pixels, (20, 24), way)
        received = decode_and_resize(lying, (20, 24), resize=way)
        np.testing.assert_array_equal(received, expected)


def test_the_size_may_be_known_only_when_it_runs():
    @tf.function(input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)])
    def placed(image):
        return place(image, (11, 13), "pad")

    assert placed.get_concrete_function().output_shapes == ((11, 13, 3), (4,))
    pixels = smooth_pixels(20, 70)
    np.testing.assert_array_equal(
        placed(pixels)[0], place(pixels, (11, 13), "pad")[0]
    )


def test_another_way_is_refused():
    with pytest.raises(ValueError, match=r"`resize` must be.*'letterbox'"):
        decode_and_resize(b"", (3, 3), resize="letterbox")
