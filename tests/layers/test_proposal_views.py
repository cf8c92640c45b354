import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import ProposalViews
from tests.gradients import gradient
from tests.ops.regions.test_isolation import reference as isolate
from tests.ops.test_blur import reference as blur
from tests.tolerances import TOLERANCES
from tests.two_replicas import check_answer

RNG = np.random.default_rng(7)
IMAGES = RNG.uniform(0, 255, (2, 7, 11, 3)).astype("float32")
BOXES = np.float32(
    [
        [[0, 0, 0.6, 0.5], [0.3, 0.2, 1, 0.7], [0.1, 0.8, 0.4, 1]],
        [[0, 0, 0.5, 0.3], [0.5, 0, 1, 0.3], [0.2, 0.5, 0.8, 0.9]],
    ]
)
# The views of an empty box: noise over the whole image, and again.
NOTHING = np.float32([[[0, 0, 0, 0], [0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5]]])
GRAY = np.full((3, 61, 53, 3), 128, "float32")


def noise_of(layer, images=GRAY, **options):
    boxes = np.repeat(NOTHING, len(images), axis=0)
    return to_numpy(layer([images, boxes], **options))[:, 0] - images


@pytest.mark.parametrize("blur_sigma", [0, 0.2])
def test_without_noise_against_loops(blur_sigma):
    layer = ProposalViews(noise_stddev=0, blur_sigma=blur_sigma)
    blurred = blur(IMAGES, 7 * blur_sigma) if blur_sigma else IMAGES
    expected = isolate(IMAGES, BOXES, 0 * IMAGES, blurred)
    for training in (False, True):
        np.testing.assert_allclose(
            to_numpy(layer([IMAGES, BOXES], training=training)),
            expected,
            rtol=1e-4,
        )


def test_noise_lies_on_the_other_boxes_alone():
    clear = ProposalViews(noise_stddev=0)
    noisy = ProposalViews(noise_stddev=1.0)
    images = IMAGES / 2 + 60  # away from the ends of the range
    views = [to_numpy(layer([images, BOXES])) for layer in (clear, noisy)]
    gray = np.full_like(images, 128)
    expected = isolate(gray, BOXES, noise_of(noisy, images), gray) - 128
    assert {0.0} < set(expected.ravel())
    np.testing.assert_allclose(views[1] - views[0], expected, atol=1e-3)


@pytest.mark.parametrize("training", [False, True])
def test_noise_is_normal_and_the_same_in_all_views(training):
    layer = ProposalViews(noise_stddev=17.0, seed=3)
    boxes = np.repeat(NOTHING, 3, axis=0)
    views = to_numpy(layer([GRAY, boxes], training=training))
    np.testing.assert_array_equal(views[:, 0], views[:, 2])
    np.testing.assert_array_equal(views[:, 1], GRAY)
    noise = (views[0, 0] - 128) / 17
    error = 5 / np.sqrt(noise.size)
    assert abs(noise.mean()) < error
    assert abs(noise.std() - 1) < error
    assert abs(np.mean(np.abs(noise) < 1) - 0.6827) < error
    neighbours = np.mean(noise[1:] * noise[:-1])
    colours = np.mean(noise[..., 1:] * noise[..., :-1])
    assert max(abs(neighbours), abs(colours)) < error


def test_defaults_are_heavy():
    layer = ProposalViews()
    assert 55 < noise_of(layer).std() < 64  # 64 before it is cut off
    step = np.zeros((1, 100, 300, 1), "float32")
    step[:, :, 150:] = 255
    views = to_numpy(layer([step, NOTHING[:, :1]]))
    # 3 pixels, a share of the height: the normal distribution at 2.5 / 3.
    np.testing.assert_allclose(views[0, 0, 50, 152, 0] / 255, 0.798, atol=2e-3)


def test_the_same_image_has_the_same_views_in_inference():
    layer = ProposalViews(seed=3)
    both = to_numpy(layer([IMAGES, BOXES]))
    state = to_numpy(layer.seed_generator.state)
    layer([IMAGES, BOXES], training=True)
    moved = to_numpy(layer.seed_generator.state)
    assert not np.array_equal(state, moved)
    again = to_numpy(layer([IMAGES[::-1], BOXES[::-1]], training=False))
    # The place in a batch may change the rounding, on PyTorch.
    np.testing.assert_allclose(again[::-1], both, **TOLERANCES["float32"])
    alone = to_numpy(layer([IMAGES[1:], BOXES[1:]]))
    np.testing.assert_allclose(alone, both[1:], **TOLERANCES["float32"])
    np.testing.assert_array_equal(to_numpy(layer.seed_generator.state), moved)
    assert not np.allclose(
        to_numpy(ProposalViews(seed=4)([IMAGES, BOXES])), both
    )


