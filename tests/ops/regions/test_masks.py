import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import box_masks, saliency_map
from tests.gradients import compiled, gradient

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

HEIGHT, WIDTH = 7, 11


def random_boxes(batch=2, n=3, seed=3):
    corners = np.random.default_rng(seed).uniform(size=(batch, n, 2, 2))
    return np.sort(corners, axis=2).reshape(batch, n, 4).astype("float32")


def reference(boxes, height, width):
    """Each pixel's centre against each box."""
    masks = np.zeros((*boxes.shape[:2], height, width))
    for b, n, i, j in np.ndindex(masks.shape):
        y_min, x_min, y_max, x_max = boxes[b, n]
        y, x = (i + 0.5) / height, (j + 0.5) / width
        masks[b, n, i, j] = y_min <= y < y_max and x_min <= x < x_max
    return masks


def test_masks_match_loop():
    boxes = random_boxes()
    found = box_masks(boxes, HEIGHT, WIDTH)
    assert ops.dtype(found) == "float32"
    expected = reference(boxes, HEIGHT, WIDTH)
    assert 0 < expected.mean() < 1
    np.testing.assert_array_equal(ops.convert_to_numpy(found), expected)


def test_saliency_is_the_union():
    boxes = random_boxes()
    found = saliency_map(boxes, HEIGHT, WIDTH)
    assert ops.dtype(found) == "float32"
    masks = reference(boxes, HEIGHT, WIDTH)
    assert masks.sum(axis=1).max() > 1  # some overlap
    np.testing.assert_array_equal(
        ops.convert_to_numpy(found), masks.max(axis=1)
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(saliency_map(boxes[:, ::-1], HEIGHT, WIDTH)),
        ops.convert_to_numpy(found),
    )


def test_whole_image_empty_boxes_and_none():
    whole = np.float32([[[0, 0, 1, 1]]])
    assert np.all(ops.convert_to_numpy(box_masks(whole, HEIGHT, WIDTH)) == 1)
    empty = np.float32(
        [[[0.5, 0, 0.5, 1], [0.9, 0, 0.1, 1], [0.9, 0.9, 0.1, 0.1], 4 * [0]]]
    )
    assert not np.any(ops.convert_to_numpy(box_masks(empty, HEIGHT, WIDTH)))
    none = np.zeros((2, 0, 4), "float32")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(saliency_map(none, HEIGHT, WIDTH)),
        np.zeros((2, HEIGHT, WIDTH)),
    )


def test_the_first_edge_is_inside_the_last_is_not():
    """Boxes that end on the centre of pixel 2 of 4 and that begin there."""
    boxes = np.float32([[[0, 0, 1, 0.625], [0, 0.625, 1, 1]]])
    across = ops.convert_to_numpy(box_masks(boxes, 1, 4))
    np.testing.assert_array_equal(across[0, :, 0], [[1, 1, 0, 0], [0, 0, 1, 1]])
    turned = boxes[..., [1, 0, 3, 2]]
    down = ops.convert_to_numpy(box_masks(turned, 4, 1))
    np.testing.assert_array_equal(down[..., 0], across[:, :, 0])


def test_whole_pixels_are_found_in_any_resolution():
    for side in (3, 10, 224, 448, 1000):
        edges = np.arange(side + 1, dtype="float32") / side
        rows = np.stack(
            [edges[:-1], 0 * edges[1:], edges[1:], 0 * edges[1:] + 1]
        )
        masks = ops.convert_to_numpy(box_masks(rows.T[None], side, 1))
        np.testing.assert_array_equal(masks[0, ..., 0], np.eye(side))


def test_no_gradient():
    weights = np.random.default_rng(1).normal(size=(2, 3, HEIGHT, WIDTH))

    def loss(boxes):
        masks = box_masks(boxes, HEIGHT, WIDTH)
        union = saliency_map(boxes, HEIGHT, WIDTH)
        total = ops.sum(masks * ops.cast(weights, "float32")) + ops.sum(union)
        return total + 0.0 * ops.cast(ops.sum(boxes), "float32")

    (found,) = gradient(loss, random_boxes())
    np.testing.assert_array_equal(found, 0.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    """Centres are computed in float32: bfloat16 has 257 between 0.5 and 1."""
    boxes = ops.convert_to_tensor([[[0.0, 0.0, 0.75, 1.0]]], dtype)
    found = box_masks(boxes, 1024, 1)
    assert ops.dtype(found) == ops.dtype(saliency_map(boxes, 1024, 1))
    assert ops.dtype(found) == "float32"
    expected = np.arange(1024) < 768
    np.testing.assert_array_equal(
        ops.convert_to_numpy(found)[0, 0, :, 0], expected
    )


def test_compiled():
    boxes = random_boxes()
    found = compiled(lambda boxes: box_masks(boxes, HEIGHT, WIDTH))(boxes)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(found), reference(boxes, HEIGHT, WIDTH)
    )


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("jit", [False, True])
def test_unknown_sizes_and_jit(jit):
    import tensorflow as tf

    @tf.function(
        autograph=False,
        jit_compile=jit,
        input_signature=[
            tf.TensorSpec([None, None, 4]),
            tf.TensorSpec([None, None, None, 3]),
        ],
    )
    def fn(boxes, images):
        _, height, width, _ = ops.shape(images)
        masks = box_masks(boxes, height, width)
        return masks, saliency_map(boxes, height, width)

    boxes = random_boxes()
    masks, union = fn(boxes, np.zeros((2, HEIGHT, WIDTH, 3), "float32"))
    expected = reference(boxes, HEIGHT, WIDTH)
    np.testing.assert_array_equal(masks, expected)
    np.testing.assert_array_equal(union, expected.max(axis=1))


@pytest.mark.parametrize("function", [box_masks, saliency_map])
def test_wrong_arguments(function):
    boxes = random_boxes()
    with pytest.raises(ValueError, match="`boxes` must have shape"):
        function(boxes[0], HEIGHT, WIDTH)
    with pytest.raises(ValueError, match="`boxes` must have shape"):
        function(boxes[..., :3], HEIGHT, WIDTH)
    with pytest.raises(ValueError, match="`height` must be at least 1"):
        function(boxes, 0, WIDTH)
    with pytest.raises(TypeError, match="`width` must be an integer"):
        function(boxes, HEIGHT, 7.0)
