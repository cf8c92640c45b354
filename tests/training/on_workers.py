"""One of the processes that train a tiny model together.

python -m tests.training.on_workers STRATEGY NAME WORKDIR

Who works with whom is in TF_CONFIG. Writes its weights to
WORKDIR/weights-NUMBER.npz.
"""

import json
import os
import pathlib
import sys

import keras
import numpy as np

from keras_fgvc import training
from tests.training import on_two_devices

EPOCHS = 2
STAGES = {
    "ELoPE": ("classifier", "localizer"),
    "Coarse2Fine": ("upsampler", "classifier"),
}


def main(strategy, name, workdir):
    # First of all: no operation may run before the strategy is made.
    strategy = training.make_strategy(strategy)
    if keras.backend.backend() == "jax":
        variable = keras.Variable(1.0)
        print("devices", len(variable.value.sharding.device_set))
    task = json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": 0}}'))
    on_two_devices.without_chance()
    stages = STAGES[name]
    if keras.backend.backend() == "jax":
        stages = stages[:1]  # it compiles slowly
    weights, _, predictions = on_two_devices.train(
        name, strategy, workdir, epochs=EPOCHS, stages=stages
    )
    path = pathlib.Path(workdir) / f"weights-{task['task']['index']}.npz"
    arrays = {k: v for k, v in weights.items() if "seed_generator" not in k}
    np.savez(path, **arrays, predictions=predictions)
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
