"""One device or many, on one machine or several."""

import contextlib
import os

import keras

from keras_fgvc._checks import check_choice
from keras_fgvc._replicas import is_multi_worker
from keras_fgvc.data import Share

STRATEGIES = ("none", "mirrored", "multiworker", "tpu")


def make_strategy(name: str = "none", *, tpu: str = "local"):
    """A strategy by its name; build a model in its scope, train it outside.

    | name          | devices                                | backend         |
    |---------------|----------------------------------------|-----------------|
    | `none`        | one                                    | all             |
    | `mirrored`    | all GPUs of this machine               | TensorFlow, JAX |
    | `multiworker` | those of all machines of `TF_CONFIG`   | TensorFlow      |
    | `tpu`         | the cores of a TPU                     | TensorFlow      |

    A batch is cut into equal parts, one a device, so its size must be a
    multiple of their number, and a step has the outcome that it has on one
    device. On JAX `mirrored` is `keras.distribution.DataParallel` over all
    local devices.

    Under `multiworker` each machine runs the same program with its own
    `TF_CONFIG` (see TensorFlow's guide of distributed training) and the same
    `workdir`, a folder that all of them share; the first writes.

    Args:
        name: One of the above. Defaults to `"none"`.
        tpu: Name or address of the TPU, for `"tpu"`.

    Returns:
        Something with `scope()`: on TensorFlow a `tf.distribute.Strategy`.

    Raises:
        ValueError: An unknown name; one that the backend does not have; no
            `TF_CONFIG`; no such TPU.

    Example:

    ```python
    from keras_fgvc.models import Baseline
    from keras_fgvc.training import make_strategy

    with make_strategy("none").scope():
        model = Baseline("mobilenet_v2", num_classes=4, weights=None)
    ```
    """
    check_choice("name", name, STRATEGIES)
    if name == "none":
        return _OneDevice()
    backend = keras.backend.backend()
    if backend == "jax" and name == "mirrored":
        parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(parallel)
        return parallel
    if backend != "tensorflow":
        instead = ' "none" or "mirrored"' if backend == "jax" else ' "none"'
        raise ValueError(
            f'The strategy "{name}" is of the TensorFlow backend. On {backend} '
            f"use{instead}, or set KERAS_BACKEND=tensorflow."
        )
    return _MAKERS[name](tpu)


class _OneDevice:
    def scope(self):
        return contextlib.nullcontext()


def _mirrored(_):
    import tensorflow as tf

    return tf.distribute.MirroredStrategy()


def _multi_worker(_):
    import tensorflow as tf

    if "TF_CONFIG" not in os.environ:
        raise ValueError(
            'The strategy "multiworker" needs the environment variable '
            "TF_CONFIG on each machine, as in TF_CONFIG='"
            '{"cluster": {"worker": ["host0:1234", "host1:1234"]}, "task": '
            '{"type": "worker", "index": 0}}\'. It is not set.'
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def _tpu(address):
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(address)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise ValueError(
            f'The strategy "tpu" finds no TPU {address!r}: {error} Give its '
            "name or address, and install TensorFlow's build for TPUs."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


_MAKERS = {"mirrored": _mirrored, "multiworker": _multi_worker, "tpu": _tpu}


def is_chief(strategy) -> bool:
    """Tells whether this process writes files and judges.

    Args:
        strategy: From `make_strategy`.

    Example:

    ```python
    from keras_fgvc.training import is_chief, make_strategy

    is_chief(make_strategy("none"))  # True: there is no other
    ```
    """
    return Workers(strategy).is_chief


class Workers:
    """The processes that train a model, as `fit` needs them.

    Args:
        strategy: A `tf.distribute.Strategy`; anything else is one process
            with one replica.
    """

    def __init__(self, strategy):
        self.strategy = strategy
        self.is_multi_worker = is_multi_worker(strategy)
        self.num_replicas = getattr(strategy, "num_replicas_in_sync", 1)

    @property
    def is_chief(self) -> bool:
        """Tells whether this process writes files and shows progress."""
        return self.number == 0

    @property
    def number(self) -> int:
        """Returns the number of this process; the chief has 0."""
        if not self.is_multi_worker:
            return 0
        resolver = self.strategy.cluster_resolver
        has_chief = "chief" in resolver.cluster_spec().as_dict()
        if resolver.task_type == "chief":
            return 0
        return resolver.task_id + has_chief

    def check_outside(self) -> None:
        """Raises inside the scope of a strategy with other processes.

        When Keras saves, it makes an optimizer to look at. In the scope its
        variable waits for the other processes, which do not save.
        """
        if self.is_multi_worker:
            import tensorflow as tf

            if tf.distribute.has_strategy():
                raise ValueError(
                    "Call `fit` outside of `strategy.scope()`, and build the "
                    "model inside."
                )

    def scope(self):
        """Returns the scope in which all make and load variables at once."""
        if self.strategy is None:
            return contextlib.nullcontext()
        return self.strategy.scope()

    def wait(self) -> None:
        """Returns when all processes got here."""
        if self.is_multi_worker:
            import tensorflow as tf

            one = self.strategy.run(tf.function(lambda: tf.constant(1.0)))
            self.strategy.reduce("SUM", one, axis=None)

    def num_batches(self, count: int, batch_size: int) -> int | None:
        """Counts the steps that go once through all of `count` images.

        None for one replica: its batches have an end.
        """
        if self.num_replicas == 1:
            return None
        share = Share(replicas=self.num_replicas)
        return share.num_batches(count, batch_size, drops=False)

    def share_out(self, make_batches):
        """Batches for Keras to train on, each replica's part by itself.

        Args:
            make_batches: Function from a `data.Share`, or None for all of
                each batch, to a `tf.data.Dataset`.

        Returns:
            The dataset or, for several replicas, a distributed one without
            an end: Keras would take its number of parts for that of steps.
        """
        strategy = self.strategy
        if self.num_replicas == 1:
            return make_batches(None)

        def of_worker(context):
            share = Share(
                context.input_pipeline_id,
                context.num_input_pipelines,
                context.num_replicas_in_sync // context.num_input_pipelines,
            )
            return make_batches(share).repeat()

        return strategy.distribute_datasets_from_function(of_worker)
