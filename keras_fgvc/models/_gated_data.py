"""Data of every kind that Keras takes, with the gate in front of it."""

import copy
import re
import sys
import types
from contextlib import contextmanager

import keras

# What the gate says, wherever its error comes out again: from a graph, from
# a generator that TensorFlow calls, from another process.
SENTENCE = re.compile(
    r"(?:assertion failed: \[|(?:Value|Type)Error: )"
    r"((?:Labels|Targets|Images|`sample_weight`|`class_weight`) must .*?)"
    r"(?:\]?\s*\n|\]\s*\[\[|\]?$)"
)


@contextmanager
def one_sentence():
    """Raises an error of the gate as its sentence, not as 40 lines of graph."""
    try:
        yield
    except Exception as error:
        found = SENTENCE.search(str(error))
        if found is None:
            raise
        raise ValueError(found[1].replace("] [", " ")) from None


@contextmanager
def keeping_weights(model):
    """Gives a model its weights back after an error between two steps.

    On JAX Keras takes the values of all variables away while steps run, and
    loses them where the data of a step raise.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)
    before = {id(v): v._value for v in _all_variables(model)}
    try:
        yield
    except Exception:
        model.jax_state_sync()
        for v in _all_variables(model):
            if v._value is None:
                # Metrics that this call made had counted nothing.
                zeros = keras.ops.zeros(v.shape, v.dtype)
                v._value = before.get(id(v), zeros)
        raise


def _all_variables(model):
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *model.metrics_variables]
    return variables + (optimizer.variables if optimizer else [])


def gated(gate, x, y=None, sample_weight=None) -> tuple:
    """Returns data, targets and weights as `keras.Model.fit` takes them.

    Args:
        gate: A `TargetGate`.
        x: Arrays, or data that come in batches.
        y: Targets beside arrays.
        sample_weight: Weights beside arrays.
    """
    batches = _gated_batches(gate, x)
    if batches is not None:
        # Keras refuses targets beside batches.
        return (batches if y is None else x), y, sample_weight
    if y is None and not _is_arrays(x):
        return x, y, sample_weight  # checked in the graph
    return x, *gate.arrays(x, y, sample_weight)


def _gated_batches(gate, x):
    """Returns data that check each batch; None for other data."""
    if isinstance(x, keras.utils.PyDataset):
        return _PyDataset(x, gate)
    if isinstance(x, types.GeneratorType):
        return (gate.batch(batch) for batch in x)
    tf, torch = sys.modules.get("tensorflow"), sys.modules.get("torch")
    if tf is not None and isinstance(x, tf.data.Dataset):
        return x.map(
            tf.autograph.experimental.do_not_convert(gate.batch_in_graph)
        )
    if torch is not None and isinstance(x, torch.utils.data.DataLoader):
        loader = copy.copy(x)
        loader._iterator = None  # one of persistent workers collates as before
        loader.collate_fn = _Collate(x.collate_fn, gate)
        return loader
    grain = sys.modules.get("grain")
    if grain is not None and isinstance(
        x, (grain.MapDataset, grain.IterDataset, grain.DataLoader)
    ):
        return _gated_grain(gate, x, grain)
    return None


def _gated_grain(gate, x, grain):
    class Check(grain.transforms.Map):
        def map(self, batch):
            return gate.batch(batch)

    if not isinstance(x, grain.DataLoader):
        return x.map(Check())
    loader = copy.copy(x)  # its operations are read as Keras reads them
    loader._operations = [*x._operations, Check()]
    return loader


class StopsAtNan(keras.callbacks.Callback):
    """Ends a training on data whose labels nothing reads on the host.

    A label that is no class number makes the loss NaN there.

    Args:
        gate: `TargetGate` of the model.
    """

    def __init__(self, gate):
        super().__init__()
        self.gate = gate

    def on_epoch_end(self, epoch, logs=None):
        for name in ("loss", "val_loss"):
            self.gate.check_loss((logs or {}).get(name, 0.0))


def _is_arrays(x):
    if isinstance(x, (dict, list, tuple)):
        return True
    return x is None or hasattr(x, "shape")


class _PyDataset(keras.utils.PyDataset):
    """Another dataset, with its batches checked."""

    def __init__(self, dataset, gate):
        super().__init__(
            workers=dataset.workers,
            use_multiprocessing=dataset.use_multiprocessing,
            max_queue_size=dataset.max_queue_size,
        )
        self.dataset = dataset
        self.gate = gate

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def __getitem__(self, index):
        return self.gate.batch(self.dataset[index])

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()


class _Collate:
    """Collates as a loader of PyTorch does, and checks the batch."""

    def __init__(self, collate, gate):
        self.collate = collate
        self.gate = gate

    def __call__(self, samples):
        import torch

        x, *rest = self.gate.batch(self.collate(samples))
        return x, *keras.tree.map_structure(torch.as_tensor, rest)
