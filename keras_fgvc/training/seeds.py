"""Random numbers inside a model that an interruption does not change."""

import keras
import numpy as np

# Far more numbers than a generator gives in an epoch.
DRAWS_PER_EPOCH = 1 << 20
SEEDS_PER_GENERATOR = 100_003  # a prime


class EpochSeeds(keras.callbacks.Callback):
    """Sets every random generator of the model anew before each epoch.

    Keras keeps the state of its generators (of dropout, of a choice of maps)
    out of weight files. As a function of seed and epoch it need not be kept:
    an epoch draws the same numbers whether those before it ran in this
    process or in one that was killed.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        states = [
            variable
            for variable in self.model.variables
            if variable.name == "seed_generator_state"
        ]
        for number, state in enumerate(states):
            value = [
                self.seed + SEEDS_PER_GENERATOR * number,
                DRAWS_PER_EPOCH * epoch,
            ]
            # The generator counts in 32 bits; it may turn over.
            wrapped = np.array(value, "int64") % (1 << 32)
            state.assign(wrapped.astype("uint32").astype(state.dtype))
