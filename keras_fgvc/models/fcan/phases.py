"""FCAN's phases: the whole image's network, the glimpses, the parts'."""

import functools

from keras_fgvc import backbones
from keras_fgvc.data import PartImages
from keras_fgvc.models.fcan import caches, crop_judges, tasks
from keras_fgvc.models.phases import Phase


def make_phases(model) -> tuple:
    """Returns the phases that an `FCAN` has by its arguments.

    The glimpses begin on a copy of the whole image's backbone.
    """
    whole, glimpses = model.classifiers[0], tuple(model.glimpses)
    phases = [
        Phase(
            "whole",
            trains=(whole,),
            minimises={"cross_entropy": 1.0},
            data=_whole_images,
        ),
        Phase(
            "parts",
            trains=tuple(model.classifiers),
            minimises={"cross_entropy": 1.0},
            begin=functools.partial(_begin_parts, model),
            data=_part_images,
        ),
    ]
    if glimpses:
        localizer = Phase(
            "localizer",
            trains=glimpses,
            focus=glimpses,
            minimises=tasks.policy_weights(model),
            begin=functools.partial(
                backbones.copy_weights, whole, model.features
            ),
            data=_feature_maps,
        )
        phases.insert(1, localizer)
    return tuple(phases)


def _begin_parts(model):
    """Starts the parts' networks as the whole image's, the first time."""
    if model.parts_begun.is_set():
        return
    whole, *parts = model.classifiers
    for part in parts:
        part.set_weights(whole.get_weights())
    model.parts_begun.set()


def _whole_images(model, stage, data, *, folder, load_size):
    del stage, folder, load_size
    return tasks.WholeTask(model), data


def _feature_maps(model, stage, data, *, folder, load_size):
    """The policy on maps that are computed once."""
    del stage
    if model.judge == "crops":
        judged = caches.judged_maps(model, data, folder, load_size)
        return crop_judges.CropTask(model), judged
    maps = caches.feature_maps(model, data, folder, load_size)
    return tasks.GlimpseTask(model), maps


def _part_images(model, stage, data, *, folder, load_size):
    """Trains the classification networks on regions that are found once."""
    del stage
    boxes = caches.part_boxes(model, data, folder, load_size)
    return tasks.PartsTask(model), PartImages(data, boxes, boxes_of="resized")
