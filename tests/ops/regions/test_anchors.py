import math

import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import anchor_boxes, box_area, decode_boxes
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

RNG = np.random.default_rng(7)


def reference_anchors(height, width, cells, scales, ratios):
    boxes = []
    for row in range(height):
        for column in range(width):
            y, x = (row + 0.5) / height, (column + 0.5) / width
            for scale in scales:
                for ratio in ratios:
                    h = cells * scale * math.sqrt(ratio) / height
                    w = cells * scale / math.sqrt(ratio) / width
                    boxes.append([y - h / 2, x - w / 2, y + h / 2, x + w / 2])
    return boxes


def reference_decode(delta, anchor):
    """One box, everything clipped as the docstring says."""
    h, w = anchor[2] - anchor[0], anchor[3] - anchor[1]
    y = (anchor[0] + anchor[2]) / 2 + delta[0] * h
    x = (anchor[1] + anchor[3]) / 2 + delta[1] * w
    y, x = min(max(y, 0), 1), min(max(x, 0), 1)
    h = h * math.exp(min(delta[2], math.log(62.5)))
    w = w * math.exp(min(delta[3], math.log(62.5)))
    sides = [y - h / 2, x - w / 2, y + h / 2, x + w / 2]
    return [min(max(side, 0), 1) for side in sides]


def random_anchors(count):
    """Inside the image, away from its border."""
    center = RNG.uniform(0.4, 0.6, (count, 2))
    half = RNG.uniform(0.05, 0.1, (count, 2))
    return np.concatenate([center - half, center + half], axis=-1)


def test_anchors_match_loops():
    options = {"cells": 2.5, "scales": (1.0, 3.0), "ratios": (0.25, 1.0, 5.0)}
    result = anchor_boxes(5, 3, **options)
    assert ops.dtype(result) == "float32"
    assert result.shape == (5 * 3 * 2 * 3, 4)
    np.testing.assert_allclose(
        ops.convert_to_numpy(result),
        reference_anchors(5, 3, **options),
        **TOLERANCES["float32"],
    )


def test_anchors_of_a_share_of_the_image_match_loops():
    options = {"scales": (1.0, 3.0), "ratios": (0.25, 1.0, 5.0)}
    for height, width in ((5, 3), (10, 6)):
        expected = []
        for row in range(height):
            for column in range(width):
                y, x = (row + 0.5) / height, (column + 0.5) / width
                for scale in options["scales"]:
                    for ratio in options["ratios"]:
                        h = 0.3 * scale * math.sqrt(ratio) / 2
                        w = 0.3 * scale / math.sqrt(ratio) / 2
                        expected.append([y - h, x - w, y + h, x + w])
        result = anchor_boxes(height, width, side=0.3, **options)
        np.testing.assert_allclose(
            ops.convert_to_numpy(result), expected, **TOLERANCES["float32"]
        )


def test_shares_of_the_image_equal_six_cells_at_448_pixels():
    for cells, side in ((56, 3 / 28), (28, 3 / 14), (14, 3 / 7)):
        np.testing.assert_allclose(
            ops.convert_to_numpy(anchor_boxes(cells, cells, side=side)),
            ops.convert_to_numpy(anchor_boxes(cells, cells)),
            **TOLERANCES["float32"],
        )


def test_anchors_of_the_size_of_a_tensor():
    features = ops.ones((2, 5, 3, 7))

    def fn(features):
        _, height, width, _ = ops.shape(features)
        as_tensors = (
            ops.convert_to_tensor(x, "int32") for x in (height, width)
        )
        return anchor_boxes(*as_tensors)

    # JAX compiles for known sizes only.
    result = ops.convert_to_numpy(fn(features))
    np.testing.assert_array_equal(
        result, ops.convert_to_numpy(anchor_boxes(5, 3))
    )


def test_defaults_at_448_pixels():
    levels = [
        ops.convert_to_numpy(anchor_boxes(448 // stride, 448 // stride))
        for stride in (8, 16, 32)
    ]
    boxes = np.concatenate(levels)
    assert len(boxes) == (56 * 56 + 28 * 28 + 14 * 14) * 9 == 37044
    sides = 448 * (boxes[:, 2:] - boxes[:, :2])  # pixels
    # 48 * sqrt(2/3) up to 192 * 2^(2/3) * sqrt(3/2), both ways
    np.testing.assert_allclose(sides.min(axis=0), 39.1918, rtol=1e-4)
    np.testing.assert_allclose(sides.max(axis=0), 373.2755, rtol=1e-4)
    squares = [448 * (level[1, 2] - level[1, 0]) for level in levels]
    np.testing.assert_allclose(squares, [48, 96, 192], rtol=1e-5)


def test_anchors_of_a_scale_have_one_area_and_are_not_clipped():
    boxes = anchor_boxes(7, 7, scales=(1.0, 2.0), ratios=(0.5, 1.0, 3.0))
    areas = ops.convert_to_numpy(box_area(boxes)).reshape(7, 7, 2, 3)
    scale = np.array([1.0, 4.0]).reshape(2, 1)
    np.testing.assert_allclose(areas / scale, 36 / 49, rtol=1e-5)
    boxes = ops.convert_to_numpy(boxes)
    assert boxes.min() < 0
    assert boxes.max() > 1


def test_decoding_matches_loops():
    anchors = RNG.uniform(-0.2, 1.2, (11, 2, 2))
    anchors = np.sort(anchors, axis=1).reshape(11, 4)
    deltas = RNG.normal(size=(2, 11, 4)) * [3, 3, 5, 5]  # many are clipped
    expected = [
        [reference_decode(d, a) for d, a in zip(image, anchors, strict=True)]
        for image in deltas
    ]
    result = compiled(decode_boxes)(
        ops.convert_to_tensor(deltas, "float32"),
        ops.convert_to_tensor(anchors, "float32"),
    )
    assert ops.dtype(result) == "float32"
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), expected, **TOLERANCES["float32"]
    )


