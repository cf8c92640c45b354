import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc import backbones
from keras_fgvc.backbones import families


def token_model(size=(64, 64), patch=16, before=1, name="mine"):
    """Patches of an image as tokens; those before them are zeros."""
    image = keras.Input((*size, 3))
    x = keras.layers.Conv2D(5, patch, strides=patch, name="patches")(image)
    count = (size[0] // patch) * (size[1] // patch)
    x = keras.layers.Reshape((count, 5))(x)
    x = keras.layers.ZeroPadding1D((before, 0), name="tokens")(x)
    return keras.Model(image, x, name=name)


@pytest.mark.parametrize("before", [0, 1, 5])
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_a_model_that_ends_in_tokens_gives_their_grid(size, before):
    network = token_model(size, before=before)
    images = np.random.default_rng(1).uniform(0, 255, (2, *size, 3))
    model = backbones.build(network, taps=(16,))
    expected = network.get_layer("patches")(images.astype("float32"))
    np.testing.assert_allclose(
        ops.convert_to_numpy(model(images)),
        ops.convert_to_numpy(expected),
        rtol=1e-5,
    )


def test_strides_and_layers_of_a_token_model():
    model = backbones.build(token_model(), taps=(8, 32, "tokens", "patches"))
    images = np.zeros((2, 64, 64, 3), "float32")
    shapes = [tuple(output.shape[1:3]) for output in model(images)]
    assert shapes == [(8, 8), (2, 2), (4, 4), (4, 4)]


def test_ambiguous_tokens_are_refused_and_given_ones_taken():
    network = token_model((32, 32), before=0)  # 2 x 2, or 1 x 1 and 3 more
    with pytest.raises(ValueError, match=r"1 x 1, 2 x 2\. Give `tokens=`"):
        backbones.build(network)
    for tokens, sides in ((0, (2, 2)), (3, (1, 1))):
        model = backbones.build(network, taps=(16,), tokens=tokens)
        nested = model.layers[-1]
        assert nested.family.grid == sides
    with pytest.raises(ValueError, match="grids that fit: none"):
        backbones.build(network, tokens=2)


def test_tokens_of_other_images_are_refused():
    model = backbones.build(token_model())
    with pytest.raises(ValueError, match="must be 64 x 64 pixels"):
        model(np.zeros((1, 96, 96, 3), "float32"))


def test_tokens_need_a_known_size():
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(5, 16, strides=16)(image)
    network = keras.Model(image, keras.layers.Reshape((-1, 5))(x))
    with pytest.raises(ValueError, match="must have a fixed input size"):
        backbones.build(network)


def test_tokens_of_a_network_with_maps_are_refused():
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Conv2D(5, 16, 16)(image))
    with pytest.raises(ValueError, match="`tokens` is of a network that ends"):
        backbones.build(network, taps=(16,), tokens=1)


def test_ends_in_tokens():
    assert families.ends_in_tokens(token_model())
    maps = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 1)])
    assert not families.ends_in_tokens(maps)
