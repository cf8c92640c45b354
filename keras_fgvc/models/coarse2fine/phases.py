"""Coarse2Fine's phases: the up-sampler by itself, then everything."""

from keras_fgvc.data import UpsamplingPairs
from keras_fgvc.models.coarse2fine.tasks import UpsamplerTask
from keras_fgvc.models.phases import CLASSIFIER, Phase, layers_but


def make_phases(model) -> tuple:
    """Returns the phases that a `Coarse2Fine` has by its arguments."""
    if model.augment == "crop_drop":
        # Nothing but boxes uses the up-sampler: it would get no gradient.
        trains = layers_but(model, model.upsampler)
        minimises = {"coarse": 1 / 3, "fine": 2 / 3}
    else:
        trains = layers_but(model)
        minimises = {"coarse": 1.0, "fine": 1.0}
    if model.center_weight:
        minimises["centers"] = model.center_weight
    classifier = Phase(CLASSIFIER, trains=trains, minimises=minimises)
    if model.augment == "crop_drop":
        return (classifier,)
    upsampler = Phase(
        "upsampler",
        trains=(model.upsampler,),
        minimises={"mse": 1.0},
        data=_synthetic_maps,
    )
    return (upsampler, classifier)


def _synthetic_maps(model, stage, data, *, folder, load_size):
    """The up-sampler as a model, on maps made for it instead of images."""
    del data, folder, load_size
    pairs = UpsamplingPairs(stage.num_examples, factor=model.upsampler.factor)
    return UpsamplerTask(model.upsampler), pairs