def test_zeros_leave_the_anchor_clipped_to_the_image():
    anchors = ops.convert_to_numpy(anchor_boxes(3, 5))
    result = decode_boxes(np.zeros((1, len(anchors), 4), "float32"), anchors)
    np.testing.assert_allclose(
        ops.convert_to_numpy(result)[0],
        np.clip(anchors, 0, 1),
        **TOLERANCES["float32"],
    )


def test_a_box_is_the_same_from_any_anchor():
    anchors, boxes = random_anchors(5), random_anchors(5)
    sides = anchors[:, 2:] - anchors[:, :2]
    away = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    growth = np.log((boxes[:, 2:] - boxes[:, :2]) / sides)
    deltas = np.concatenate([away / sides, growth], axis=1)[None]
    np.testing.assert_allclose(
        ops.convert_to_numpy(decode_boxes(deltas, anchors))[0],
        boxes,
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("far", [-1e3, 1e3])
def test_a_box_sent_out_of_the_image_is_not_empty(far):
    anchors = random_anchors(5)
    deltas = np.zeros((1, 5, 4), "float32")
    deltas[..., :2] = far
    boxes = ops.convert_to_numpy(decode_boxes(deltas, anchors))[0]
    sides = anchors[:, 2:] - anchors[:, :2]
    expected = sides.prod(axis=-1) / 4  # the half inside, both ways
    np.testing.assert_allclose(
        ops.convert_to_numpy(box_area(boxes)), expected, rtol=1e-4
    )
    assert boxes.min() >= 0
    assert boxes.max() <= 1


def test_growth_is_cut():
    anchors = np.array([[0.5, 0.5, 0.501, 0.502]])
    deltas = np.array([[[0.0, 0.0, 1e4, 1e4]]], "float32")
    result = ops.convert_to_numpy(decode_boxes(deltas, anchors))[0, 0]
    half = np.array([0.001, 0.002]) * 62.5 / 2
    center = np.array([0.5005, 0.501])
    expected = np.concatenate([center - half, center + half])
    np.testing.assert_allclose(result, expected, rtol=1e-4)


def test_gradient_of_decoding():
    anchors = random_anchors(5)
    deltas = RNG.uniform(-0.3, 0.3, (2, 5, 4))
    weights = RNG.normal(size=(2, 5, 4))

    def loss(deltas, anchors):
        boxes = decode_boxes(deltas, anchors)
        return ops.sum(boxes * ops.convert_to_tensor(weights))

    check_gradient(loss, deltas, anchors)


def test_finite_gradient_of_absurd_deltas():
    anchors = random_anchors(3)
    for value in (-1e4, 0.0, 1e4):
        deltas = np.full((1, 3, 4), value, "float32")
        (result,) = gradient(
            lambda deltas: ops.sum(decode_boxes(deltas, anchors)), deltas
        )
        assert np.isfinite(result).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_decoded_in_float32(dtype):
    anchors = random_anchors(5).astype("float32")
    deltas = ops.cast(RNG.uniform(-0.3, 0.3, (2, 5, 4)), dtype)
    result = decode_boxes(deltas, anchors)
    assert ops.dtype(result) == "float32"
    np.testing.assert_allclose(
        ops.convert_to_numpy(result),
        ops.convert_to_numpy(
            decode_boxes(ops.cast(deltas, "float32"), anchors)
        ),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": 0.0}, "`cells` must be a positive number.*cells=0.0"),
        ({"cells": None}, "`cells` must be a positive number"),
        ({"scales": ()}, "`scales` must be positive numbers.*scales=()"),
        ({"scales": 2.0}, "`scales` must be positive numbers"),
        ({"ratios": (1.0, -1.0)}, "`ratios` must be positive numbers"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        anchor_boxes(2, 3, **options)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`height` must be at least 1"):
        anchor_boxes(0, 3)
    with pytest.raises(ValueError, match="`width` must be at least 1"):
        anchor_boxes(3, 0)
    deltas, anchors = np.zeros((1, 3, 4)), np.zeros((3, 4))
    with pytest.raises(ValueError, match="`deltas` must have 3 axes"):
        decode_boxes(deltas[0], anchors)
    with pytest.raises(ValueError, match="`anchors` must have 2 axes"):
        decode_boxes(deltas, anchors[None])
