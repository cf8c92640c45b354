"""Augmentation: its limits, its geometry by hand, its colours by a loop."""

import numpy as np
import pytest
import tensorflow as tf

from keras_fgvc.data import Augmentation
from keras_fgvc.data.pipeline import geometry
from keras_fgvc.data.pipeline.augment import EIGENVALUES, EIGENVECTORS, recolour
from tests.data.image_files import smooth_pixels

SEED = (3, 5)
LUMA = np.array([0.299, 0.587, 0.114])
EVERYTHING = Augmentation(
    rotation=30,
    horizontal_flip=True,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    lighting=0.1,
    random_crop=(0.5, 1.0),
)


def turned(image, angle, mirror=1.0, share=1.0, place=(0.5, 0.5), size=None):
    """The image, and a function that moves a box the same way."""
    input_size, size = image.shape[:2], size or image.shape[:2]
    affine = geometry.affine_map(
        input_size,
        size,
        angle=tf.constant(float(angle)),
        mirror=tf.constant(mirror),
        share=tf.constant(share),
        place=tf.constant(place),
    )
    moved = geometry.move_image(image, affine, size, 0.0).numpy()
    return moved, lambda box: geometry.move_box(
        tf.constant(box), affine, input_size, size
    ).numpy()


def test_nothing_changes_by_default():
    image = smooth_pixels()
    for seed in range(3):
        np.testing.assert_array_equal(Augmentation()(image, (0, seed)), image)


def test_float_images_are_rounded():
    image = np.full((2, 3, 3), 6.6, np.float32)
    assert set(Augmentation()(image, SEED).numpy().ravel()) == {7}


@pytest.mark.parametrize("quarters", [-1, 0, 1, 2])
def test_quarter_turns_equal_rot90(quarters):
    image = smooth_pixels(31, 31)
    moved, move_box = turned(image, 90 * quarters)
    np.testing.assert_allclose(moved, np.rot90(image, quarters), atol=0.01)
    # A white box on black turns into the box that is predicted.
    marked = np.zeros((20, 20, 3), np.float32)
    marked[2:8, 4:18] = 255.0
    rows, columns = np.nonzero(np.rot90(marked, quarters)[..., 0])
    expected = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
    box = np.array([2, 4, 8, 18], np.float32) / 20
    np.testing.assert_allclose(
        move_box(box), np.array(expected) / 20, atol=1e-6
    )


def test_mirrored_map_equals_fliplr():
    image = smooth_pixels()
    moved, move_box = turned(image, 0, mirror=-1.0)
    np.testing.assert_allclose(moved, np.fliplr(image), atol=0.01)
    np.testing.assert_allclose(
        move_box([0.1, 0.2, 0.5, 0.9]), [0.1, 0.1, 0.5, 0.8], atol=1e-6
    )


def test_crop_of_a_quarter_is_the_corner():
    image = smooth_pixels(20, 28)
    moved, move_box = turned(
        image, 0, share=0.25, place=(1.0, 0.0), size=(10, 14)
    )
    np.testing.assert_allclose(moved, image[:10, 14:], atol=0.01)
    np.testing.assert_allclose(
        move_box([0.25, 0.6, 0.75, 0.75]), [0.5, 0.2, 1.0, 0.5], atol=1e-6
    )
    np.testing.assert_array_equal(move_box([0.6, 0.1, 0.9, 0.4]), np.zeros(4))


def test_turning_forth_and_back_keeps_the_middle():
    image = smooth_pixels(48, 48).astype(np.float32)
    there, _ = turned(image, 25)
    back, _ = turned(there, -25)
    middle = (slice(14, 34),) * 2
    # Two bilinear samplings blur a little.
    assert np.abs(back - image)[middle].mean() < 1.5
    assert np.abs(there - image)[middle].mean() > 10


def test_a_turned_box_holds_the_turned_object():
    image = np.zeros((60, 60, 3), np.float32)
    image[20:30, 12:40] = 255.0
    for angle in (-50, 10, 35):
        moved, move_box = turned(image, angle)
        box = move_box(np.array([20, 12, 30, 40], np.float32) / 60) * 60
        rows, columns = np.nonzero(moved[..., 0] > 128)
        extent = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_allclose(box, extent, atol=1.5)


