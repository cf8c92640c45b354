import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc import backbones
from keras_fgvc.ops._positions import resample_positions
from tests import hub_networks

pytest.importorskip("keras_hub")
# KerasHub warns while it makes some of its networks.
pytestmark = pytest.mark.filterwarnings("ignore")

IMAGES = np.random.default_rng(4).uniform(-1, 1, (2, 64, 64, 3))
IMAGES = IMAGES.astype("float32")


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def _random(network):
    """Gives each weight a value; KerasHub begins many of them at zero."""
    rng = np.random.default_rng(7)
    network.set_weights(
        [rng.normal(scale=0.3, size=w.shape) for w in network.get_weights()]
    )
    return network


def _build(network, *taps):
    return backbones.build(network, taps=taps, preprocessing="none")


@pytest.mark.parametrize("family", hub_networks.TOKENS)
def test_the_grid_is_the_network_s_patches(family):
    network = hub_networks.network(family)
    if family != "DINOv2":  # which computes some weights from others
        _random(network)
    grid = _numpy(_build(network, 32 if family == "Swin" else 16)(IMAGES))
    tokens = _numpy(network(IMAGES))
    count = grid.shape[1] * grid.shape[2]
    assert grid.shape[1] == {"Swin": 2}.get(family, 4)
    np.testing.assert_allclose(
        grid.reshape(2, count, -1), tokens[:, -count:], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("family", ["DINOv2", "DINOv3"])
def test_a_block_is_the_network_s_stage(family):
    network = hub_networks.network(family)
    stages = keras.Model(network.inputs, network.pyramid_outputs)(IMAGES)
    for block in (1, 2):
        grid = _numpy(_build(network, f"block_{block}")(IMAGES))
        np.testing.assert_allclose(
            grid.reshape(2, 16, -1),
            _numpy(stages[f"stage{block}"])[:, -16:],
            rtol=1e-4,
            atol=1e-4,
        )


def test_taps_keep_only_the_weights_that_they_need():
    network = hub_networks.network("ViT")
    first = _build(network, "block_1").count_params()
    assert first < _build(network, "block_2").count_params()
    # The last norm's scale and offset.
    both = _build(network, "block_2").count_params()
    assert _build(network, 16).count_params() == both + 16


@pytest.mark.parametrize("tap", ["block_3", "block_0", "transformer_blok_1"])
def test_an_unknown_block_lists_the_blocks(tap):
    with pytest.raises(ValueError, match="blocks are block_1 to block_2; it"):
        _build(hub_networks.network("ViT"), tap)


@pytest.mark.parametrize("size", [(96, 96), (48, 80)])
@pytest.mark.parametrize("family", ["ViT", "DeiT"])
def test_positions_are_resampled_for_another_size(family, size):
    network = _random(hub_networks.network(family))
    other = hub_networks.network(family, size)
    before = {"ViT": 1, "DeiT": 2}[family]
    grid = size[0] // 16, size[1] // 16
    weights = []
    for weight, shape in zip(
        network.get_weights(), [w.shape for w in other.weights], strict=True
    ):
        if weight.shape != tuple(shape):  # the position embeddings
            positions = weight.reshape(1, -1, weight.shape[-1])
            patches = resample_positions(positions[:, before:], (4, 4), grid)
            weight = np.concatenate(
                [positions[:, :before], _numpy(patches)], axis=1
            ).reshape(shape)
        weights.append(weight)
    other.set_weights(weights)
    images = np.random.default_rng(1).normal(size=(2, *size, 3))
    images = images.astype("float32")
    result = _numpy(_build(network, 16)(images))
    assert result.shape[1:3] == grid
    expected = _numpy(other(images))[:, before:].reshape(result.shape)
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", ["Swin", "DINOv3"])
def test_a_network_of_another_size_has_the_same_weights(family):
    network = hub_networks.network(family)
    other = hub_networks.network(family, 128)
    other.set_weights(network.get_weights())
    images = np.random.default_rng(1).normal(size=(2, 128, 128, 3))
    images = images.astype("float32")
    grid = _numpy(_build(network, 32 if family == "Swin" else 16)(images))
    count = grid.shape[1] * grid.shape[2]
    np.testing.assert_allclose(
        grid.reshape(2, count, -1),
        _numpy(other(images))[:, -count:],
        rtol=1e-4,
        atol=1e-4,
    )
