import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import GlimpseAttention
from tests.tolerances import TOLERANCES

RNG = np.random.default_rng(7)
FEATURES = RNG.normal(size=(2, 5, 7, 3)).astype("float32")
EARLIER = RNG.normal(size=(2, 5, 7)).astype("float32")


def convolve(maps, kernel, bias):
    """Every product of a padded convolution, one image."""
    height, width, _ = maps.shape
    size = kernel.shape[0]
    padded = np.pad(maps, [(size // 2,) * 2, (size // 2,) * 2, (0, 0)])
    out = np.zeros((height, width, kernel.shape[-1]))
    for y in range(height):
        for x in range(width):
            window = padded[y : y + size, x : x + size]
            for f in range(kernel.shape[-1]):
                out[y, x, f] = (window * kernel[..., f]).sum() + bias[f]
    return out


def standardized(image):
    """Channels without their means, cells of unit length on average."""
    image = image - image.mean(axis=(0, 1))
    squares = [(cell**2).sum() for cell in image.reshape(35, -1)]
    return image / np.sqrt(np.mean(squares))


def reference(features, earlier, weights):
    kernel, bias, last_kernel = weights
    scores = []
    for image, score in zip(features, earlier, strict=True):
        policy = np.exp(score) / np.exp(score).sum()
        image = standardized(image)
        maps = np.concatenate([image, 35 * policy[..., None]], axis=-1)
        hidden = np.maximum(convolve(maps, kernel, bias), 0)
        scores.append(convolve(hidden, last_kernel, [0])[..., 0])
    return np.array(scores)


def test_scores_are_two_convolutions_over_features_and_earlier_policy():
    layer = GlimpseAttention(2, filters=4, places="cells")
    layer(FEATURES, [EARLIER])
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
    scores, _ = layer(FEATURES, [EARLIER])
    np.testing.assert_allclose(
        to_numpy(scores),
        reference(FEATURES, EARLIER, layer.get_weights()),
        rtol=1e-4,
        atol=1e-4,
    )


def test_a_map_of_no_contrast_scores_all_places_alike():
    """Away from the border, where the padding of zeros is no contrast."""
    flat = np.full((2, 5, 7, 3), 4.0, "float32")
    scores = to_numpy(GlimpseAttention(2, places="cells")(flat)[0])
    np.testing.assert_array_equal(scores, 0)


def test_standardized_scores_know_neither_scale_nor_offset():
    layer = GlimpseAttention(2)
    expected = to_numpy(layer(FEATURES)[0])
    moved = 30 * (FEATURES + np.array([1.0, 20.0, 3.0], "float32"))
    np.testing.assert_allclose(
        to_numpy(layer(moved)[0]), expected, rtol=1e-4, atol=1e-4
    )
    raw = GlimpseAttention(2, standardize=False)
    before, after = (to_numpy(raw(maps)[0]) for maps in (FEATURES, moved))
    assert not np.allclose(before, after, atol=1e-2)


def test_a_config_from_before_0_9_chooses_among_cells():
    config = GlimpseAttention(2).get_config()
    del config["places"], config["standardize"]
    layer = GlimpseAttention.from_config(config)
    assert (layer.places, layer.standardize) == ("cells", False)


def test_the_highest_score_is_taken_outside_training():
    layer = GlimpseAttention(2)
    scores, locations = layer(FEATURES)
    assert locations.shape == (2, 1, 2)
    for image in range(2):
        best = np.unravel_index(to_numpy(scores)[image].argmax(), (5, 7))
        assert tuple(to_numpy(locations)[image, 0]) == best


def test_training_draws_from_the_policy():
    layer = GlimpseAttention(2, num_samples=4000, seed=1)
    layer.build(FEATURES.shape)
    scores, locations = layer(FEATURES, training=True)
    locations = to_numpy(locations)
    assert locations.shape == (2, 4000, 2)
    powers = np.exp(to_numpy(scores))
    policy = powers / powers.sum(axis=(1, 2), keepdims=True)
    for image in range(2):
        counts = np.zeros((5, 7))
        np.add.at(counts, tuple(locations[image].T), 1 / 4000)
        error = 5 * np.sqrt(policy[image] / 4000)
        assert np.all(np.abs(counts - policy[image]) <= error)


def test_two_calls_draw_different_locations():
    layer = GlimpseAttention(2, num_samples=11, seed=1)
    first = to_numpy(layer(FEATURES, training=True)[1])
    assert not np.array_equal(
        first, to_numpy(layer(FEATURES, training=True)[1])
    )


def test_a_flat_earlier_map_counts_one_whatever_its_scores():
    layer = GlimpseAttention(2)
    flat = np.zeros((2, 5, 7), "float32")
    scores, _ = layer(FEATURES, [flat])
    shifted, _ = layer(FEATURES, [flat + 9])
    np.testing.assert_allclose(
        to_numpy(shifted), to_numpy(scores), **TOLERANCES["float32"]
    )
    different, _ = layer(FEATURES, [EARLIER])
    assert not np.allclose(to_numpy(different), to_numpy(scores), atol=1e-3)


def test_no_gradient_reaches_the_glimpse_before():
    first, second = GlimpseAttention(2), GlimpseAttention(2)
    maps = keras.Input((5, 7, 3))
    scores, _ = first(maps)
    later, _ = second(maps, [scores])
    # The earlier scores take part, by nothing: each weight has a gradient.
    model = keras.Model(maps, later + 0.0 * scores)
    before = first.get_weights(), second.get_weights()
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    model.fit(FEATURES, np.ones((2, 5, 7)), verbose=0)
    for old, new in zip(before[0], first.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not np.allclose(before[1][0], second.get_weights()[0])


def test_a_graph_leaves_the_number_of_locations_open():
    layer = GlimpseAttention(2, num_samples=3)
    maps = keras.Input((5, 7, 3))
    model = keras.Model(maps, layer(maps))
    assert model(FEATURES, training=True)[1].shape == (2, 3, 2)
    assert model(FEATURES, training=False)[1].shape == (2, 1, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"region_size": 0}, r"`region_size`"),
        ({"region_size": 2, "num_samples": 0}, r"`num_samples`"),
        ({"region_size": 2, "filters": 0}, r"`filters`"),
        ({"region_size": 2, "kernel_size": 0}, r"`kernel_size`"),
        ({"region_size": 2, "places": "all"}, r"`places` .*'all'"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        GlimpseAttention(**options)


def test_a_region_must_fit_in_the_map():
    message = r"`region_size` must not exceed .* region_size=6 .*\(2, 5, 7, 3\)"
    with pytest.raises(ValueError, match=message):
        GlimpseAttention(6)(FEATURES)
    with pytest.raises(ValueError, match=r"`features`"):
        GlimpseAttention(2)(FEATURES[0])
