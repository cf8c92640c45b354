import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.ops import gather_windows, roi_align, window_boxes
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

HEIGHT, WIDTH = 5, 7
RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(2, HEIGHT, WIDTH, 3)).astype("float32")
# Every cell of the map, in another order for each image.
CELLS = np.stack(np.indices((HEIGHT, WIDTH)), -1).reshape(-1, 2)
LOCATIONS = np.stack([CELLS, RNG.permutation(CELLS)]).astype("int32")


def to_numpy(tensor):
    return ops.convert_to_numpy(tensor)


def reference_start(center, size, length):
    """Moves the window cell by cell until it is inside."""
    start = center - size // 2
    while start < 0:
        start += 1
    while start + size > length:
        start -= 1
    return start


def reference(features, locations, size):
    """Boxes in cells, (b, s, 4), and what is in them, (b, s, r, r, c)."""
    batch, samples, _ = locations.shape
    boxes = np.zeros((batch, samples, 4))
    windows = np.zeros((batch, samples, size, size, features.shape[-1]))
    for b, s in np.ndindex(batch, samples):
        row, column = locations[b, s]
        top = reference_start(row, size, features.shape[1])
        left = reference_start(column, size, features.shape[2])
        boxes[b, s] = top, left, top + size, left + size
        for i, j in np.ndindex(size, size):
            windows[b, s, i, j] = features[b, top + i, left + j]
    return boxes, windows


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_boxes_and_windows_match_a_loop(size):
    expected_boxes, expected = reference(FEATURES, LOCATIONS, size)

    def fn(features, locations):
        boxes = window_boxes(locations, size, (HEIGHT, WIDTH))
        return boxes, gather_windows(features, locations, size)

    boxes, windows = compiled(fn)(
        ops.convert_to_tensor(FEATURES), ops.convert_to_tensor(LOCATIONS)
    )
    assert ops.dtype(boxes) == "float32"
    np.testing.assert_allclose(
        to_numpy(boxes),
        expected_boxes / [HEIGHT, WIDTH, HEIGHT, WIDTH],
        **TOLERANCES["float32"],
    )
    np.testing.assert_array_equal(to_numpy(windows), expected.astype("float32"))


def test_windows_that_fit_are_centred():
    boxes = to_numpy(window_boxes([[[2, 3]]], 3, (HEIGHT, WIDTH)))
    cells = boxes * [HEIGHT, WIDTH, HEIGHT, WIDTH]
    np.testing.assert_allclose(cells, [[[1, 2, 4, 5]]], rtol=1e-6)
    boxes = to_numpy(window_boxes([[[2, 3]]], 4, (HEIGHT, WIDTH)))
    cells = boxes * [HEIGHT, WIDTH, HEIGHT, WIDTH]
    np.testing.assert_allclose(cells, [[[0, 1, 4, 5]]], rtol=1e-6)


def test_a_window_of_the_whole_map_is_the_map():
    features = FEATURES[:, :, :5].copy()
    locations = LOCATIONS[:, :11] % 5
    windows = to_numpy(gather_windows(features, locations, 5))
    expected = np.repeat(features[:, None], 11, axis=1)
    np.testing.assert_array_equal(windows, expected)
    boxes = to_numpy(window_boxes(locations, 5, (5, 5)))
    np.testing.assert_array_equal(boxes, np.tile([0, 0, 1, 1], (2, 11, 1)))


def test_boxes_reach_exactly_from_edge_to_edge():
    """A part of the image, cut out by its box, loses no pixel."""
    boxes = to_numpy(window_boxes(LOCATIONS, 3, (HEIGHT, WIDTH)))
    assert boxes.min() == 0.0
    assert boxes.max() == 1.0


def test_windows_are_what_roi_align_finds_in_the_boxes():
    boxes = window_boxes(LOCATIONS, 3, (HEIGHT, WIDTH))
    align = compiled(lambda x, boxes: roi_align(x, boxes, (3, 3), samples=1))
    np.testing.assert_allclose(
        to_numpy(gather_windows(FEATURES, LOCATIONS, 3)),
        to_numpy(align(ops.convert_to_tensor(FEATURES), boxes)),
        **TOLERANCES["float32"],
    )


def test_flipping_the_map_flips_the_windows():
    """Windows of odd size only: an even one has no cell in its middle."""
    mirrored = LOCATIONS * [1, -1] + [0, WIDTH - 1]
    windows = gather_windows(FEATURES[:, :, ::-1].copy(), mirrored, 3)
    np.testing.assert_array_equal(
        to_numpy(windows)[:, :, :, ::-1],
        to_numpy(gather_windows(FEATURES, LOCATIONS, 3)),
    )


