import numpy as np
import pytest
from keras import ops

from keras_fgvc import backbones
from tests import hub_networks
from tests.backbones.test_families import token_model

# KerasHub warns while it makes some of its networks.
pytestmark = pytest.mark.filterwarnings("ignore")

IMAGES = np.random.default_rng(4).uniform(0, 255, (1, 64, 64, 3))


def test_of_a_convolutional_network_it_is_the_stem():
    model = backbones.build("mobilenet_v2", weights=None)
    early = backbones.clone_early_layers(model, 4)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(early(IMAGES)),
        ops.convert_to_numpy(backbones.clone_stem(model, 4)(IMAGES)),
    )


def test_tokens_of_unknown_blocks_have_none():
    model = backbones.build(token_model())
    assert backbones.clone_early_layers(model, 4) is None


@pytest.mark.parametrize("family", hub_networks.TOKENS)
def test_of_a_transformer_it_is_the_first_block(family):
    pytest.importorskip("keras_hub")
    network = hub_networks.network(family)
    model = backbones.build(network, preprocessing="none")
    early = backbones.clone_early_layers(model, 4)
    assert early(IMAGES).shape == (1, 16, 16, 8)
    assert len(early.weights) < len(model.weights)
    assert backbones.copy_weights(model, early) > 1
