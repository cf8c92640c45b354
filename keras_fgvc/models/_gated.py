"""Keras's methods that take targets, with the gate in front of each."""

import inspect

import keras
import numpy as np

from keras_fgvc.backbones.own_models import check_images
from keras_fgvc.models._gate import TargetGate, without_split
from keras_fgvc.models._gated_data import (
    StopsAtNan,
    gated,
    keeping_weights,
    one_sentence,
)
from keras_fgvc.models._replicated import ReplicatedModel


class GatedModel(ReplicatedModel):
    """A `keras.Model` that refuses wrong targets in one clear sentence.

    Arrays, `tf.data`, `keras.utils.PyDataset`, generators and loaders of
    PyTorch and Grain are read on the host. Whatever else gives batches is
    checked in the graph, and a loss that a wrong label makes NaN is an error.
    """

    def __call__(self, *args, **kwargs):
        if args and self.inputs:
            check_images(self, args[0])
        return super().__call__(*args, **kwargs)

    def call(self, inputs, training=None, mask=None, **kwargs):
        check_images(self, inputs)  # JAX's steps do not come by `__call__`
        return super().call(inputs, training=training, mask=mask, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Predicts as `keras.Model.predict` does; images have a size to be."""
        _check_size(self, x)
        with one_sentence(), keeping_weights(self):
            return super().predict(x, *args, **kwargs)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains as `keras.Model.fit` does, with targets checked.

        `class_weight` may also stand beside targets that are a dict.

        Raises:
            ValueError: If the targets do not hold one label per image, or a
                label lies outside 0..num_classes-1.
        """
        _check_size(self, x)
        bound = inspect.signature(super().fit).bind(x, y, *args, **kwargs)
        given = without_split(bound.arguments)
        gate = TargetGate(self.num_classes, given.get("class_weight"))
        is_unread = False
        if given.get("validation_data") is not None:
            validation = self._gated_validation(given["validation_data"])
            is_unread = validation is given["validation_data"]
            given["validation_data"] = validation
        changed = _gated_arguments(gate, given)
        if changed:  # the weights of the classes are those of the images
            given |= {**changed, "class_weight": None}
        if is_unread or not changed:
            given["callbacks"] = _with(StopsAtNan(gate), given)
        with one_sentence(), keeping_weights(self):
            return super().fit(**given)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Evaluates as `keras.Model.evaluate` does, with targets checked."""
        if kwargs.get("_use_cached_eval_dataset"):  # `fit` has checked it
            return super().evaluate(x, y, *args, **kwargs)
        _check_size(self, x)
        bound = inspect.signature(super().evaluate).bind(x, y, *args, **kwargs)
        given = bound.arguments
        given |= given.pop("kwargs", {})
        gate = TargetGate(self.num_classes)
        changed = _gated_arguments(gate, given)
        with one_sentence(), keeping_weights(self):
            found = super().evaluate(**(given | changed))
        if not changed:
            is_dict = isinstance(found, dict)
            gate.check_loss(found["loss"] if is_dict else np.ravel(found)[0])
        return found

    def train_on_batch(
        self,
        x,
        y=None,
        sample_weight=None,
        class_weight=None,
        return_dict=False,
    ):
        """Trains as `keras.Model.train_on_batch` does; checks the targets."""
        _check_size(self, x)
        gate = TargetGate(self.num_classes, class_weight)
        y, weights = gate.arrays(x, y, sample_weight)
        with one_sentence():
            return super().train_on_batch(
                x, y, weights, return_dict=return_dict
            )

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Tests as `keras.Model.test_on_batch` does, with targets checked."""
        _check_size(self, x)
        gate = TargetGate(self.num_classes)
        y, weights = gate.arrays(x, y, sample_weight)
        with one_sentence():
            return super().test_on_batch(x, y, weights, return_dict=return_dict)

    def _gated_validation(self, data):
        """Checks validation data; no class weighs them."""
        gate = TargetGate(self.num_classes)
        if not isinstance(data, (list, tuple)):
            return gated(gate, data)[0]
        return gated(gate, *keras.utils.unpack_x_y_sample_weight(data))


def _check_size(model, x):
    """Checks the size of images that a graph for any size would not see."""
    spec = getattr(x, "element_spec", None)  # of `tf.data`
    if spec is not None:
        x = keras.utils.unpack_x_y_sample_weight(spec)[0]
    check_images(model, x)


def _with(callback, given):
    """Returns the callbacks of a call of `fit`, and one more."""
    callbacks = given.get("callbacks")
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.append(callback)
        return callbacks
    return [*keras.tree.flatten(callbacks or []), callback]


def _gated_arguments(gate, given):
    """Returns the arguments that the gate has read; none of what it cannot."""
    values = [given.get(name) for name in ("x", "y", "sample_weight")]
    x, y, weights = gated(gate, *values)
    if x is values[0] and y is None:
        return {}
    return {"x": x, "y": y, "sample_weight": weights}
