"""Makes batches of the examples of a split: the tf.data pipeline.

Everything random is stateless: epoch e shuffles with the seed folded with e,
and image i of that epoch is augmented with the seed folded with e and i.
Nothing has to be saved to go on in the middle of a training.
"""

import dataclasses

from keras_fgvc._checks import as_size, check_positive_int
from keras_fgvc.data.pipeline.augment import Augmentation
from keras_fgvc.data.pipeline.geometry import Placing
from keras_fgvc.data.pipeline.shares import Share, batch_parts
from keras_fgvc.decoding.resizing import SQUASH

# The two uses of one seed draw from streams of their own.
SHUFFLE_STREAM, AUGMENTATION_STREAM = 0, 1


def make_batches(
    examples,
    *,
    load_size,
    batch_size: int,
    training: bool,
    seed: int,
    augmentation: Augmentation | None,
    with_boxes: bool,
    epochs,
    drop_remainder: bool | None,
    share: Share | None,
    resize: str = SQUASH,
    with_frames: bool = False,
    boxes_are_resized: bool = False,
):
    """`LabeledImages.batches` for one split; it describes the arguments.

    Boxes of the examples are those of the stored images, unless
    `boxes_are_resized`.
    """
    import tensorflow as tf

    load_size = as_size("load_size", load_size)
    _check_boxes(examples, with_boxes)
    _check_frames(with_frames, training)
    plan = Epochs(
        len(examples),
        batch_size,
        training,
        seed,
        epochs,
        drop_remainder,
        share,
    )
    augmentation = augmentation if training else None
    loader = _Loader(
        examples if with_boxes else dataclasses.replace(examples, boxes=None),
        Placing(load_size, resize, boxes_are_resized),
        seed,
        augmentation,
        with_frames,
    )

    def one_epoch(indices, epoch):
        loaded = tf.data.Dataset.from_tensor_slices(indices).map(
            lambda index: loader(index, epoch),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return plan.batch(loaded)

    return plan.batches(one_epoch)


@dataclasses.dataclass(frozen=True)
class Epochs:
    """Orders `count` examples in epochs; see `LabeledImages.batches`.

    Raises:
        ValueError: No batch can be made; `epochs` is no range of numbers, or
            given outside training; `seed` is negative.
    """

    count: int
    batch_size: int
    training: bool
    seed: int
    epochs: range | None
    drop_remainder: bool | None
    share: Share | None = None

    def __post_init__(self):
        _check_epochs(self.epochs, self.training)
        check_positive_int("seed", self.seed, minimum=0)
        _check_batch_size(self.count, self.batch_size, self.drops_remainder)
        if self.share is not None:
            self.share.num_batches(*self._size)

    @property
    def drops_remainder(self) -> bool:
        """Tells whether the last, smaller batch of each epoch is left out."""
        given = self.drop_remainder
        return self.training if given is None else given

    @property
    def _size(self):
        return self.count, self.batch_size, self.drops_remainder

    def __len__(self) -> int:
        """The number of batches, or of their parts, of all epochs."""
        if self.share is None:
            whole, rest = divmod(self.count, self.batch_size)
            batches = whole + (rest > 0 and not self.drops_remainder)
        else:
            batches = self.share.num_batches(*self._size) * self.share.replicas
        return batches * (1 if self.epochs is None else len(self.epochs))

    def batch(self, dataset):
        """Batches, or their parts, of the elements of one epoch."""
        if self.share is None:
            return dataset.batch(
                self.batch_size, drop_remainder=self.drops_remainder
            )
        return batch_parts(dataset, self.share.parts(*self._size)[1])

    def batches(self, one_epoch):
        """Joins the epochs, each `one_epoch(indices, number)` a dataset."""
        import tensorflow as tf

        own = None
        if self.share is not None:
            with tf.device("CPU:0"):
                own = tf.constant(self.share.parts(*self._size)[0])

        def ordered(epoch):
            indices = tf.range(self.count, dtype=tf.int64)
            if self.training:
                indices = _shuffle(indices, self.seed, epoch)
            if own is not None:
                indices = tf.gather(indices, own)
            return one_epoch(indices, epoch)

        numbers = _epoch_numbers(self.epochs, self.seed, self.training)
        batches = numbers.flat_map(ordered).apply(
            tf.data.experimental.assert_cardinality(len(self))
        )
        return batches.prefetch(tf.data.AUTOTUNE).with_options(_options())


class _Loader:
    """Index of an image and epoch -> (image, target), in a graph.

    The examples become tensors once: a graph that holds them as constants
    would outgrow its limit of 2 GB.
    """

    def __init__(self, examples, placing, seed, augmentation, with_frames):
        import tensorflow as tf

        self.placing = placing
        self.seed = seed
        self.augmentation = augmentation
        self.with_frames = with_frames
        with tf.device("CPU:0"):
            self.labels = tf.constant(examples.labels, tf.int32)
            self.boxes = None
            if examples.boxes is not None:
                self.boxes = tf.constant(examples.boxes, tf.float32)
            self.read = examples.source.reader()

    def __call__(self, index, epoch):
        import tensorflow as tf

        size = self.placing.load_size
        box = None if self.boxes is None else tf.gather(self.boxes, index)
        frame = None
        if self.augmentation is None:
            image, box, frame = self.placing(self.read, index, size, box)
        else:
            image, box = self._augment(index, epoch, box)
        image = tf.ensure_shape(image, (*size, 3))
        target = {"label": tf.gather(self.labels, index)}
        if box is not None:
            target["box"] = box
        if self.with_frames:
            target["frame"] = tf.cast(frame, tf.float32)
        return image, target if len(target) > 1 else target["label"]

    def _augment(self, index, epoch, box):
        size, resize = self.placing.load_size, self.placing.resize
        source_size = self.augmentation.input_size(size, resize)
        image, box, _ = self.placing(self.read, index, source_size, box)
        seed = _fold(self.seed, AUGMENTATION_STREAM, epoch, index)
        changed = self.augmentation(image, seed, box, size)
        return (changed, None) if box is None else changed


def _shuffle(indices, seed, epoch):
    import tensorflow as tf

    return tf.random.experimental.stateless_shuffle(
        indices, _fold(seed, SHUFFLE_STREAM, epoch)
    )


def _fold(seed, *numbers):
    """A stateless seed that depends on `seed` and each of the numbers."""
    import tensorflow as tf

    folded = tf.constant([seed, 0], tf.int64)
    for number in numbers:
        folded = tf.random.experimental.stateless_fold_in(folded, number)
    return folded


def _epoch_numbers(epochs, seed, training):
    """Dataset of the numbers (int64) of the epochs of one iteration."""
    import tensorflow as tf

    if epochs is not None:
        return tf.data.Dataset.range(epochs.start, epochs.stop, epochs.step)
    if not training:
        return tf.data.Dataset.range(1)
    new_each_time = tf.data.Dataset.random(
        seed, rerandomize_each_iteration=True
    )
    return new_each_time.take(1)


def _options():
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    # There are no files of records to share out: share out the elements.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return options


def _check_boxes(examples, with_boxes) -> None:
    if with_boxes and examples.boxes is None:
        raise ValueError(
            "`with_boxes=True` needs a data set with boxes: a CSV with the "
            "columns x_min, y_min, x_max, y_max, cluttered_digits, or one by "
            "name that has them, such as cub200."
        )


def _check_frames(with_frames, training) -> None:
    if with_frames and training:
        raise ValueError(
            "`with_frames=True` needs `training=False`: augmentation moves "
            "what an image shows once more."
        )


def _check_epochs(epochs, training) -> None:
    if epochs is None:
        return
    if not isinstance(epochs, range) or len(epochs) == 0:
        raise ValueError(
            "`epochs` must be None or a range with at least one epoch. "
            f"Received: epochs={epochs!r}."
        )
    if not training:
        raise ValueError(
            "`epochs` is for `training=True`; without training every "
            f"iteration is the same. Received: epochs={epochs!r}."
        )


def _check_batch_size(num_images, batch_size, drop_remainder) -> None:
    check_positive_int("batch_size", batch_size)
    if num_images == 0:
        raise ValueError("There is no image in this split to make batches of.")
    if drop_remainder and num_images < batch_size:
        raise ValueError(
            f"`batch_size` must be at most the number of images "
            f"({num_images}) where the remainder is dropped. Received: "
            f"batch_size={batch_size}. Make it smaller or pass "
            "drop_remainder=False."
        )
