"""Looks at the pixels of the first batch, once per call, on the host.

Images that were divided by 255 before train almost without contrast, and
nothing fails. The models take raw RGB pixels, 0..255, because preprocessing
is inside of them. Other pixels are told in one warning:

- floats from 0 to 1, and small floats below 0, as scaled images have;
- whole numbers 0 and 1, as `(images / 255).astype("uint8")` gives;
- values above 255 or far below 0. Floats may leave 0..255 by
  `OVERSHOOT`, as sharp edges do that bicubic resizing enlarged.

Nothing is said of images that are all black: a model is often tried, or warmed
up, with zeros.

Arrays, `tf.data`, `keras.utils.PyDataset`, generators and loaders of PyTorch
with a list of images are looked at. A `tf.data.Dataset` of uint8 is not: its
pixels are 0..255, and nothing is to be added to its graph.
"""

import functools
import itertools
import sys
import types
import warnings

import keras
import numpy as np

from keras_fgvc._replicas import strategy_of

NUM_IMAGES = 32  # of arrays: what a first batch is about
OVERSHOOT = 64  # Bicubic and Lanczos resizing of an edge go that far at most.
LARGEST_SCALED = 16  # Standardised images hardly have a larger value.


class LooksAtPixels(keras.Model):
    """A `keras.Model` that warns of images that are no raw pixels.

    The methods keep Keras's signatures, which subclasses may read.

    Attributes:
        resize: How the images were resized that the model was trained on, see
            `recipes.Recipe`. `training.fit` and `Run.load_model` set it, and
            evaluation and export read it. None if unknown.
    """

    resize = None

    @functools.wraps(keras.Model.fit)
    def fit(self, x=None, *args, **kwargs):
        return super().fit(self._looked_at(x), *args, **kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, x=None, *args, **kwargs):
        if not kwargs.get("_use_cached_eval_dataset"):  # once is enough
            x = self._looked_at(x)
        return super().evaluate(x, *args, **kwargs)

    @functools.wraps(keras.Model.predict)
    def predict(self, x, *args, **kwargs):
        return super().predict(self._looked_at(x), *args, **kwargs)

    def _looked_at(self, x):
        # Strategies distribute a data set by its graph: leave it alone.
        return x if strategy_of(self) is not None else look_at_first(x)


def look_at_first(x):
    """Warns if the first images are no raw pixels; returns what to go on with.

    Args:
        x: What `keras.Model.fit` takes as `x`.
    """
    if isinstance(x, types.GeneratorType):
        first = next(x, None)
        if first is None:
            return x
        _look_at_batch(first)
        return _chain(first, x)
    if isinstance(x, keras.utils.PyDataset):
        if x.num_batches != 0:  # None: nobody knows how many
            _look_at_batch(x[0])
    elif _is_tf_dataset(x):
        return _looking_dataset(x)
    elif hasattr(x, "dataset"):  # a loader of PyTorch; one image is enough
        if hasattr(x.dataset, "__getitem__") and len(x.dataset):
            _look_at_batch(x.dataset[0])
    else:
        look_at(x)
    return x


def look_at(inputs) -> None:
    """Warns if images among the inputs of a model are no raw pixels."""
    for leaf in keras.tree.flatten(inputs):
        shape = tuple(getattr(leaf, "shape", ()))
        if len(shape) in (3, 4) and shape[-1] == 3:
            first = leaf[:NUM_IMAGES] if len(shape) == 4 else leaf
            problem = problem_of(keras.ops.convert_to_numpy(first))
            if problem:
                # The line of the user's own call is far up, or elsewhere.
                warnings.warn(problem, stacklevel=2)
            return


def problem_of(pixels) -> str:
    """Says why an array is no raw pixels; "" if it may be.

    Args:
        pixels: Array `(..., height, width, 3)`.
    """
    is_whole = pixels.dtype.kind in "biu"
    values = pixels.astype("float32")
    values = values[np.isfinite(values)]
    if not values.size:
        return ""
    low, high = values.min(), values.max()
    tolerance = 0 if is_whole else OVERSHOOT
    if low >= 0 and 0 < high <= 1:
        rounded = " and rounded" if is_whole else ""
        mend = f"They seem to be divided by 255{rounded}: omit that."
    elif (low < 0 and high <= LARGEST_SCALED) or low < -tolerance:
        mend = "They seem to be normalised: omit that."
    elif high > 255 + tolerance:
        mend = "Scale them: divide 16-bit pixels by 257."
    else:
        return ""
    return (
        "Images must be raw pixels, RGB, 0..255: the preprocessing of the "
        f"backbone is part of the model. Received: {pixels.dtype} from "
        f"{low:g} to {high:g} in the first batch. {mend}"
    )


def _look_at_batch(batch):
    look_at(keras.utils.unpack_x_y_sample_weight(batch)[0])


def _chain(first, rest):
    """A generator again, because Keras asks for one by its type."""
    yield from itertools.chain((first,), rest)


def _is_tf_dataset(x):
    tf = sys.modules.get("tensorflow")  # Whoever made `x` has loaded it.
    return tf is not None and isinstance(x, tf.data.Dataset)


def _looking_dataset(dataset):
    """The same data set, whose first batch is looked at when it is read.

    Reading it twice would start a pipeline twice, and change the order of a
    shuffled one.
    """
    import tensorflow as tf

    spec = dataset.element_spec
    inputs = keras.utils.unpack_x_y_sample_weight(spec)[0]
    images = [s for s in tf.nest.flatten(inputs) if _may_be_scaled(s)]
    if not images:
        return dataset

    looked_at = []  # in an epoch before: once is enough

    def look(image):
        if not looked_at:
            looked_at.append(True)
            look_at(image.numpy())

    def look_first(number, element):
        found = keras.utils.unpack_x_y_sample_weight(element)[0]
        image = next(i for i in tf.nest.flatten(found) if _may_be_scaled(i))

        def told():
            tf.py_function(look, [image], [])
            return tf.constant(True)

        is_looked_at = tf.cond(number == 0, told, lambda: tf.constant(True))
        with tf.control_dependencies([is_looked_at]):
            return tf.nest.map_structure(tf.identity, element)

    return dataset.enumerate().map(look_first)


def _may_be_scaled(spec):
    shape = getattr(spec, "shape", None)
    if shape is None or shape.rank != 4 or shape[-1] != 3:
        return False
    return spec.dtype != "uint8"
