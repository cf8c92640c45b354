import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_fgvc import export
from keras_fgvc.models import ELoPE
from tests import tiny

NAMES = ("red", "green", "blue")
SERVE = """
import sys
import numpy as np
import tensorflow as tf

serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
out = serve(image=tf.constant(np.load("images.npy")))
assert not {"keras_fgvc", "keras_hub"} & set(sys.modules)
np.savez("out.npz", **{name: value.numpy() for name, value in out.items()})
"""


def served_alone(path, images, folder):
    """What a SavedModel answers in a process that has only TensorFlow."""
    np.save(folder / "images.npy", images.astype("float32"))
    subprocess.run(
        [sys.executable, "-c", SERVE, str(path)], cwd=folder, check=True
    )
    return np.load(folder / "out.npz")


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