def test_gradient():
    locations = LOCATIONS[:, ::5]
    weights = RNG.normal(size=(2, 7, 2, 2, 3))

    def loss(features):
        windows = gather_windows(features, locations, 2)
        return ops.sum(windows * ops.convert_to_tensor(weights))

    check_gradient(loss, FEATURES)


def test_gradient_counts_the_windows_over_each_cell():
    def total(features):
        return ops.sum(gather_windows(features, LOCATIONS, 3))

    (found,) = gradient(total, FEATURES)
    expected = np.zeros(FEATURES.shape)
    boxes, _ = reference(FEATURES, LOCATIONS, 3)
    for b, s in np.ndindex(boxes.shape[:2]):
        top, left, bottom, right = boxes[b, s].astype(int)
        expected[b, top:bottom, left:right] += 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32"])
def test_other_dtypes_are_copied(dtype):
    features = ops.cast(8 * FEATURES, dtype)
    windows = gather_windows(features, LOCATIONS, 3)
    assert ops.dtype(windows) == dtype
    features = to_numpy(ops.cast(features, "float32"))
    _, expected = reference(features, LOCATIONS, 3)
    np.testing.assert_array_equal(
        to_numpy(ops.cast(windows, "float32")), expected
    )


def test_map_size_may_be_tensors():
    size = ops.convert_to_tensor(HEIGHT), ops.convert_to_tensor(WIDTH)
    np.testing.assert_array_equal(
        to_numpy(window_boxes(LOCATIONS, 4, size)),
        to_numpy(window_boxes(LOCATIONS, 4, (HEIGHT, WIDTH))),
    )


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("jit", [False, True])
def test_unknown_sizes_and_jit(jit):
    import tensorflow as tf

    # XLA compiles for the sizes it is called with.
    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, None, None, 3]),
            tf.TensorSpec([None, None, 2], "int32"),
        ],
        jit_compile=jit,
    )
    def fn(features, locations):
        _, height, width, _ = ops.shape(features)
        boxes = window_boxes(locations, 3, (height, width))
        with tf.GradientTape() as tape:
            tape.watch(features)
            windows = gather_windows(features, locations, 3)
        slopes = tape.gradient(windows, features)
        return boxes, windows, tf.convert_to_tensor(slopes)

    boxes, windows, slopes = fn(FEATURES, LOCATIONS)
    np.testing.assert_allclose(
        boxes,
        window_boxes(LOCATIONS, 3, (HEIGHT, WIDTH)),
        **TOLERANCES["float32"],
    )
    _, expected = reference(FEATURES, LOCATIONS, 3)
    np.testing.assert_array_equal(windows, expected.astype("float32"))
    (expected,) = gradient(
        lambda x: ops.sum(gather_windows(x, LOCATIONS, 3)), FEATURES
    )
    np.testing.assert_array_equal(slopes, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: gather_windows(FEATURES, LOCATIONS, 6),
            r"`region_size` must be at most the height of the map \(5\). "
            "Received: region_size=6",
        ),
        (
            lambda: window_boxes(LOCATIONS, 6, (7, 5)),
            r"`region_size` must be at most the width of the map \(5\). "
            "Received: region_size=6",
        ),
        (
            lambda: gather_windows(FEATURES, LOCATIONS, 0),
            "`region_size` must be at least 1",
        ),
        (
            lambda: window_boxes(LOCATIONS, 0, (5, 7)),
            "`region_size` must be at least 1",
        ),
        (
            lambda: window_boxes(LOCATIONS, 3, 7),
            r"`map_size` must be a pair \(height, width\). "
            "Received: map_size=7",
        ),
        (
            lambda: window_boxes(LOCATIONS[0], 3, (5, 7)),
            r"`locations` must have shape \(None, None, 2\).*\(35, 2\)",
        ),
        (
            lambda: gather_windows(FEATURES[0], LOCATIONS, 3),
            "`features` must have 4 axes",
        ),
        (
            lambda: gather_windows(FEATURES, LOCATIONS[:1], 3),
            r"`locations` must have shape \(2, None, 2\).*\(1, 35, 2\)",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_region_size_must_be_an_integer():
    message = r"`region_size` must be an integer.*region_size=2\.5"
    with pytest.raises(TypeError, match=message):
        gather_windows(FEATURES, LOCATIONS, 2.5)
    with pytest.raises(TypeError, match=message):
        window_boxes(LOCATIONS, 2.5, (5, 7))