@pytest.mark.parametrize("leading", [(5,), (2, 3), (2, 1, 3)])
def test_several_boxes_move_each_for_itself(leading):
    _, move_box = turned(
        smooth_pixels(20, 28), 20, mirror=-1.0, share=0.4, place=(0.8, 0.1)
    )
    low = np.random.default_rng(0).uniform(0, 0.8, (*leading, 2))
    boxes = np.concatenate([low, low + 0.15], axis=-1).astype(np.float32)
    moved = move_box(boxes)
    assert moved.shape == (*leading, 4)
    alone = [move_box(box) for box in boxes.reshape(-1, 4)]
    np.testing.assert_allclose(moved.reshape(-1, 4), alone, atol=1e-6)
    # Some are cut away, and that changes nothing for the others.
    is_away = (moved.reshape(-1, 4) == 0).all(axis=1)
    assert 0 < is_away.sum() < len(is_away)


def test_several_boxes_are_flipped_each_for_itself():
    boxes = tf.constant([[0.1, 0.2, 0.5, 0.9], [0.0] * 4, [0.3, 0, 0.4, 0.1]])
    flipped = geometry.flip_box(boxes, tf.constant(-1.0))
    expected = [[0.1, 0.1, 0.5, 0.8], [0.0] * 4, [0.3, 0.9, 0.4, 1.0]]
    np.testing.assert_allclose(flipped, expected, atol=1e-6)
    # As a cut away box: not there before, not there afterwards.
    np.testing.assert_array_equal(flipped[1], np.zeros(4))
    for box, alone in zip(boxes, flipped, strict=True):
        moved = geometry.flip_box(box, tf.constant(-1.0))
        np.testing.assert_array_equal(moved, alone)
    kept = geometry.flip_box(boxes, tf.constant(1.0))
    np.testing.assert_array_equal(kept, boxes)


@pytest.mark.parametrize(
    "augment",
    [
        EVERYTHING,
        Augmentation(horizontal_flip=True),
        Augmentation(horizontal_flip=True, random_crop=(0.5, 1.0)),
    ],
)
def test_several_boxes_of_an_image_follow_it(augment):
    image = tf.constant(smooth_pixels())
    boxes = tf.constant([[0.3, 0.3, 0.7, 0.6], [0.1, 0.4, 0.5, 0.5]])
    graph = tf.function(lambda seed: augment(image, seed, boxes))
    for seed in range(4):
        changed, moved = graph(tf.constant((2, seed)))
        for box, alone in zip(boxes, moved, strict=True):
            same, expected = augment(image, (2, seed), box)
            np.testing.assert_allclose(alone, expected, atol=1e-6)
            assert np.abs(changed - same.numpy().astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("fill", "corner"), [(77, 77), ("nearest", 200), ("reflect", 200)]
)
def test_fill_lies_in_the_corners(fill, corner):
    image = np.full((20, 20, 3), 200, np.uint8)
    changed = Augmentation(rotation=60, fill=fill)(image, SEED).numpy()
    assert changed[0, 0].tolist() == [corner] * 3
    assert changed[10, 10].tolist() == [200] * 3


def test_half_of_the_images_are_flipped():
    image = smooth_pixels(5, 7)
    flip = Augmentation(horizontal_flip=True)
    box = tf.constant([0.1, 0.2, 0.5, 0.9])
    num_flipped = 0
    for seed in range(60):
        changed, moved = flip(image, (1, seed), box)
        is_flipped = not (changed.numpy() == image).all()
        expected = np.fliplr(image) if is_flipped else image
        np.testing.assert_array_equal(changed, expected)
        sides = [0.1, 0.1, 0.5, 0.8] if is_flipped else [0.1, 0.2, 0.5, 0.9]
        np.testing.assert_allclose(moved, sides, atol=1e-6)
        num_flipped += is_flipped
    assert 18 <= num_flipped <= 42


def test_colours_equal_a_loop_over_the_pixels():
    image = smooth_pixels(5, 7).astype(np.float32)
    b, c, s = 1.3, 0.7, 1.4
    alpha = np.array([0.1, -0.2, 0.05])
    mean = np.mean([b * pixel @ LUMA for row in image for pixel in row])
    expected = np.empty_like(image)
    for y in range(5):
        for x in range(7):
            pixel = c * b * image[y, x] + (1 - c) * mean
            pixel = s * pixel + (1 - s) * (pixel @ LUMA)
            for i in range(3):
                pixel = pixel + np.array(EIGENVECTORS)[:, i] * (
                    alpha[i] * EIGENVALUES[i]
                )
            expected[y, x] = pixel
    received = recolour(
        image,
        brightness=b,
        contrast=tf.constant(c),
        saturation=s,
        alpha=tf.constant(alpha, tf.float32),
    )
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("option", ["brightness", "contrast", "saturation"])
def test_mean_colour_stays_within_the_strength(option):
    image = smooth_pixels() // 4 + 64
    mean = image.mean()
    largest = 0.3 * mean if option == "brightness" else 1.0
    changes = []
    for seed in range(20):
        changed = Augmentation(**{option: 0.3})(image, (2, seed)).numpy()
        luma = (changed @ LUMA).mean()
        changes.append(luma - (image @ LUMA).mean())
    assert np.abs(changes).max() <= largest + 1.0
    if option == "brightness":
        assert np.max(changes) > 0.1 * mean > -0.1 * mean > np.min(changes)


