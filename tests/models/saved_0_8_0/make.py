"""Writes one small random model per method; was run with version 0.8.0.

`outputs.npz` has the outputs of the models on TensorFlow for two images of
`tests.tiny`. Kept to show how the files were made: later versions may name
arguments otherwise.

    python -m tests.models.saved_0_8_0.make FOLDER
"""

import pathlib
import sys
import zipfile

import keras
import numpy as np

from keras_fgvc import models
from tests import tiny


def make():
    """Yields pairs of a name and a model."""
    shared = {"image_size": tiny.SIZE, "tap": 8}
    network, classes = tiny.backbone(), tiny.NUM_CLASSES
    yield "baseline", models.Baseline(network, classes, tap=8)
    yield "elope", models.ELoPE(network, classes, embedding_dim=7, **shared)
    yield (
        "elope_without_localizer",
        models.ELoPE(network, classes, localize=False, k=2, **shared),
    )
    yield "coarse2fine", models.Coarse2Fine(network, classes, **shared)
    yield (
        "wsdan",
        models.Coarse2Fine(network, classes, augment="crop_drop", **shared),
    )
    yield (
        "painless_attention",
        models.PainlessAttention(network, classes, attend_at=(4, 8), tap=8),
    )
    fcan = {"crop_size": 16, "part_sizes": (1, 2), "classifier_tap": 8}
    yield "fcan", models.FCAN(network, classes, num_samples=3, **fcan, **shared)
    yield (
        "daf",
        models.DAF(
            network, classes, image_size=tiny.SIZE, taps=(4, 8), groups=11
        ),
    )


def compress(path):
    """Packs the file anew; weights of few values take a tenth of the space."""
    with zipfile.ZipFile(path) as archive:
        entries = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def main(folder):
    found = {}
    images, _ = tiny.images_and_labels(2)
    for name, model in make():
        generator = np.random.default_rng(3)
        for weight in model.weights:  # heads start at zero, some of them
            if weight.dtype == "float32":
                values = generator.choice([-0.03, 0.0625, 0.125], weight.shape)
                weight.assign(abs(values) if "var" in weight.path else values)
        model.save(folder / f"{name}.keras")
        compress(folder / f"{name}.keras")
        for output, values in model.predict(images, verbose=0).items():
            found[f"{name}/{output}"] = values
    np.savez_compressed(folder / "outputs.npz", **found)


if __name__ == "__main__":
    keras.utils.set_random_seed(20110)
    main(pathlib.Path(sys.argv[1]))
