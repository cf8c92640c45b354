"""Base of all methods: losses by name, metrics, phases, config.

A method builds a functional graph from raw images to a dict of named outputs
and says in `loss_terms` what it minimises; the standard `fit`, `evaluate`,
`predict`, `save` and `export` do the rest.
"""

import keras
from keras import ops

from keras_fgvc._replicas import num_replicas, strategy_scope
from keras_fgvc.models._gated import GatedModel
from keras_fgvc.models._metrics import MetricList
from keras_fgvc.models._saved_arguments import SavedArguments
from keras_fgvc.models._targets import (
    assert_in_graph,
    labels_of,
    mean_over_images,
    nan_without_class,
    weights_of,
)
from keras_fgvc.models.declaration import check_meanings
from keras_fgvc.models.phases import (
    CLASSIFIER,
    Phase,
    check_phases,
    check_terms,
    check_weights,
    enter,
    find_phase,
    first_phase,
)
from keras_fgvc.ops._labels import class_numbers


class _Monitors:
    """Holds metrics that are neither weights nor part of a saved file.

    Keras tracks and saves any metric it finds in a model's attributes; what
    only watches the training must not change the layout of a weights file.
    """

    def __init__(self):
        self.terms = {}  # name of a loss term -> keras.metrics.Mean
        self.localization = []  # metrics that need boxes or heat maps
        self.given = {}  # name of an argument of `compile` -> MetricList


