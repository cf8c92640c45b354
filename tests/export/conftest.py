import keras
import pytest

from keras_fgvc import export
from keras_fgvc.models import ELoPE
from tests import tiny

NAMES = ("red", "green", "blue")


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """An ELoPE with its localiser on, and the folder it was written to."""
    keras.utils.set_random_seed(0)
    model = ELoPE(
        tiny.backbone(), 3, image_size=tiny.SIZE, tap=8, threshold=0.6
    )
    model.localizer.enable()
    path = tmp_path_factory.mktemp("served") / "birds" / "1"
    found = export.export_saved_model(
        model, path, class_names=NAMES, load_size=40
    )
    assert found == path
    return model, path