def test_lighting_adds_one_colour_to_all_pixels():
    image = np.full((4, 5, 3), 128, np.uint8)
    changed = Augmentation(lighting=0.5)(image, SEED).numpy()
    assert len(np.unique(changed.reshape(-1, 3), axis=0)) == 1
    assert (changed != image).any()


def test_everything_stays_in_range_and_follows_the_seed():
    image = smooth_pixels()
    image[:9], image[-9:] = 0, 255
    results = [EVERYTHING(image, (4, seed)).numpy() for seed in (1, 1, 2)]
    assert results[0].dtype == np.uint8
    assert results[0].max() == 255
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()
    assert not (results[0] == image).all()


def test_an_option_leaves_the_others_choices_alone():
    image = smooth_pixels(12, 12)
    flip = Augmentation(horizontal_flip=True)
    both = Augmentation(horizontal_flip=True, brightness=1e-6)
    for seed in range(8):
        np.testing.assert_array_equal(
            flip(image, (0, seed)), both(image, (0, seed))
        )


def test_the_graph_computes_the_same():
    image = tf.constant(smooth_pixels())
    box = tf.constant([0.3, 0.3, 0.7, 0.6])
    graph = tf.function(lambda seed: EVERYTHING(image, seed, box, (21, 33)))
    eager_image, eager_box = EVERYTHING(image, SEED, box, (21, 33))
    graph_image, graph_box = graph(tf.constant(SEED))
    assert graph_image.shape == (21, 33, 3)
    np.testing.assert_allclose(graph_box, eager_box, atol=1e-6)
    difference = graph_image.numpy().astype(int) - eager_image.numpy()
    assert np.abs(difference).max() <= 1


def test_crops_are_taken_from_a_larger_image():
    share = (224 / 256) ** 2
    crop = Augmentation(random_crop=(share, share), rotation=10)
    assert crop.input_size((224, 112)) == (256, 128)
    assert Augmentation(random_crop=(share, share)).input_size((9, 9)) is None
    assert Augmentation().input_size((224, 112)) == (224, 112)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rotation": 200}, ValueError, "`rotation` must be between 0 and 180"),
        ({"brightness": 2}, ValueError, "`brightness` must be between 0 and 1"),
        ({"lighting": "x"}, TypeError, "`lighting` must be a number"),
        ({"horizontal_flip": 1}, TypeError, "True or False"),
        ({"random_crop": 0.5}, ValueError, "a pair .smallest, largest."),
        ({"random_crop": (0.5, 2)}, ValueError, "between 0.01 and 1"),
        ({"random_crop": (0.9, 0.5)}, ValueError, "must not start above"),
        ({"fill": "black"}, ValueError, 'or "nearest". Received'),
        ({"fill": 300}, ValueError, "`fill` must be between 0 and 255"),
    ],
)
def test_wrong_options_raise(options, error, message):
    with pytest.raises(error, match=message):
        Augmentation(**options)


def test_no_box_stays_no_box():
    """A row of NaN, where zeros would be a box that was cut away."""
    image, box = smooth_pixels(), np.full(4, np.nan, np.float32)
    for options in (
        {"random_crop": (0.5, 0.6)},
        {"rotation": 30},
        {"horizontal_flip": True},
        {},
    ):
        for seed in range(3):
            _, found = Augmentation(**options)(image, (0, seed), box)
            assert np.isnan(found).all(), options
    boxes = np.array([box, [0.1, 0.1, 0.9, 0.9]], np.float32)
    window = geometry.Window((10, 10), (2, 2), (4, 4))
    cut = geometry.cut_box(boxes, window).numpy()
    assert np.isnan(cut).any(axis=1).tolist() == [True, False]
