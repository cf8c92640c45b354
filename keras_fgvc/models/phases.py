"""Phases: what a method does in each stage of its training."""

import collections
import dataclasses
import math
import numbers
from collections.abc import Callable

from keras_fgvc import backbones
from keras_fgvc.backbones.freezing import HELD, batch_norm_layers

# The stage of a method that trains all at once.
CLASSIFIER = "classifier"


def images(model, stage, data, *, folder, load_size):
    """Trains the model itself on the images, as most phases do."""
    del stage, folder, load_size
    return model, data


@dataclasses.dataclass(frozen=True)
class Phase:
    """One stage of a method: what trains, and what is minimised.

    A recipe's stage has the numbers (epochs, learning rate), the phase of the
    same name has what is trained. `FineGrainedModel.phases` returns the
    phases in order, and `begin_stage` applies one of them.

    Args:
        name: Name of the stage.
        trains: Tuple of the layers and models that train; all others are
            frozen. Batch normalisation that was frozen when the model was
            built stays frozen, and so do blocks that its `trainable` froze.
            Defaults to `None`: every layer is left as it
            is, frozen by you or not.
        focus: Tuple of the layers that the stage is named for, where other
            layers train beside them. A recipe may give their weights a
            learning rate of their own, see `recipes.Stage.focus_rate`.
            Defaults to `None`.
        minimises: Dict from the name of a loss term to its weight. Defaults
            to `None`: the model's `loss_weights` as they are.
        begin: Function without arguments that is called when the stage
            begins, such as one that copies weights. Defaults to `None`.
        data: Function `(model, stage, data, *, folder, load_size)` that
            returns what is trained and on what: a `keras.Model` that shares
            the layers of `trains`, and data with `name`, `split_sizes` and
            `batches`. It receives the `keras_fgvc.recipes.Stage`, the
            `keras_fgvc.data.LabeledImages`, a folder where files may be kept,
            and the side in pixels at which images are loaded. Defaults to the
            model itself on the images. A model other than the method's own
            computes the terms of `minimises` by itself.

    Raises:
        ValueError: If `name` is empty or `trains` an empty tuple.

    Example:

    ```python
    from keras_fgvc.models import ELoPE

    model = ELoPE("mobilenet_v2", 200, image_size=96, weights=None)
    for phase in model.phases():
        print(phase.name, phase.minimises)
    ```
    """

    name: str
    _: dataclasses.KW_ONLY
    trains: tuple | None = None
    focus: tuple | None = None
    minimises: dict | None = None
    begin: Callable | None = None
    data: Callable = images

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(
                "`name` must be the name of a stage, such as 'classifier'. "
                f"Received: name={self.name!r}."
            )
        if self.trains is not None and not tuple(self.trains):
            raise ValueError(
                f"Phase {self.name!r} trains nothing: `trains` must hold at "
                "least one layer, or be None to leave all layers as they are. "
                f"Received: trains={self.trains!r}."
            )


def check_phases(model) -> None:
    """Raises if a model's phases cannot be its stages.

    Raises:
        ValueError: If there is none, two have one name, or the layers that
            one trains have no weights.
    """
    owner, phases = type(model).__name__, model.phases()
    if not phases:
        raise ValueError(f"{owner}.phases() must return at least one phase.")
    for name, count in collections.Counter(p.name for p in phases).items():
        if count > 1:
            raise ValueError(
                f"{owner}.phases() must name each phase once. "
                f"Received: {count} phases named {name!r}."
            )
    for phase in phases:
        trains = phase.trains
        if trains is not None and not any(each.weights for each in trains):
            names = ", ".join(layer.name for layer in trains)
            raise ValueError(
                f"Phase {phase.name!r} of {owner} trains nothing: none of its "
                f"layers ({names}) has weights."
            )


def find_phase(model, name: str) -> Phase:
    """Returns the phase of that name.

    Raises:
        ValueError: If the model has no such stage.
    """
    by_name = {phase.name: phase for phase in model.phases()}
    if name not in by_name:
        raise ValueError(
            f"{type(model).__name__} has the stages {', '.join(by_name)}. "
            f"Received: {name!r}."
        )
    return by_name[name]


def first_phase(model) -> Phase:
    """Returns the phase that a new model is ready for.

    It is the first one that trains the model itself; where each phase has a
    model of its own, it is the last one, which trains what predicts.
    """
    phases = model.phases()
    own = [phase for phase in phases if phase.data is images]
    return own[0] if own else phases[-1]


def layers_but(model, *others) -> tuple:
    """Returns the layers of a model's graph without some of them."""
    left_out = {id(layer) for layer in others}
    return tuple(each for each in model.layers if id(each) not in left_out)


def enter(model, phase) -> None:
    """Freezes and weighs as a phase says, without what begins it.

    Args:
        model: A `FineGrainedModel`.
        phase: One of its phases.
    """
    norms = [n for x in model.layers for n in batch_norm_layers(x)]
    if model._frozen_norms is None:
        # By identity: Keras would save layers that are listed here.
        model._frozen_norms = frozenset(id(n) for n in norms if not n.trainable)
    if phase.trains is not None:
        for layer in model.layers:
            backbones.set_trainable(layer, False)
        for layer in phase.trains:
            backbones.set_trainable(layer, True, batch_norm="train")
        for layer in model._flatten_layers(include_self=False):
            if id(layer) in model._frozen_norms or hasattr(layer, HELD):
                layer.trainable = False
    minimised = phase.minimises
    is_own = phase.data is images and minimised is not None
    if is_own and minimised != model._minimised:
        model._minimised = dict(minimised)
        model.loss_weights = dict(minimised)
    model.stage = phase.name


def check_weights(model) -> None:
    """Raises unless `loss_weights` maps names of terms to finite numbers.

    Raises:
        ValueError: If it is no dict, is empty or holds something else.
    """
    weights = model.loss_weights
    is_dict = isinstance(weights, dict) and weights
    if not is_dict or not all(map(_is_finite, weights.values())):
        raise ValueError(
            "`loss_weights` must be a dict from the name of a loss term to a "
            f"finite number. Received: loss_weights={weights!r}."
        )


def check_terms(model, terms: dict) -> None:
    """Raises if a model minimises what its `loss_terms` did not return.

    Raises:
        ValueError: If a name of `loss_weights` is missing in `terms`.
    """
    for name in model.loss_weights:
        if name not in terms:
            known = dict.fromkeys(terms)
            for phase in model.phases():
                known |= dict.fromkeys(phase.minimises or ())
            known.pop(name, None)
            raise ValueError(
                f"{type(model).__name__} minimises {name!r} in stage "
                f"{model.stage!r}, but its `loss_terms` returned "
                f"{', '.join(terms) or 'none'}. Correct `minimises` of the "
                "phase, or `loss_weights`. Known terms: "
                f"{', '.join(known)}."
            )


def _is_finite(value):
    return isinstance(value, numbers.Real) and math.isfinite(value)
