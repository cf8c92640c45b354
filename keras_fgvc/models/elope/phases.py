"""ELoPE's phases: the classifier, the localiser, the classifier on crops."""

import functools

from keras_fgvc import backbones
from keras_fgvc.models.phases import CLASSIFIER, Phase, layers_but


def make_phases(model) -> tuple:
    """Returns the phases that an `ELoPE` has by its arguments."""
    localizer, cropper = model.localizer, _cropper(model)
    pooling = model.get_layer("pooling")
    classify = {"cross_entropy": 1.0, "embedding": model.embedding_weight}
    classify = {term: weight for term, weight in classify.items() if weight}
    classifier = layers_but(model, cropper, pooling)
    use_crops = _switch(cropper, True)
    phases = [
        Phase(
            CLASSIFIER,
            trains=classifier,
            minimises=classify,
            begin=_switch(cropper, False),
        )
    ]
    if localizer is not None:
        phases.append(
            Phase(
                "localizer",
                trains=(localizer,),
                minimises={"heatmap": 1.0},
                begin=functools.partial(_copy_stem, model),
            )
        )
    if cropper is not None:
        phases.append(
            Phase(
                "crops", trains=classifier, minimises=classify, begin=use_crops
            )
        )
    if model.pooling == "k_max":
        phases.append(
            Phase(
                "weighted",
                trains=(*classifier, pooling),
                focus=(pooling,),
                minimises=classify,
                begin=use_crops,
            )
        )
    return tuple(phases)


def _cropper(model):
    """The layer whose boxes are cropped, None where there is none."""
    if model.localizer is not None or not model.localize:
        return model.localizer
    return model.get_layer("fixed_box")


def _switch(cropper, value):
    """Function that turns the boxes on or off, if there are any."""
    if cropper is None:
        return None
    return functools.partial(cropper.enable, value)


def _copy_stem(model):
    """Starts the localiser from the classifier's first stage."""
    if model.localizer.stem is not None:
        backbones.copy_weights(model.features, model.localizer.stem)
    model.localizer.enable(False)
