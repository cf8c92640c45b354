"""Differences between one device and many.

Everything else in the package is written for one device. Under a
`tf.distribute` strategy a step runs once per replica on its share of the
batch; the functions here make what a loss reads and writes the same as in
one step over the joined batch. On other backends, on one device and while a
graph is being built they change nothing.
"""

import contextlib

import keras
from keras import ops

# A prime, far more than any seed generator is asked for in a step.
SEED_STEP = 7919


def _replica_context():
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        return None
    # None in cross-replica context: a model being built inside scope().
    return tf.distribute.get_replica_context()


def must_synchronize() -> bool:
    """Tells whether a layer that is built now will have replicas beside it.

    BatchNormalization is then to use the joined batch's statistics. JAX sees
    the joined batch anyway; Keras refuses the argument elsewhere. One device
    does without: Keras then has a more exact formula.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.distribute.has_strategy()


def num_replicas() -> int:
    """Number of replicas that take part in the current step (1 if alone)."""
    context = _replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def strategy_of(model):
    """The strategy in whose scope a model was built, or None."""
    return getattr(model, "_distribute_strategy", None)


def strategy_scope(model):
    """The scope of the strategy a model was built in, or an empty one."""
    strategy = strategy_of(model)
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def is_multi_worker(strategy) -> bool:
    """Tells whether a strategy has other processes, each with its replicas."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    kind = tf.distribute.MultiWorkerMirroredStrategy
    if not isinstance(strategy, kind):
        return False
    resolver = strategy.cluster_resolver
    machines = resolver.cluster_spec().as_dict() if resolver else {}
    return sum(map(len, machines.values())) > 1


def join_batch(tensor, training=True):
    """Joins the replicas' shares of a batch, in replica order.

    Differentiable: each replica places its share in a buffer of zeros and the
    buffers are summed, so a gradient finds its way back to the share it came
    from.

    Args:
        tensor: `(batch, ...)`, this replica's share.
        training: Whether shares are of equal size, as those of training
            batches are, which drop the remainder.

    Returns:
        `(sum of batches, ...)`, the same on each replica.
    """
    if num_replicas() == 1:
        return tensor
    if training:
        return ops.reshape(_stack(tensor), (-1, *tensor.shape[1:]))
    sizes = _stack(ops.cast(ops.shape(tensor)[0], "int32"))
    largest = ops.max(sizes)
    missing = largest - ops.shape(tensor)[0]
    padding = [(0, missing)] + [(0, 0)] * (len(tensor.shape) - 1)
    import tensorflow as tf

    stacked = _stack(tf.pad(tensor, padding))
    return tf.boolean_mask(stacked, tf.sequence_mask(sizes, largest))


def _stack(tensor):
    """`(replicas, ...)`: the tensors of all replicas, of equal shapes."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    place = ops.one_hot(
        context.replica_id_in_sync_group, num_replicas(), dtype=tensor.dtype
    )
    shape = (-1,) + (1,) * len(tensor.shape)
    buffer = ops.reshape(place, shape) * ops.expand_dims(tensor, 0)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, buffer)


class SeedGenerator(keras.random.SeedGenerator):
    """Keras's, but each replica draws numbers of its own.

    The state is the same on every replica; without the replica's number in
    the seed all of them would choose alike.
    """

    def next(self, ordered=True):
        seed = super().next(ordered=ordered)
        if num_replicas() == 1:
            return seed
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        replica = ops.cast(context.replica_id_in_sync_group, seed.dtype)
        return seed + ops.stack([replica * SEED_STEP, ops.zeros_like(replica)])
