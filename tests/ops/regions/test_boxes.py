import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import box_area, box_iou, non_max_suppression
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")


def reference_iou(a, b):
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(height, 0) * max(width, 0)
    areas = [
        max(box[2] - box[0], 0) * max(box[3] - box[1], 0) for box in (a, b)
    ]
    union = sum(areas) - shared
    return shared / union if union > 0 else 0.0


def reference_nms(boxes, scores, max_boxes, iou_threshold):
    chosen = []
    for i in np.argsort(-scores, kind="stable"):
        overlaps = [reference_iou(boxes[i], boxes[j]) for j in chosen]
        free = all(overlap <= iou_threshold for overlap in overlaps)
        if free and scores[i] > -np.inf and len(chosen) < max_boxes:
            chosen.append(i)
    missing = max_boxes - len(chosen)
    return chosen + [0] * missing, [True] * len(chosen) + [False] * missing


def random_boxes(*shape, seed=3):
    generator = np.random.default_rng(seed)
    corners = np.sort(generator.uniform(size=(*shape, 2, 2)), axis=-2)
    return corners.reshape(*shape, 4)


def test_area():
    boxes = random_boxes(2, 5).astype("float32")
    expected = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    result = ops.convert_to_numpy(box_area(boxes))
    np.testing.assert_allclose(result, expected, **TOLERANCES["float32"])


def test_empty_boxes_have_no_area():
    boxes = [[0.5, 0.2, 0.5, 0.9], [0.8, 0.2, 0.1, 0.9], [0.8, 0.9, 0.1, 0.2]]
    np.testing.assert_array_equal(ops.convert_to_numpy(box_area(boxes)), 0.0)


@pytest.mark.parametrize("columns", [3, 5])
def test_a_box_has_four_numbers(columns):
    boxes = np.zeros((2, 3, columns), "float32")
    whole = np.zeros((2, 3, 4), "float32")
    for call in (
        lambda: box_area(boxes),
        lambda: box_iou(boxes, whole),
        lambda: box_iou(whole, boxes),
        lambda: non_max_suppression(boxes, np.zeros((2, 3)), 1, 0.5),
    ):
        with pytest.raises(ValueError, match=rf"{columns}\)"):
            call()


def test_of_equal_scores_the_first_is_chosen():
    boxes = np.zeros((2, 97, 4), "float32")  # empty: nothing overlaps
    indices, valid = non_max_suppression(boxes, np.ones((2, 97)), 5, 0.5)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(indices), [[0, 1, 2, 3, 4]] * 2
    )
    assert ops.convert_to_numpy(valid).all()


def test_iou_matches_double_loop():
    boxes, others = random_boxes(2, 5), random_boxes(2, 7, seed=4)
    expected = [
        [[reference_iou(a, b) for b in others[image]] for a in boxes[image]]
        for image in range(2)
    ]
    result = ops.convert_to_numpy(box_iou(boxes, others))
    np.testing.assert_allclose(result, expected, **TOLERANCES["float32"])


def test_iou_of_a_box_with_itself_is_one():
    boxes = random_boxes(2, 5)
    diagonal = np.einsum("bii->bi", ops.convert_to_numpy(box_iou(boxes, boxes)))
    np.testing.assert_allclose(diagonal, 1.0, **TOLERANCES["float32"])


def test_iou_of_empty_boxes_is_zero():
    boxes = np.array(
        [
            [
                [0.5, 0.2, 0.5, 0.9],
                [0.8, 0.2, 0.1, 0.9],
                [0.8, 0.9, 0.1, 0.2],
                [0.0, 0.0, 0.0, 0.0],
            ]
        ]
    )
    whole = np.array([[[0.0, 0.0, 1.0, 1.0]]])
    others = np.concatenate([boxes, whole], axis=1)
    result = ops.convert_to_numpy(box_iou(boxes, others))
    np.testing.assert_array_equal(result, 0.0)


def test_gradient_of_iou():
    boxes, others = random_boxes(2, 3), random_boxes(2, 5, seed=4)
    weights = np.random.default_rng(1).normal(size=(2, 3, 5))

    def loss(boxes, others):
        return ops.sum(box_iou(boxes, others) * ops.convert_to_tensor(weights))

    check_gradient(loss, boxes, others)


def test_finite_gradient_of_empty_boxes():
    (result,) = gradient(
        lambda boxes: ops.sum(box_iou(boxes, boxes)), np.zeros((2, 3, 4))
    )
    assert np.isfinite(result).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    boxes = random_boxes(2, 5)
    half = ops.cast(boxes, dtype)
    result = box_iou(half, half)
    assert ops.dtype(result) == ops.dtype(box_area(half)) == "float32"
    # A side of 0.05 is known to a few percent only.
    np.testing.assert_allclose(
        ops.convert_to_numpy(result),
        ops.convert_to_numpy(box_iou(boxes, boxes)),
        atol=5 * TOLERANCES[dtype]["atol"],
    )


@pytest.mark.parametrize(
    ("iou_threshold", "max_boxes"), [(0.0, 14), (0.25, 5), (0.6, 7), (1.0, 1)]
)
def test_nms_matches_greedy_search(iou_threshold, max_boxes):
    boxes = random_boxes(3, 13).astype("float32")
    scores = np.random.default_rng(1).normal(size=(3, 13)).astype("float32")
    scores[1, 2:] = -np.inf  # two candidates left

    def fn(boxes, scores):
        return non_max_suppression(boxes, scores, max_boxes, iou_threshold)

    indices, valid = compiled(fn)(
        ops.convert_to_tensor(boxes), ops.convert_to_tensor(scores)
    )
    assert ops.dtype(indices) == "int32"
    assert ops.dtype(valid) == "bool"
    for image in range(3):
        expected = reference_nms(
            boxes[image], scores[image], max_boxes, iou_threshold
        )
        np.testing.assert_array_equal(
            ops.convert_to_numpy(indices)[image], expected[0]
        )
        np.testing.assert_array_equal(
            ops.convert_to_numpy(valid)[image], expected[1]
        )


