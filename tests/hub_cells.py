"""One cell of the table of methods and backbones: train, save, load."""

import os
import subprocess
import sys

import keras
import numpy as np

from keras_fgvc import models
from tests import hub_networks

SIZE = hub_networks.SIZE
TAPS = (8, 16, 32)
METHODS = {
    "Baseline": {},
    "ELoPE": {"image_size": SIZE, "k": 2, "embedding_dim": 5},
    "PainlessAttention": {"num_heads": 2},
    "Coarse2Fine": {"image_size": SIZE, "num_maps": 3},
    "FCAN": {
        "image_size": SIZE,
        "crop_size": SIZE,
        "part_sizes": (2,),
        "taps": (16, 32),
    },
    "DAF": {"image_size": SIZE, "num_parts": 2, "groups": 2, "taps": TAPS},
}
LOAD = """
import sys
import keras
import numpy as np
import keras_fgvc
model = keras.saving.load_model(sys.argv[1], compile=False)
images = np.load(sys.argv[2])
np.save(sys.argv[3], keras.ops.convert_to_numpy(
    model(images, training=False)["probabilities"]))
"""


def images():
    rng = np.random.default_rng(3)
    return rng.uniform(0, 255, (3, SIZE, SIZE, 3)).astype("float32")


def predict(model):
    return model.predict(images(), batch_size=3, verbose=0)["probabilities"]


def build(method, backbone):
    """A method on a family's tiny network, or on a preset's folder."""
    keras.utils.set_random_seed(1)
    if backbone in hub_networks.FAMILIES:
        backbone = hub_networks.network(backbone)
    return getattr(models, method)(
        backbone, 3, preprocessing="imagenet", **METHODS[method]
    )


def train_a_step(model):
    """Trains one step; returns whether the loss is finite."""
    # Operation by operation JAX would compile each of them.
    is_jax = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.SGD(1e-3), jit_compile=is_jax)
    history = model.fit(images(), np.arange(3), batch_size=3, verbose=0)
    return bool(np.isfinite(history.history["loss"]).all())


def difference_here(model, folder):
    """Largest difference of the predictions after saving and loading."""
    path = os.path.join(folder, "model.keras")
    before = predict(model)
    model.save(path)
    loaded = keras.saving.load_model(path, compile=False)
    return float(np.abs(before - predict(loaded)).max())


def difference_in_a_process(model, folder):
    """As `difference_here`; a new process loads, without KerasHub's import."""
    path = os.path.join(folder, "model.keras")
    files = [os.path.join(folder, name) for name in ("x.npy", "y.npy")]
    model.save(path)
    np.save(files[0], images())
    subprocess.run(
        [sys.executable, "-c", LOAD, path, *files],
        check=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )
    return float(np.abs(predict(model) - np.load(files[1])).max())
