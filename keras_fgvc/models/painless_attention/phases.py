"""The one phase of painless attention."""

from keras_fgvc.models.phases import CLASSIFIER, Phase


def make_phases(model) -> tuple:
    """Returns the phase of a `PainlessAttention`, which trains everything."""
    minimises = {"cross_entropy": 1.0}
    if model.diversity_weight and model.num_heads > 1:
        minimises["mask_diversity"] = model.diversity_weight
    return (Phase(CLASSIFIER, minimises=minimises),)
