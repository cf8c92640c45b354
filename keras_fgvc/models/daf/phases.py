"""The one phase of DAF."""

from keras_fgvc._checks import check_choice, check_in_range
from keras_fgvc.models.daf import terms
from keras_fgvc.models.phases import CLASSIFIER, Phase


def make_phases(model) -> tuple:
    """Returns the phase of a `DAF`, which trains everything."""
    minimises = terms.default_weights(model.teacher, model.distill)
    for name, weight in (model.term_weights or {}).items():
        check_choice("term_weights", name, tuple(minimises))
        check_in_range(f"term_weights[{name!r}]", weight, 0.0, float("inf"))
        minimises[name] = weight
    minimises = {name: weight for name, weight in minimises.items() if weight}
    return (Phase(CLASSIFIER, minimises=minimises),)
