"""Methods on families of KerasHub: train, predict, save, load.

Each family once and each method twice; benchmarks/backbones.py has all pairs.
"""

import itertools

import keras
import pytest

from tests import hub_cells, hub_networks

pytest.importorskip("keras_hub")
# KerasHub warns while it makes some of its networks.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-5
CELLS = [*zip(itertools.cycle(hub_cells.METHODS), hub_networks.FAMILIES)]
# By blocks, by tokens in stages, by the graph, and not kept whole.
KINDS = ("DINOv2", "Swin", "HGNetV2", "EfficientNet")


@pytest.mark.parametrize(("method", "family"), CELLS)
def test_trains_saves_and_loads(method, family, tmp_path):
    model = hub_cells.build(method, family)
    assert hub_cells.train_a_step(model)
    assert hub_cells.difference_here(model, tmp_path) <= TOLERANCE


@pytest.mark.parametrize("family", KINDS)
def test_loads_in_a_new_process(family, tmp_path):
    model = hub_cells.build("Baseline", family)
    hub_cells.train_a_step(model)
    difference = hub_cells.difference_in_a_process(model, tmp_path)
    assert difference <= TOLERANCE


def test_a_model_outlives_its_preset(tmp_path):
    folder = tmp_path / "preset"
    hub_networks.network("ViT").save_to_preset(str(folder))
    model = hub_cells.build("Baseline", str(folder))
    for file in folder.iterdir():
        file.unlink()
    difference = hub_cells.difference_in_a_process(model, tmp_path)
    assert difference <= TOLERANCE


def test_all_positions_are_saved(tmp_path):
    # KerasHub itself writes DINOv2's positions from before training.
    model = hub_cells.build("Baseline", "DINOv2")
    model.set_weights([w + 0.1 for w in model.get_weights()])
    assert hub_cells.difference_here(model, tmp_path) <= TOLERANCE


def test_elope_copies_the_first_block_into_its_localizer():
    model = hub_cells.build("ELoPE", "DINOv3")
    features = model.features.weights
    for weight in features:
        weight.assign(weight + 0.1)
    model.begin_stage("localizer")
    first = model.localizer.stem.weights[0]
    difference = keras.ops.convert_to_numpy(first - features[0])
    assert abs(difference).max() == 0
