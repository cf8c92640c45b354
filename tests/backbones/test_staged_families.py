import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc import backbones
from tests import hub_networks

pytest.importorskip("keras_hub")
# KerasHub warns while it makes some of its networks.
pytestmark = pytest.mark.filterwarnings("ignore")

IMAGES = np.random.default_rng(4).uniform(-1, 1, (2, 64, 64, 3))
IMAGES = IMAGES.astype("float32")


def _build(network, *taps):
    return backbones.build(network, taps=taps, preprocessing="none")


def test_scales_of_a_mit_are_its_pyramid():
    network = hub_networks.network("MiT")
    pyramid = keras.Model(network.inputs, network.pyramid_outputs)(IMAGES)
    grids = _build(network, 4, 8, 16, 32)(IMAGES)
    for level, grid in enumerate(grids, start=1):
        np.testing.assert_allclose(
            ops.convert_to_numpy(grid),
            ops.convert_to_numpy(pyramid[f"P{level}"]),
            rtol=1e-4,
            atol=1e-5,
        )


def test_stages_of_a_swin_have_their_own_channels():
    grids = _build(hub_networks.network("Swin"), 4, 8, 16, "stage_3")(IMAGES)
    shapes = [tuple(grid.shape[1:]) for grid in grids]
    assert shapes == [(16, 16, 8), (8, 8, 16), (4, 4, 32), (2, 2, 64)]


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at least one window of 2 x 2 cells"):
        _build(hub_networks.network("Swin"), 32)(IMAGES[:, :32, :32])
    with pytest.raises(ValueError, match="must be square for the MiT"):
        _build(hub_networks.network("MiT"), 32)(IMAGES[:, :32])