class FineGrainedModel(SavedArguments, GatedModel, keep_arguments=False):
    """Base of all methods: a functional graph whose losses are its own.

    A subclass builds its graph, calls `super().__init__(inputs, outputs,
    ...)` with a dict of outputs that has `"probabilities"`, and implements
    `loss_terms`.

    - `compile(optimizer, metrics=[...])` takes no loss. Metrics see
      `(labels, probabilities)`; those of `keras_fgvc.metrics` see the whole
      dicts.
    - Targets are integer labels `(batch,)`, or a dict with `"label"` and
      whatever else a metric wants (`"box"`).
    - `loss_weights` maps the name of each active loss term to its weight.
      Each term is shown by name in the progress bar and the history. After a
      change of it, `compile` again.
    - The arguments of the subclass's constructor are attributes of the same
      names, and its config: saving and loading needs nothing else.
      `num_classes` is the base's; `weights` is left out, because a saved file
      brings its own. `class Task(FineGrainedModel, keep_arguments=False)` is
      a model that is never saved.
    - `initial_weights` tells where the backbone's weights came from, `None`
      where nobody said; `training.fit` notes it beside the run.
    - `phases()` returns what the method's training does, by default one
      phase that trains everything; `begin_stage(name)` applies one of them.
    - `output_meanings` says what the outputs mean; pictures, evaluation and
      the command line read it.
    - `threshold_stage` names the stage after which `set_threshold` may be
      called; `None` for a method without a threshold.

    Args:
        inputs: Symbolic images `(batch, height, width, 3)`.
        outputs: Dict of symbolic outputs.
        num_classes: Integer, the number of classes.
        output_meanings: Dict from the name of an output to its meaning, see
            `keras_fgvc.models.outputs`. Defaults to none: evaluation and
            pictures then take the probabilities alone.
        **kwargs: `name` and the like, as for `keras.Model`.

    Raises:
        ValueError: If `output_meanings` does not fit the outputs.
    """

    threshold_stage = None

    def __init__(
        self,
        inputs,
        outputs,
        *,
        num_classes: int,
        output_meanings: dict | None = None,
        **kwargs,
    ):
        check_meanings(output_meanings or {}, outputs)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.num_classes = num_classes
        self.output_meanings = dict(output_meanings or {})
        self.loss_weights = {"cross_entropy": 1.0}
        self.stage = None
        self.initial_weights = None
        self._monitors = _Monitors()
        self._minimised = None  # by the last phase, see `phases.enter`
        self._frozen_norms = None

    def loss_terms(self, labels, outputs, training: bool) -> dict:
        """The terms of the loss, before their weights.

        Args:
            labels: `(batch,)`, int32; -1 where a label is no class number,
                and the terms are made NaN.
            outputs: The model's outputs by name.
            training: Whether this is a training step; layers that keep state
                for a loss must change it only then.

        Returns:
            Dict from name to `(batch,)`, one value an image, which
            `sample_weight` weighs, or to a scalar, which it does not. It has
            each name of `loss_weights`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `loss_terms`."
        )

    def phases(self) -> tuple:
        """Returns what the method's training does, a `Phase` per stage.

        It is called often, also while the model is being built: it only
        describes, and changes nothing.
        """
        return (Phase(CLASSIFIER),)

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages of training, those of `phases()` in order."""
        return tuple(phase.name for phase in self.phases())

    def begin_stage(self, name: str) -> Phase:
        """Makes the model ready for a stage of its training.

        Sets what trains and what is minimised; `compile` afterwards. Weights
        of loss terms that you changed hold on until a phase minimises
        something else.

        Args:
            name: One of `stages`.

        Returns:
            The `Phase` that was begun.

        Raises:
            ValueError: If the model has no such stage.
        """
        phase = find_phase(self, name)
        if phase.begin is not None:
            phase.begin()
        self._enter(name)
        return phase

    def _enter(self, name):
        enter(self, find_phase(self, name))

    def _enter_first_phase(self):
        check_phases(self)
        if self.stage is None:
            enter(self, first_phase(self))

    def head_variables(self) -> list:
        """Returns the variables that train behind the backbones.

        A recipe may let it learn faster; see `recipes.Stage.head_rate`.
        """
        slow = {id(w) for m in self.feature_extractors() for w in m.weights}
        return [v for v in self.trainable_variables if id(v) not in slow]

    def feature_extractors(self) -> list:
        """The backbones that classify, a list of `keras.Model`."""
        return [self.features]

    # ---- Keras's own training loop, told where to look ----

    def compile(
        self,
        optimizer="rmsprop",
        *,
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        **kwargs,
    ):
        """Compiles as `keras.Model.compile` does, without a loss.

        Args:
            optimizer: As in `keras.Model.compile`.
            loss: Must stay `None`: the losses are part of the model.
            loss_weights: Must stay `None`: set `model.loss_weights` before.
            metrics: List of metrics. Those of `keras_fgvc.metrics` receive
                the dicts of targets and outputs, all others the labels and
                `"probabilities"`. Keras's metrics without "sparse" in their
                name receive the labels as one-hot rows. So does one of your
                own that has the attribute `needs_one_hot = True`.
            weighted_metrics: The same, weighted by `sample_weight` and
                `class_weight`.
            **kwargs: As in `keras.Model.compile`.

        Raises:
            ValueError: If `loss` or `loss_weights` is given, `metrics` is no
                list, or a metric cannot compare labels with probabilities.
        """
        if loss is not None:
            raise ValueError(
                f"The losses of {type(self).__name__} are part of the model: "
                f"call `compile` without `loss`. Received: loss={loss!r}. "
                "Their weights are in `model.loss_weights`."
            )
        if loss_weights is not None:
            raise ValueError(
                "Set `model.loss_weights`, which has "
                f"{', '.join(self.loss_weights)}, and call `compile` without. "
                f"Received: loss_weights={loss_weights!r}."
            )
        check_weights(self)
        lists = {"metrics": metrics, "weighted_metrics": weighted_metrics}
        with strategy_scope(self):
            fed = {
                name: MetricList(name, each, self.num_classes)
                for name, each in lists.items()
            }
        monitors = self._monitors
        monitors.given = fed
        monitors.localization = [m for x in fed.values() for m in x.of_outputs]
        monitors.terms = {
            name: keras.metrics.Mean(name=name) for name in self.loss_weights
        }
        of_labels = {name: each.of_labels for name, each in fed.items()}
        super().compile(optimizer, **of_labels, **kwargs)

    def get_compile_config(self):
        config = super().get_compile_config()
        if config:
            for name, metrics in self._monitors.given.items():
                config[name] = metrics.serialize()
        return config

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        del x
        labels = labels_of(y)
        assert_in_graph(labels, self.num_classes)
        numbers = class_numbers(labels, self.num_classes)
        weights = weights_of(sample_weight)
        terms = self.loss_terms(numbers, y_pred, training)
        check_terms(self, terms)
        total, count = 0.0, ops.shape(labels)[0]
        for name, weight in self.loss_weights.items():
            term = nan_without_class(terms[name], numbers >= 0)
            term = mean_over_images(term, weights)
            if name in self._monitors.terms:
                # By its images, as Keras weighs "loss": batches may differ.
                self._monitors.terms[name].update_state(term, count)
            total = total + weight * term
        for loss in self.losses:  # of regularisers and layers
            total = total + ops.sum(ops.cast(loss, total.dtype))
        # Replicas' gradients are summed: each counts as its share.
        return total / num_replicas()

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        weights = weights_of(sample_weight)
        for metric in self._monitors.localization:
            metric.update_state(y, y_pred, weights)
        return super().compute_metrics(
            x, labels_of(y), y_pred["probabilities"], weights
        )

    @property
    def metrics(self):
        own = [*self._monitors.terms.values(), *self._monitors.localization]
        return [*super().metrics, *own]
