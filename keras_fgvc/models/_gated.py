"""Keras's methods that take targets, with the gate in front of each."""

import inspect

import keras

from keras_fgvc.models._gate import TargetGate, without_split
from keras_fgvc.models._gated_data import (
    gated,
    keeping_weights,
    one_sentence,
)
from keras_fgvc.models._replicated import ReplicatedModel


class GatedModel(ReplicatedModel):
    """A `keras.Model` that refuses wrong targets in one clear sentence.

    Arrays, `tf.data`, `keras.utils.PyDataset`, generators and loaders of
    PyTorch are read on the host. Whatever else gives batches is checked in
    the graph, where a wrong label makes the loss NaN.
    """

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains as `keras.Model.fit` does, with targets checked.

        `class_weight` may also stand beside targets that are a dict.

        Raises:
            ValueError: If the targets do not hold one label per image, or a
                label lies outside 0..num_classes-1.
        """
        bound = inspect.signature(super().fit).bind(x, y, *args, **kwargs)
        given = without_split(bound.arguments)
        gate = TargetGate(self.num_classes, given.get("class_weight"))
        if given.get("validation_data") is not None:
            given["validation_data"] = self._gated_validation(
                given["validation_data"]
            )
        changed = _gated_arguments(gate, given)
        if changed:  # the weights of the classes are those of the images
            given |= {**changed, "class_weight": None}
        with one_sentence(), keeping_weights(self):
            return super().fit(**given)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Evaluates as `keras.Model.evaluate` does, with targets checked."""
        if kwargs.get("_use_cached_eval_dataset"):  # `fit` has checked it
            return super().evaluate(x, y, *args, **kwargs)
        bound = inspect.signature(super().evaluate).bind(x, y, *args, **kwargs)
        given = bound.arguments
        given |= given.pop("kwargs", {})
        given |= _gated_arguments(TargetGate(self.num_classes), given)
        with one_sentence(), keeping_weights(self):
            return super().evaluate(**given)

    def train_on_batch(
        self,
        x,
        y=None,
        sample_weight=None,
        class_weight=None,
        return_dict=False,
    ):
        """Trains as `keras.Model.train_on_batch` does; checks the targets."""
        gate = TargetGate(self.num_classes, class_weight)
        y, weights = gate.arrays(x, y, sample_weight)
        with one_sentence():
            return super().train_on_batch(
                x, y, weights, return_dict=return_dict
            )

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Tests as `keras.Model.test_on_batch` does, with targets checked."""
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


def _gated_arguments(gate, given):
    """Returns the arguments that the gate has read; none of what it cannot."""
    values = [given.get(name) for name in ("x", "y", "sample_weight")]
    x, y, weights = gated(gate, *values)
    if x is values[0] and y is None:
        return {}
    return {"x": x, "y": y, "sample_weight": weights}
