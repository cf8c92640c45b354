"""Crops along the axes, against plain slices."""

import numpy as np
import pytest
import tensorflow as tf

from keras_fgvc.data import (
    Augmentation,
    Examples,
    LabeledImages,
)
from keras_fgvc.data.pipeline import geometry
from keras_fgvc.decoding.images import decode, resize
from tests.data.image_files import smooth_pixels

IMAGE = smooth_pixels(20, 28)


def window(image, share, place):
    return geometry.choose_window(
        tf.shape(image)[:2],
        tf.constant(float(share)),
        tf.constant(place, tf.float32),
    )


@pytest.mark.parametrize(
    ("share", "place", "rows", "columns"),
    [
        (1.0, (0.3, 0.8), (0, 20), (0, 28)),
        (0.25, (0.0, 0.0), (0, 10), (0, 14)),
        (0.25, (1.0, 0.0), (0, 10), (14, 28)),
        (0.25, (0.5, 1.0), (10, 20), (7, 21)),
    ],
)
def test_a_window_is_a_slice(share, place, rows, columns):
    found = window(IMAGE, share, place)
    expected = IMAGE[slice(*rows), slice(*columns)]
    cut = geometry.cut_image(tf.constant(IMAGE), found, expected.shape[:2])
    np.testing.assert_array_equal(cut, expected)
    smaller = geometry.cut_image(tf.constant(IMAGE), found, (5, 7))
    np.testing.assert_array_equal(smaller, resize(expected, (5, 7)))


def test_the_smallest_window_has_a_pixel():
    pixel = geometry.cut_image(
        tf.constant(IMAGE), window(IMAGE, 1e-4, (1.0, 1.0)), (1, 1)
    )
    np.testing.assert_array_equal(pixel[0, 0], IMAGE[-1, -1])


@pytest.mark.parametrize("leading", [(), (2,), (2, 1)])
def test_boxes_follow_a_marked_object(leading):
    """A white box on black, cut, is where the cut box says."""
    image = np.zeros((31, 43, 3), np.uint8)
    image[7:19, 11:23] = 255
    box = np.array([7 / 31, 11 / 43, 19 / 31, 23 / 43], np.float32)
    boxes = np.tile(box, (*leading, 1))
    for share, place in ((0.5, (0.2, 0.4)), (0.2, (0.4, 0.4))):
        found = window(image, share, place)
        size = tuple(found.size.numpy())
        cut = geometry.cut_image(tf.constant(image), found, size).numpy()
        rows, columns = np.nonzero(cut[..., 0])
        expected = [
            rows.min() / size[0],
            columns.min() / size[1],
            (rows.max() + 1) / size[0],
            (columns.max() + 1) / size[1],
        ]
        moved = geometry.cut_box(boxes, found)
        assert moved.shape == (*leading, 4)
        np.testing.assert_allclose(
            moved, np.broadcast_to(expected, moved.shape), atol=1e-6
        )


def test_a_box_outside_becomes_zeros():
    found = window(IMAGE, 0.25, (0.0, 0.0))
    boxes = np.float32([[0.6, 0.1, 0.9, 0.4], [0.1, 0.1, 0.3, 0.3]])
    moved = geometry.cut_box(boxes, found)
    np.testing.assert_allclose(
        moved, [[0] * 4, [0.2, 0.2, 0.6, 0.6]], atol=1e-6
    )


def test_shares_and_places_spread_over_their_range():
    """Random crops of a map of coordinates: where they lie, how large."""
    rows, columns = np.mgrid[:100, :100]
    image = np.stack([rows, columns, 0 * rows], -1).astype(np.uint8)
    crop = Augmentation(random_crop=(0.25, 0.81))
    graph = tf.function(lambda seed: crop(image, seed, output_size=(200, 200)))
    cuts = [graph(tf.constant((7, seed))).numpy() for seed in range(200)]
    cuts = np.array(cuts, int)
    tops, lefts = np.array([cut[0, 0, :2] for cut in cuts]).T
    ends = np.array([cut[-1, -1, :2] for cut in cuts])
    sides = ends[:, 0] - tops + 1
    assert (sides == ends[:, 1] - lefts + 1).all()  # the image's own shape
    assert (sides.min(), sides.max()) == (50, 90)
    np.testing.assert_allclose(np.mean(sides**2) / 100**2, 0.53, atol=0.03)
    place = tops / (100 - sides)
    assert place.min() < 0.05
    assert place.max() > 0.95
    assert abs(np.corrcoef(tops, lefts)[0, 1]) < 0.6  # not along a diagonal


def test_crops_keep_the_pixels_of_the_file(tmp_path):
    """A crop is not cut from an image that was shrunk before."""
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 255  # gone as soon as the image is shrunk
    path = tmp_path / "stripes.png"
    path.write_bytes(tf.io.encode_png(stripes).numpy())
    examples = Examples(np.zeros(1, np.int32), paths=(str(path),))
    images = LabeledImages("one", ("stripes",), {"train": examples})
    crop = Augmentation(random_crop=(1 / 9, 1 / 9))
    batches = images.batches(
        "train",
        load_size=32,
        batch_size=1,
        training=True,
        augmentation=crop,
        epochs=range(1),
    )
    pixels, _ = next(iter(batches))
    assert set(np.unique(pixels)) == {0, 255}
    assert decode(path.read_bytes()).shape == (96, 96, 3)
