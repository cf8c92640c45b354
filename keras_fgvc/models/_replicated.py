"""Keras's own training loop, also where a model lives on many devices."""

import keras
from keras import ops

from keras_fgvc._replicas import is_multi_worker, strategy_of
from keras_fgvc.models._pixels import LooksAtPixels


class ReplicatedModel(LooksAtPixels):
    """A `keras.Model` that `tf.distribute` strategies train as they should.

    On one device, and on other backends than TensorFlow, it is `keras.Model`.
    On many, what fails in Keras 3.15 is mended:

    - `fit` and `evaluate` fail under `MultiWorkerMirroredStrategy`: one takes
      the first batch's mean over workers to see its shapes, the other the
      mean of scalars along an axis. Shapes are seen in the first replica's
      part, which also lets parts differ in size.
    - `predict_on_batch` has each replica predict the whole batch, and joins
      the answers, that many times too many.
    """

    _predict_alone = None

    @property
    def _is_replicated(self):
        strategy = strategy_of(self)
        return strategy is not None and strategy.num_replicas_in_sync > 1

    def forget_traces(self) -> None:
        """Has Keras trace its steps again, with a setting that changed."""
        self.train_function = None
        self.test_function = None
        self.predict_function = None
        self._predict_alone = None

    def predict_on_batch(self, x):
        """Predicts as `keras.Model` does, on the first device alone."""
        if not self._is_replicated:
            return super().predict_on_batch(x)
        import tensorflow as tf

        if self._predict_alone is None:
            self._predict_alone = tf.function(
                lambda x: self(x, training=False), reduce_retracing=True
            )
        return keras.tree.map_structure(
            ops.convert_to_numpy, self._predict_alone(x)
        )

    # ---- Keras's own methods: nothing public does this ----

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if iterator is None or not self._is_replicated:
            return super()._maybe_symbolic_build(iterator, data_batch)
        strategy = self.distribute_strategy
        for _, _, batches in iterator:
            data_batch = keras.tree.map_structure(
                lambda value: strategy.experimental_local_results(value)[0],
                next(batches),
            )
            break
        return super()._maybe_symbolic_build(data_batch=data_batch)

    def _make_function(self, step_function, *args, **kwargs):
        strategy = strategy_of(self)
        if not is_multi_worker(strategy):
            return super()._make_function(step_function, *args, **kwargs)
        import tensorflow as tf

        def mean_of_local(value):
            local = strategy.experimental_local_results(value)
            return tf.reduce_mean(tf.stack(local), axis=0)

        def step(batches):
            outputs = strategy.run(step_function, args=(next(batches),))
            # For the progress bar; an epoch ends with the metrics of all.
            return keras.tree.map_structure(mean_of_local, outputs)

        return step if self.run_eagerly else tf.function(step)
