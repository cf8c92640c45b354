"""Trains a tiny ELoPE through all stages; a process of its own to kill.

python -m tests.training.run_tiny WORKDIR
"""

import sys

import keras

from keras_fgvc import recipes, training
from keras_fgvc.models import ELoPE
from tests import tiny
from tests.eager import eager_steps


def recipe():
    short = recipes.get("elope-short")
    return short.replace(
        image_size=tiny.SIZE, load_size=tiny.SIZE + 8, batch_size=4
    ).with_epochs(classifier=3, localizer=2, crops=3, weighted=1)


def model():
    keras.utils.set_random_seed(1)
    return ELoPE(
        tiny.backbone(),
        tiny.NUM_CLASSES,
        image_size=tiny.SIZE,
        embedding_dim=7,
        tap=8,
    )


if __name__ == "__main__":
    with eager_steps():
        training.fit(
            model(), recipe(), tiny.labeled_images(), sys.argv[1], verbose=0
        )
