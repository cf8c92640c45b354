import numpy as np
import pytest
from keras import ops

from keras_fgvc.losses import box_area_penalty
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

RNG = np.random.default_rng(5)
LOW = RNG.uniform(0.0, 0.4, (2, 3, 2))
BOXES = np.concatenate([LOW, LOW + RNG.uniform(0.1, 0.5, (2, 3, 2))], axis=-1)
OBJECT = np.array([0.3, 0.7])


def reference(boxes, object_area, parts_per_object):
    values = np.zeros(len(boxes))
    for b, image in enumerate(boxes):
        for y_min, x_min, y_max, x_max in image:
            area = (y_max - y_min) * (x_max - x_min)
            ratio = area / (object_area[b] / parts_per_object)
            values[b] += np.log(ratio) ** 2 / len(image)
    return values


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


@pytest.mark.parametrize("parts_per_object", [4, 2.5])
def test_matches_a_loop(parts_per_object):
    @compiled
    def penalty(boxes, object_area):
        return box_area_penalty(
            object_area, boxes, parts_per_object=parts_per_object
        )

    found = penalty(
        ops.convert_to_tensor(BOXES, "float32"),
        ops.convert_to_tensor(OBJECT, "float32"),
    )
    np.testing.assert_allclose(
        to_numpy(found),
        reference(BOXES, OBJECT, parts_per_object),
        **TOLERANCES["float32"],
    )


def test_zero_at_the_area_of_a_part_and_alike_to_both_sides():
    part, empty = [0.0, 0.5, 0.25, 1.0], [0.6, 0.6, 0.4, 0.9]  # 1/8 and 0
    half, twice = [0.0, 0.5, 0.25, 0.75], [0.0, 0.5, 0.5, 1.0]
    boxes = [[part, part], [half, half], [twice, twice], [empty, empty]]
    found = to_numpy(box_area_penalty([0.5] * 4, boxes, parts_per_object=4))
    expected = [0.0, np.log(2) ** 2, np.log(2) ** 2, np.log(8e-6) ** 2]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_small_box_grows_back():
    """By sides that are exponentials, as a detector's are."""

    def value(log_side):
        half = ops.exp(log_side) / 2
        corners = [0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half]
        boxes = ops.reshape(ops.stack(corners, axis=-1), (1, 2, 4))
        return ops.sum(box_area_penalty([0.5], boxes, parts_per_object=4))

    (slopes,) = gradient(value, np.log([0.002, 0.9]))
    # 2 log(area / part) of each, by two sides and over two boxes
    expected = [2 * np.log(0.002**2 * 8), 2 * np.log(0.9**2 * 8)]
    np.testing.assert_allclose(slopes, expected, rtol=1e-3)


def test_only_the_ratio_of_areas_counts():
    expected = to_numpy(box_area_penalty(OBJECT, BOXES, parts_per_object=4))
    moved = 0.5 * BOXES[:, [2, 0, 1]] + 0.25
    np.testing.assert_allclose(
        to_numpy(box_area_penalty(OBJECT / 4, moved, parts_per_object=4)),
        expected,
        rtol=1e-5,
    )


def test_gradient():
    weights = np.array([0.5, -2.0])

    def value(boxes):
        values = box_area_penalty(OBJECT, boxes, parts_per_object=4)
        return ops.sum(ops.cast(weights, values.dtype) * values)

    check_gradient(value, BOXES, float32_on=("jax",))


def test_no_gradient_reaches_the_object():
    def value(boxes, object_area):
        return ops.sum(box_area_penalty(object_area, boxes, parts_per_object=4))

    to_boxes, to_object = gradient(value, BOXES, OBJECT)
    assert np.all(to_boxes != 0)
    np.testing.assert_array_equal(to_object, 0.0)


def test_no_object_counts_as_a_hundredth_of_the_image():
    found = to_numpy(box_area_penalty([0.0, 0.005], BOXES, parts_per_object=4))
    expected = to_numpy(
        box_area_penalty([0.01, 0.01], BOXES, parts_per_object=4)
    )
    np.testing.assert_array_equal(found, expected)
    (slopes,) = gradient(
        lambda boxes: ops.sum(
            box_area_penalty([0.0, 0.0], boxes, parts_per_object=4)
        ),
        BOXES,
    )
    assert np.all(np.isfinite(slopes))


def test_an_empty_box_has_no_gradient():
    empty = np.array([[[0.5, 0.5, 0.5, 0.5], [0.6, 0.7, 0.4, 0.5]]])
    (slopes,) = gradient(
        lambda boxes: ops.sum(
            box_area_penalty([0.5], boxes, parts_per_object=4)
        ),
        empty,
    )
    np.testing.assert_array_equal(slopes, 0.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    boxes, object_area = ops.cast(BOXES, dtype), ops.cast(OBJECT, dtype)
    found = box_area_penalty(object_area, boxes, parts_per_object=3)
    assert ops.dtype(found) == "float32"
    expected = reference(to_numpy(boxes), to_numpy(object_area), 3)
    np.testing.assert_allclose(
        to_numpy(found), expected, **TOLERANCES["float32"]
    )


def test_errors():
    with pytest.raises(ValueError, match=r"`boxes` must have shape .*n, 4"):
        box_area_penalty(OBJECT, BOXES[0], parts_per_object=4)
    message = r"`object_area` must have shape \(2,\), one an image.*\(2, 1\)"
    with pytest.raises(ValueError, match=message):
        box_area_penalty(OBJECT[:, None], BOXES, parts_per_object=4)
    with pytest.raises(
        ValueError, match=r"`parts_per_object` must be .* above 0"
    ):
        box_area_penalty(OBJECT, BOXES, parts_per_object=0)
