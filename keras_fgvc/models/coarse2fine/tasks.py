"""Training of an attention up-sampler by itself."""

import keras

from keras_fgvc.models._replicated import ReplicatedModel


class UpsamplerTask(ReplicatedModel):
    """An up-sampler as a model of its own: maps in, larger maps out.

    Coarse2Fine, "Pre-training of the deconvolutional network": L2 loss.
    """

    def __init__(self, upsampler):
        maps = keras.Input((None, None, 1))
        super().__init__(maps, upsampler(maps), name="upsampler_task")

    def compile(self, optimizer, metrics=None):
        """Compiles with the squared error; metrics of classes do not apply."""
        del metrics
        super().compile(optimizer, loss="mse")