def degenerate_boxes(generator, count):
    """Corners on a coarse grid, in any order: half of them hold nothing."""
    grid = generator.integers(0, 5, (count, 4)) / 4
    special = [
        [0.0, 0.0, 0.0, 0.0],  # of no size, twice
        [0.0, 0.0, 0.0, 0.0],
        [0.25, 0.5, 0.25, 0.75],  # a line
        [0.75, 0.75, 0.25, 0.25],  # inverted both ways, so of positive product
        [0.25, 0.75, 0.5, 0.25],  # inverted one way
        [0.0, 0.0, 0.5, 0.5],  # three that touch
        [0.0, 0.5, 0.5, 1.0],
        [0.5, 0.0, 1.0, 0.5],
        [0.0, 0.0, 1.0, 1.0],  # identical, twice
        [0.0, 0.0, 1.0, 1.0],
    ]
    return generator.permutation(np.concatenate([grid, special]))


@pytest.mark.parametrize("iou_threshold", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_nms_of_degenerate_boxes_matches_greedy_search(seed, iou_threshold):
    generator = np.random.default_rng(seed)
    boxes = degenerate_boxes(generator, 13).astype("float32")
    scores = generator.permutation(len(boxes)).astype("float32")
    scores[generator.choice(len(boxes), 5, replace=False)] = -np.inf
    indices, valid = non_max_suppression(
        boxes[None], scores[None], len(boxes), iou_threshold
    )
    expected = reference_nms(boxes, scores, len(boxes), iou_threshold)
    np.testing.assert_array_equal(ops.convert_to_numpy(indices)[0], expected[0])
    np.testing.assert_array_equal(ops.convert_to_numpy(valid)[0], expected[1])


@pytest.mark.parametrize("seed", range(5))
def test_nms_of_equal_scores_keeps_the_same_set(seed):
    """Among boxes far apart, each drawn up to three times."""
    generator = np.random.default_rng(seed)
    cells = np.array(
        [[y, x, y + 0.25, x + 0.25] for y in (0, 0.25, 0.5) for x in (0, 0.5)]
    )
    boxes = np.concatenate([cells, cells[:4], cells[:2]]).astype("float32")
    boxes = generator.permutation(boxes)
    scores = np.full(len(boxes), 0.5, "float32")
    scores[generator.choice(len(boxes), 3, replace=False)] = -np.inf
    indices, valid = non_max_suppression(
        boxes[None], scores[None], len(boxes), 0.25
    )
    chosen, found = reference_nms(boxes, scores, len(boxes), 0.25)
    np.testing.assert_array_equal(ops.convert_to_numpy(valid)[0], found)
    kept = ops.convert_to_numpy(indices)[0][found]
    # Which of two identical boxes it is, backends may answer differently.
    expected = sorted(map(tuple, boxes[np.array(chosen)[found]]))
    assert sorted(map(tuple, boxes[kept])) == expected


def test_nms_of_scores_all_minus_infinity_finds_nothing():
    boxes = random_boxes(2, 5).astype("float32")
    scores = np.full((2, 5), -np.inf, "float32")
    indices, valid = non_max_suppression(boxes, scores, 3, 0.25)
    np.testing.assert_array_equal(ops.convert_to_numpy(indices), 0)
    assert not ops.convert_to_numpy(valid).any()


def test_nms_chooses_no_box_twice():
    # Empty boxes overlap nothing, not even themselves.
    indices, valid = non_max_suppression(
        np.zeros((1, 3, 4)), np.array([[0.1, 0.3, 0.2]]), 5, 0.25
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(indices), [[1, 2, 0, 0, 0]]
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(valid), [[True, True, True, False, False]]
    )


def test_nms_scale_of_scores_does_not_matter():
    boxes = random_boxes(3, 13)
    scores = np.random.default_rng(1).normal(size=(3, 13))
    first, _ = non_max_suppression(boxes, scores, 5, 0.25)
    second, _ = non_max_suppression(boxes, 10 * scores - 100, 5, 0.25)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(first), ops.convert_to_numpy(second)
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_nms_half_precision(dtype):
    boxes = np.array([[[0.0, 0.0, 1.0, 0.5], [0.0, 0.0, 1.0, 0.6]]])
    scores = ops.cast(np.array([[0.25, 0.75]]), dtype)
    indices, valid = non_max_suppression(ops.cast(boxes, dtype), scores, 2, 0.5)
    np.testing.assert_array_equal(ops.convert_to_numpy(indices), [[1, 0]])
    np.testing.assert_array_equal(ops.convert_to_numpy(valid), [[True, False]])


def test_wrong_arguments():
    boxes, scores = np.zeros((1, 3, 4)), np.zeros((1, 3))
    with pytest.raises(ValueError, match="`max_boxes` must be at least 1"):
        non_max_suppression(boxes, scores, 0, 0.25)
    with pytest.raises(ValueError, match="`iou_threshold` must be between"):
        non_max_suppression(boxes, scores, 2, 25)
    with pytest.raises(ValueError, match="`scores` must have 2 axes"):
        non_max_suppression(boxes, scores[..., None], 2, 0.25)
    with pytest.raises(ValueError, match="`boxes` must have shape"):
        box_iou(boxes[0], boxes)
    with pytest.raises(ValueError, match="`others` must have shape"):
        box_iou(boxes, boxes[0])
