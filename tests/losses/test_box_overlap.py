import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.losses import box_overlap
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

# Two images of three boxes; every pair overlaps, none inside another.
BOXES = np.array(
    [
        [[0.1, 0.1, 0.5, 0.6], [0.3, 0.2, 0.7, 0.8], [0.2, 0.4, 0.9, 0.7]],
        [[0.0, 0.1, 0.6, 0.5], [0.1, 0.3, 0.7, 0.9], [0.5, 0.0, 0.8, 0.4]],
    ]
)
LEFT, MIDDLE, RIGHT = [0, 0, 1, 0.4], [0, 0.2, 1, 0.6], [0, 0.6, 1, 1]


def area(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def reference(boxes, weight=1.0):
    """Pair by pair."""
    values = np.zeros(len(boxes))
    for b, image in enumerate(boxes):
        pairs = 0
        for i in range(len(image)):
            for j in range(i + 1, len(image)):
                first, second = image[i], image[j]
                shared = [
                    max(first[0], second[0]),
                    max(first[1], second[1]),
                    min(first[2], second[2]),
                    min(first[3], second[3]),
                ]
                total = area(first) + area(second)
                values[b] += weight * area(shared) / total
                pairs += 1
        values[b] /= pairs
    return values


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def test_matches_a_loop():
    found = compiled(box_overlap)(ops.convert_to_tensor(BOXES, "float32"))
    np.testing.assert_allclose(
        to_numpy(found), reference(BOXES), **TOLERANCES["float32"]
    )


def test_equal_boxes_have_half_the_weight_and_boxes_apart_nothing():
    found = to_numpy(box_overlap([[LEFT, LEFT], [LEFT, RIGHT]], weight=3.0))
    np.testing.assert_allclose(found, [1.5, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(to_numpy(box_overlap([[LEFT]])), [0.0])


def test_boxes_have_no_order_and_may_be_moved_together():
    expected = to_numpy(box_overlap(BOXES))
    moved = 0.5 * BOXES[:, [2, 0, 1]] + 0.25
    np.testing.assert_allclose(
        to_numpy(box_overlap(moved)), expected, rtol=1e-5
    )


def test_gradient():
    weights = np.array([0.5, -2.0])

    def value(boxes):
        values = box_overlap(boxes, weight=1.5)
        return ops.sum(ops.cast(weights, values.dtype) * values)

    check_gradient(value, BOXES, float32_on=("jax",))


def test_gradient_parts_boxes_and_ends_when_they_are_apart():
    def value(boxes):
        return ops.sum(box_overlap(boxes))

    (slopes,) = gradient(value, np.array([[LEFT, MIDDLE], [LEFT, RIGHT]]))
    # A step against the slope: the left box leaves to the left, the middle
    # one to the right.
    assert slopes[0, 0, 3] > 0 > slopes[0, 1, 1]
    np.testing.assert_array_equal(slopes[1], 0.0)


def test_centers_only_moves_without_changing_the_sides():
    def value(boxes, **options):
        return ops.sum(box_overlap(boxes, weight=1.5, **options))

    (free,) = gradient(value, BOXES)
    (moved,) = gradient(lambda boxes: value(boxes, centers_only=True), BOXES)
    # Both ends of a side get the mean of what they get otherwise.
    expected = np.tile((free[..., :2] + free[..., 2:]) / 2, 2)
    np.testing.assert_allclose(moved, expected, **TOLERANCES["float32"])
    assert not np.allclose(free, expected)
    np.testing.assert_allclose(
        to_numpy(box_overlap(BOXES, centers_only=True)),
        reference(BOXES),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize(
    "empty", [[0.5, 0.5, 0.5, 0.5], [0.6, 0.1, 0.4, 0.9], [0.6, 0.9, 0.4, 0.1]]
)
def test_empty_boxes_overlap_nothing(empty):
    boxes = np.array([[empty, empty], [empty, LEFT]])
    np.testing.assert_array_equal(to_numpy(box_overlap(boxes)), 0.0)
    (slopes,) = gradient(lambda boxes: ops.sum(box_overlap(boxes)), boxes)
    assert np.all(np.isfinite(slopes))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("jit", [False, True])
def test_unknown_sizes_and_jit(jit):
    import tensorflow as tf

    @tf.function(
        jit_compile=jit, input_signature=[tf.TensorSpec([None, None, 4])]
    )
    def loss(boxes):
        return box_overlap(boxes)

    np.testing.assert_allclose(
        loss(BOXES.astype("float32")), reference(BOXES), **TOLERANCES["float32"]
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    boxes = ops.cast(BOXES, dtype)
    found = box_overlap(boxes)
    assert ops.dtype(found) == "float32"
    np.testing.assert_allclose(
        to_numpy(found), reference(to_numpy(boxes)), **TOLERANCES["float32"]
    )


def test_errors():
    message = r"`boxes` must have shape .* \(batch, n, 4\).*\(3, 4\)"
    with pytest.raises(ValueError, match=message):
        box_overlap(BOXES[0])
    with pytest.raises(ValueError, match=r"Received: shape \(2, 3, 3\)"):
        box_overlap(BOXES[..., :3])
    with pytest.raises(ValueError, match="`weight` must be between 0"):
        box_overlap(BOXES, weight=-1.0)
