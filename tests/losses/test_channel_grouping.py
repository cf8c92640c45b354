import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.losses import channel_grouping
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

RNG = np.random.default_rng(17)
FEATURES = RNG.uniform(size=(2, 3, 5, 6))
FEW_PIXELS = RNG.uniform(size=(2, 1, 3, 6))  # fewer than channels


def reference(features, groups):
    """Channel by channel, pixel by pixel."""
    values = np.zeros(len(features))
    channels = features.shape[-1]
    for b, maps in enumerate(features):
        for i in range(channels):
            for j in range(channels):
                product = squared_i = squared_j = 0.0
                for y in range(features.shape[1]):
                    for x in range(features.shape[2]):
                        product += maps[y, x, i] * maps[y, x, j]
                        squared_i += maps[y, x, i] ** 2
                        squared_j += maps[y, x, j] ** 2
                together = product / np.sqrt(squared_i * squared_j)
                same = i * groups // channels == j * groups // channels
                values[b] += (together - same) ** 2 / channels**2
    return values


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


@pytest.mark.parametrize("features", [FEATURES, FEW_PIXELS], ids=["", "few"])
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_matches_a_loop(groups, features):
    found = compiled(
        lambda features: channel_grouping(features, groups=groups)
    )(ops.convert_to_tensor(features, "float32"))
    np.testing.assert_allclose(
        to_numpy(found), reference(features, groups), **TOLERANCES["float32"]
    )


def test_zero_where_each_group_has_its_own_place():
    features = np.zeros((1, 2, 2, 6), "float32")
    for group, (y, x) in enumerate([(0, 0), (0, 1), (1, 1)]):
        features[0, y, x, 2 * group : 2 * group + 2] = [0.5, 3.0]
    found = to_numpy(channel_grouping(features, groups=3))
    np.testing.assert_allclose(found, 0.0, atol=1e-6)
    assert to_numpy(channel_grouping(features, groups=2)) > 0.1


def test_pixels_scale_and_order_within_a_group_do_not_matter():
    flat = FEATURES.reshape(2, 15, 6)[:, RNG.permutation(15)]
    moved = flat[..., [1, 0, 2, 5, 3, 4]] * RNG.uniform(1, 9, 6)
    np.testing.assert_allclose(
        to_numpy(channel_grouping(moved.reshape(FEATURES.shape), groups=2)),
        to_numpy(channel_grouping(FEATURES, groups=2)),
        **TOLERANCES["float32"],
    )


def test_an_image_has_its_loss_whatever_else_is_in_the_batch():
    together = to_numpy(channel_grouping(FEATURES, groups=2))
    alone = to_numpy(channel_grouping(FEATURES[1:], groups=2))
    np.testing.assert_allclose(together[1:], alone, rtol=1e-6)


def test_gradient():
    weights = np.array([0.5, -2.0])

    def value(features):
        values = channel_grouping(features, groups=2)
        return ops.sum(ops.cast(weights, values.dtype) * values)

    check_gradient(value, FEATURES[:, :2, :2, :4], float32_on=("jax",))


def test_a_dead_channel_has_a_finite_gradient():
    features = FEATURES.copy()
    features[0, ..., 2] = 0.0
    features[1] = 0.0
    (slopes,) = gradient(
        lambda x: ops.sum(channel_grouping(x, groups=2)), features
    )
    assert np.all(np.isfinite(slopes))
    # All channels dead: only the pairs of one group are wrong, half of all.
    found = to_numpy(channel_grouping(features, groups=2))
    np.testing.assert_allclose(found[1], 0.5, rtol=1e-6)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only TensorFlow has shapes unknown at compile time.",
)
@pytest.mark.parametrize("jit", [False, True])
def test_unknown_sizes_and_jit(jit):
    import tensorflow as tf

    @tf.function(
        jit_compile=jit,
        input_signature=[tf.TensorSpec([None, None, None, 6])],
    )
    def loss(features):
        return channel_grouping(features, groups=2)

    np.testing.assert_allclose(
        loss(FEATURES.astype("float32")),
        reference(FEATURES, 2),
        **TOLERANCES["float32"],
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    features = ops.cast(300 * FEATURES, dtype)  # squares beyond float16
    found = channel_grouping(features, groups=3)
    assert ops.dtype(found) == "float32"
    np.testing.assert_allclose(
        to_numpy(found),
        reference(to_numpy(features), 3),
        **TOLERANCES["float32"],
    )


def test_errors():
    with pytest.raises(ValueError, match="`features` must have 4 axes"):
        channel_grouping(FEATURES[0], groups=2)
    message = "`groups` must divide the number of channels.*groups=4 for 6"
    with pytest.raises(ValueError, match=message):
        channel_grouping(FEATURES, groups=4)
    with pytest.raises(ValueError, match="`groups` must be at least 1"):
        channel_grouping(FEATURES, groups=0)
    with pytest.raises(TypeError, match="`groups` must be an integer"):
        channel_grouping(FEATURES, groups=2.0)
