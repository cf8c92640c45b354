"""Small maps and their enlargements, to train an up-sampler on."""

import numpy as np

from keras_fgvc._checks import check_positive_int
from keras_fgvc.data.pipeline.shares import Share, batch_parts

INTERPOLATIONS = ("bilinear", "bicubic", "nearest")
MAP_SIZE = 8  # Cells a side: a few kernels wide, so that borders count too.
VALIDATION_SHARE = 0.1
# Streams of random numbers that must not meet.
STREAMS = {"train": 0, "validation": 1}


class UpsamplingPairs:
    """Pairs of a random map and the same map enlarged by an interpolation.

    Bilinear, bicubic and nearest interpolation in equal parts, as in the
    pre-training of Coarse2Fine (Eshratifar et al., 2019). The maps are
    uniform noise of 2, 4 or 8 cells a side, enlarged to 8, so that smooth
    and rough ones both occur.

    Has what a stage of training asks of a data set: `name`, `split_sizes`
    and `batches`.

    Args:
        num_train: Number of training pairs; a tenth more are for validation.
        factor: Pixels a cell, of the up-sampler.

    Raises:
        ValueError: If an argument is below 1.

    Example:

    ```python
    from keras_fgvc.data import UpsamplingPairs

    pairs = UpsamplingPairs(32, factor=4)
    maps, larger = next(iter(pairs.batches("train", batch_size=8, seed=0)))
    assert (maps.shape[1:], larger.shape[1:]) == ((8, 8, 1), (32, 32, 1))
    ```
    """

    name = "up-sampling pairs"

    def __init__(self, num_train: int, *, factor: int):
        check_positive_int("num_train", num_train)
        check_positive_int("factor", factor)
        self.factor = factor
        validation = max(1, round(VALIDATION_SHARE * num_train))
        self.split_sizes = {"train": num_train, "validation": validation}

    def batches(
        self,
        split: str,
        *,
        batch_size: int,
        training: bool = False,
        seed: int = 0,
        epochs: range = range(1),
        share: Share | None = None,
        **ignored,
    ):
        """A `tf.data.Dataset` of (maps, larger maps), new ones each epoch.

        Args:
            split: `"train"` or `"validation"`.
            batch_size: Pairs a step.
            training: Whether the remainder is dropped.
            seed: Of the random numbers.
            epochs: Numbers of the epochs that follow one another.
            share: As of `LabeledImages.batches`.
            **ignored: What only images have.
        """
        import tensorflow as tf

        count = self.split_sizes[split]

        def pair(number):
            return self._pair((seed, STREAMS[split]), number)

        own = np.arange(count)
        num_batches = (
            count // batch_size if training else -(-count // batch_size)
        )
        if share is not None:
            own, sizes = share.parts(count, batch_size, training)
            num_batches = len(sizes)

        def one_epoch(epoch):  # alone: it is the same if others went before
            numbers = tf.data.Dataset.from_tensor_slices(epoch * count + own)
            pairs = numbers.map(
                pair, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
            )
            if share is not None:
                return batch_parts(pairs, sizes)
            return pairs.batch(batch_size, drop_remainder=training)

        numbers = tf.data.Dataset.range(epochs.start, epochs.stop)
        batches = numbers.flat_map(one_epoch).apply(
            tf.data.experimental.assert_cardinality(num_batches * len(epochs))
        )
        return batches.prefetch(tf.data.AUTOTUNE)

    def _pair(self, key, number):
        import tensorflow as tf

        seed = tf.random.experimental.stateless_fold_in(key, number)
        noise = tf.random.stateless_uniform((MAP_SIZE, MAP_SIZE, 1), seed)
        # 2, 4 or 8 cells: every so many-th number of the noise.
        smooth = [
            tf.image.resize(noise[::step, ::step], (MAP_SIZE, MAP_SIZE))
            for step in (4, 2, 1)
        ]
        maps = tf.gather(tf.stack(smooth), number // len(INTERPOLATIONS) % 3)
        size = (MAP_SIZE * self.factor, MAP_SIZE * self.factor)
        larger = tf.switch_case(
            tf.cast(number % len(INTERPOLATIONS), tf.int32),
            [
                lambda method=method: tf.image.resize(maps, size, method)
                for method in INTERPOLATIONS
            ],
        )
        return maps, larger