def test_training_draws_anew_for_each_image_and_call():
    layer = ProposalViews(noise_stddev=9.0, seed=3)
    (state,) = (v for v in layer.variables if v.name == "seed_generator_state")
    first = to_numpy(state)
    noise = noise_of(layer, training=True)
    assert not np.allclose(noise[0], noise[1])
    assert not np.allclose(noise_of(layer, training=True), noise)
    state.assign(first)
    np.testing.assert_array_equal(noise_of(layer, training=True), noise)
    for seed in (3, 4):
        layer = ProposalViews(noise_stddev=9.0, seed=seed)
        same = np.array_equal(noise_of(layer, training=True), noise)
        assert same == (seed == 3)


def test_a_graph_trains_and_predicts():
    inputs = [keras.Input((None, None, 3)), keras.Input((None, 4))]
    output = ProposalViews(seed=3)(inputs)
    assert output.shape == (None, None, None, None, 3)
    model = keras.Model(inputs, output)
    np.testing.assert_allclose(
        model.predict([IMAGES, BOXES], verbose=0),
        to_numpy(ProposalViews(seed=3)([IMAGES, BOXES])),
        rtol=1e-4,
        atol=1e-3,
    )
    drawn = [to_numpy(model([IMAGES, BOXES], training=True)) for _ in range(2)]
    assert not np.allclose(*drawn)


def test_integer_images():
    pixels = IMAGES.astype("uint8")
    np.testing.assert_array_equal(
        to_numpy(ProposalViews()([pixels, BOXES])),
        to_numpy(ProposalViews()([pixels.astype("float32"), BOXES])),
    )


def test_no_gradient_reaches_the_boxes():
    layer = ProposalViews()

    def total(images, boxes):
        nothing = 0.0 * keras.ops.sum(boxes)
        return keras.ops.sum(layer([images, boxes])) + nothing

    to_images, to_boxes = gradient(total, IMAGES, BOXES)
    np.testing.assert_array_equal(to_boxes, 0)
    assert np.any(to_images != 0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    """Rounded, the box would begin on a column's centre and not behind it."""
    images = np.tile(IMAGES, (1, 1, 20, 1))[:, :, :128]
    boxes = np.float32(2 * [[[0, 64.5 / 128 + 1e-5, 1, 1]]])
    options = {"blur_sigma": 0.5}
    views = ProposalViews(**options, dtype=f"mixed_{dtype}")([images, boxes])
    assert keras.ops.dtype(views) == dtype
    exact = ProposalViews(**options)([images, boxes])
    np.testing.assert_array_equal(
        to_numpy(keras.ops.cast(views, "float32")),
        to_numpy(keras.ops.cast(keras.ops.cast(exact, dtype), "float32")),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_stddev": -1.0}, "`noise_stddev` must be between 0"),
        ({"blur_sigma": 13}, "`blur_sigma` must be between 0.0 and 1.0"),
        ({"seed": -1}, "`seed` must be at least 0"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        ProposalViews(**options)


def test_wrong_inputs():
    with pytest.raises(TypeError, match="`seed` must be an integer"):
        ProposalViews(seed=None)
    with pytest.raises(ValueError, match="`images` must have 4 axes"):
        ProposalViews()([keras.Input((7, 3)), keras.Input((3, 4))])
    with pytest.raises(ValueError, match="`boxes` must have shape"):
        ProposalViews()([keras.Input((7, 11, 3)), keras.Input((4,))])


TWO_REPLICAS = """
from keras_fgvc.layers import ProposalViews
with both.scope():
    layer = ProposalViews(seed=3)
gray, empty = tf.fill((1, 5, 7, 3), 128.0), tf.zeros((1, 1, 4))
empty = tf.concat([empty, [[[0.0, 0.0, 1.0, 1.0]]]], axis=1)
for training in (True, False):
    draw = tf.function(lambda: layer([gray, empty], training=training))
    a, b = both.experimental_local_results(both.run(draw))
    assert np.allclose(a, b) != training
print("as told")
"""


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute"
)
def test_two_replicas_draw_apart_in_training_alone():
    check_answer(TWO_REPLICAS, "as told")
