"""Computes the outputs of a network once per image and keeps them in files."""

import functools
import hashlib
import pathlib

import numpy as np

from keras_fgvc._checks import as_size, check_choice, check_positive_int
from keras_fgvc._files import size_text
from keras_fgvc.data.dataset import LabeledImages
from keras_fgvc.data.pipeline.batches import Epochs
from keras_fgvc.data.pipeline.shares import Share
from keras_fgvc.data.sources import stored_rows
from keras_fgvc.data.sources.source import add_json
from keras_fgvc.data.sources.source import fingerprint as fingerprint_of
from keras_fgvc.decoding.images import DECODING

DTYPES = ("float16", "float32")


class Precomputed:
    """Arrays of a data set's images, computed once, read in any order.

    For stages that train on what a fixed network gives, such as the
    localiser of FCAN (Liu et al., 2016, https://arxiv.org/abs/1603.06765),
    which is trained on cached feature maps: an epoch costs the reading of
    files, and the network runs once.

    The arrays are computed at the first use. Whatever is on disk then is
    used: a process that was killed goes on where it was, and a cache of
    other images, other weights or other settings is deleted, with a line
    that says what differs. Only one process at a time may compute. Memory
    holds some batches of arrays at a time, in computing as in reading.

    Has what a stage of training asks of a data set: `name`, `class_names`
    (if `source` has them), `split_sizes` and `batches`.

    Args:
        source: `LabeledImages` or another `Precomputed`: anything with
            `name`, `split_sizes`, a `fingerprint` and `batches` that come in
            a fixed order.
        folder: Where the files go, made if it is missing. Other files in it
            are left alone.
        compute: Function from the inputs of one batch (NumPy) to an array
            `(batch, ...)`, the same for an image whatever is beside it.
        fingerprint: Text that names what `compute` does, such as a hash of
            the network's weights.
        batch_size: Images that `compute` gets at a time, at most.
        dtype: `"float16"` or `"float32"`, of the files. Default "float16",
            which keeps three digits: boxes want "float32".
        load_size: Side length or pair (height, width) of the images that
            `compute` sees, in pixels; None if `source` has no images.
        splits: Names of the splits to compute.

    Attributes:
        split_sizes: Dictionary from the name of each such split to its size.
        fingerprint: Text that changes with all of the above that changes
            the arrays; not the argument alone.

    Raises:
        ValueError: `source` has no such split, or `splits` is empty; `dtype`
            is not one of these; `load_size` or `batch_size` is wrong.
        TypeError: `fingerprint` is not a text.

    Example:

    ```python
    import tempfile
    import numpy as np
    from keras_fgvc.data import Examples, LabeledImages, Precomputed

    examples = Examples(
        labels=np.array([0, 1, 1], "int32"),
        images=np.zeros((3, 32, 32, 3), "uint8"),
    )
    data = LabeledImages("three", ("cat", "dog"), {"train": examples})
    with tempfile.TemporaryDirectory() as folder:
        colours = Precomputed(
            data,
            folder,
            compute=lambda images: images.mean(axis=(1, 2)),
            fingerprint="mean colours",
            load_size=32,
            splits=("train",),
        )
        batches = colours.batches("train", batch_size=3, training=True)
        for arrays, labels in batches:
            assert arrays.shape == (3, 3)
    ```
    """

    def __init__(
        self,
        source,
        folder,
        *,
        compute,
        fingerprint: str,
        batch_size: int = 32,
        dtype: str = "float16",
        load_size=None,
        splits=("train", "validation"),
    ):
        if not splits:
            raise ValueError("`splits` must name one split at least.")
        for split in splits:
            check_choice("splits", split, tuple(source.split_sizes))
        if not isinstance(fingerprint, str) or not fingerprint:
            raise TypeError(
                "`fingerprint` must be a text that names what `compute` does, "
                "such as a hash of the weights. "
                f"Received: fingerprint={fingerprint!r}."
            )
        check_positive_int("batch_size", batch_size)
        check_choice("dtype", dtype, DTYPES)
        if load_size is not None or isinstance(source, LabeledImages):
            load_size = as_size("load_size", load_size)
        self.source = source
        self.folder = pathlib.Path(folder)
        self.compute = compute
        self.compute_fingerprint = fingerprint
        self.batch_size = batch_size
        self.dtype = dtype
        self.load_size = load_size
        self.name = source.name
        self.split_sizes = {name: source.split_sizes[name] for name in splits}
        if hasattr(source, "class_names"):
            self.class_names = source.class_names

    @functools.cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        add_json(digest, self._identity)
        return digest.hexdigest()

    @functools.cached_property
    def _identity(self) -> dict:
        """Returns the facts of cache.json; the shape follows from them."""
        return {
            "format": stored_rows.FORMAT,
            "decoding": DECODING,
            "source": fingerprint_of(self.source),
            "compute": self.compute_fingerprint,
            "load_size": self.load_size and [int(n) for n in self.load_size],
            "dtype": self.dtype,
        }

    def ensure(self) -> None:
        """Computes what is missing; `batches` and `arrays` call it.

        Raises:
            ValueError: `compute` gives a wrong number of arrays, arrays of
                changing shape, or values that `dtype` cannot hold; the
                folder has another program's `cache.json`.
            OSError: The disk has not enough room.
        """
        self._ensured()

    def batches(
        self,
        split: str,
        *,
        batch_size: int,
        training: bool = False,
        seed: int = 0,
        epochs=None,
        drop_remainder: bool | None = None,
        share: Share | None = None,
        **ignored,
    ):
        """The arrays of one split in batches, read while they are used.

        The order of an epoch e in training depends only on `seed` and e, and
        is that of `LabeledImages.batches`.

        Args:
            split: Name of the split.
            batch_size: Number of arrays in a batch.
            training: Whether to shuffle. Default False.
            seed: Integer from 0, of the order.
            epochs: Training only. A range of epochs, run through one after
                another; or None for epoch 0.
            drop_remainder: Whether to leave out the last, smaller batch of
                each epoch. Default: as `training`.
            share: As of `LabeledImages.batches`.
            **ignored: What only images have, such as `augmentation`.

        Returns:
            `tf.data.Dataset` of known length with elements (arrays, labels):
            float32 `(batch, ...)` and int32 `(batch,)`.

        Raises:
            ValueError: An unknown split; fewer arrays than one batch;
                `epochs` outside training. And as `ensure`.
        """
        import tensorflow as tf

        count = self._size_of(split)
        if epochs is None and training:
            epochs = range(1)
        plan = Epochs(
            count, batch_size, training, seed, epochs, drop_remainder, share
        )
        stored = self._ensured()
        with tf.device("CPU:0"):
            labels = tf.constant(self.labels(split))

        def read(indices):
            arrays = tf.numpy_function(
                lambda chosen: stored.read(split, chosen), [indices], tf.float32
            )
            shape = (indices.shape[0], *stored.shape)
            return tf.ensure_shape(arrays, shape), tf.gather(labels, indices)

        def one_epoch(indices, epoch):
            chosen = tf.data.Dataset.from_tensor_slices(indices)
            return plan.batch(chosen).map(
                read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
            )

        return plan.batches(one_epoch)

    def arrays(self, split: str) -> np.ndarray:
        """Reads the arrays of a split into memory, float32 `(n, ...)`.

        For small ones, such as boxes.
        """
        count = self._size_of(split)
        return self._ensured().read(split, np.arange(count))

    def labels(self, split: str) -> np.ndarray:
        """The labels of a split, int32 `(n,)`."""
        self._size_of(split)
        if isinstance(self.source, LabeledImages):
            labels = self.source.subset(split).labels
        elif hasattr(self.source, "labels"):
            labels = self.source.labels(split)
        else:
            batches, _ = self._open_source(split)
            labels = [labels for _, labels in batches.as_numpy_iterator()]
            labels = np.concatenate(labels)
        return np.asarray(labels, np.int32)

    def _size_of(self, split) -> int:
        check_choice("split", split, tuple(self.split_sizes))
        return self.split_sizes[split]

    def _open_source(self, split):
        """The inputs of a split in batches, and the size of these."""
        batches = self.source.batches(
            split, load_size=self.load_size, batch_size=self.batch_size
        )
        return batches, self.batch_size

    def _ensured(self) -> stored_rows.StoredRows:
        """Returns the cache, computing the rows that are missing."""
        found = stored_rows.read_key(self.folder)
        wanted = self._identity | {"shape": found.get("shape", "unknown")}
        differing = [key for key in wanted if found.get(key) != wanted[key]]
        compute = stored_rows.CheckedCompute(self.compute, self.dtype)
        first = None
        if differing:
            batches, _ = self._open_source(next(iter(self.split_sizes)))
            inputs, labels = next(batches.take(1).as_numpy_iterator())
            first = compute(inputs, len(labels))
        else:
            compute.shape = tuple(found["shape"])
        stored = stored_rows.StoredRows(
            self.folder,
            self.split_sizes,
            compute.shape,
            self.dtype,
            self._identity | {"shape": list(compute.shape)},
        )
        missing = {
            split: count - (0 if differing else stored.done(split))
            for split, count in self.split_sizes.items()
        }
        if any(missing.values()):
            _announce(self.name, stored, missing)
            stored_rows.check_space(stored, will_start_anew=bool(differing))
            if differing:
                stored_rows.start_anew(
                    self.folder, stored.key, found and differing
                )
            stored_rows.fill(stored, missing, self._open_source, compute, first)
        return stored


def _announce(name: str, stored, missing: dict) -> None:
    """Prints what a cache will hold and how much of it is there."""
    total = sum(stored.split_sizes.values())
    there = total - sum(missing.values())
    size = size_text(total * stored.row_bytes)
    print(
        f"{name}: {total} arrays of shape {stored.shape}, {stored.dtype}, "
        f"{size} in {stored.folder}; "
        f"{there} of them are there already."
    )
