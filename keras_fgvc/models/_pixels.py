"""Looks at the pixels of the first batch, once per call, on the host.

Images that were divided by 255 before train almost without contrast, and
nothing fails. The models take raw RGB pixels, 0..255, because preprocessing
is inside of them. Other pixels are told in one warning:

- floats from 0 to 1, and small floats below 0, as scaled images have;
- whole numbers 0 and 1, as `(images / 255).astype("uint8")` gives;
- values above 255 or far below 0. Floats may leave 0..255 by
  `OVERSHOOT`, as sharp edges do that bicubic resizing enlarged.

A backbone that was said to want no preprocessing, and holds none itself, is
the other case: it takes what the user made of the pixels, and raw ones are
told, once per model.

Nothing is said of images that are all black: a model is often tried, or warmed
up, with zeros.

Arrays, `tf.data`, `keras.utils.PyDataset`, generators and loaders of PyTorch
with a list of images are looked at. A `tf.data.Dataset` of uint8 is not where
its pixels may be 0..255: nothing is to be added to its graph.
"""

import functools
import itertools
import sys
import types
import warnings

import keras
import numpy as np

from keras_fgvc._replicas import strategy_of
from keras_fgvc.backbones.own_models import changes_pixels

NUM_IMAGES = 32  # of arrays: what a first batch is about
OVERSHOOT = 64  # Bicubic and Lanczos resizing of an edge go that far at most.
LARGEST_SCALED = 16  # Standardised images hardly have a larger value.
LARGEST_NORMALISED = 3  # Less ImageNet's mean, over its deviation: 2.64.


class LooksAtPixels(keras.Model):
    """A `keras.Model` that warns of images that are no raw pixels.

    The methods keep Keras's signatures, which subclasses may read.

    Attributes:
        resize: How the images were resized that the model was trained on, see
            `recipes.Recipe`. `training.fit` and `Run.load_model` set it, and
            evaluation and export read it. None if unknown.
    """

    resize = None
    _raw_pixels_told = False

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
        if strategy_of(self) is not None:
            return x
        if not self._wants_no_preprocessing():
            return look_at_first(x)
        return x if self._raw_pixels_told else look_at_first(x, self._judge_raw)

    def _wants_no_preprocessing(self):
        if getattr(self, "preprocessing", None) != "none":
            return False
        network = getattr(self, "backbone", None)
        return isinstance(network, keras.Model) and not changes_pixels(network)

    def _judge_raw(self, pixels):
        problem = raw_problem_of(pixels)
        self._raw_pixels_told = self._raw_pixels_told or bool(problem)
        return problem


def look_at_first(x, problem=None):
    """Warns if the first images are unfit; returns what to go on with.

    Args:
        x: What `keras.Model.fit` takes as `x`.
        problem: Function from an array of images to a warning, or to "".
            Defaults to `problem_of`.
    """
    look = functools.partial(_look_at_batch, problem=problem or problem_of)
    if isinstance(x, types.GeneratorType):
        first = next(x, None)
        if first is None:
            return x
        look(first)
        return _chain(first, x)
    if isinstance(x, keras.utils.PyDataset):
        if x.num_batches != 0:  # None: nobody knows how many
            look(x[0])
    elif _is_tf_dataset(x):
        return _looking_dataset(x, problem or problem_of)
    elif hasattr(x, "dataset"):  # a loader of PyTorch; one image is enough
        if hasattr(x.dataset, "__getitem__") and len(x.dataset):
            look(x.dataset[0])
    else:
        look_at(x, problem or problem_of)
    return x


def look_at(inputs, problem_of) -> None:
    """Warns if images among the inputs of a model are unfit."""
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


def raw_problem_of(pixels) -> str:
    """Says that an array is raw pixels; "" if it may be none.

    Args:
        pixels: Array `(..., height, width, 3)`.
    """
    values = pixels.astype("float32")
    values = values[np.isfinite(values)]
    if not values.size:
        return ""
    low, high = values.min(), values.max()
    largest = LARGEST_NORMALISED if low >= 0 else LARGEST_SCALED
    # Far below 0 are pixels less their mean alone.
    if low < -OVERSHOOT or high <= largest:
        return ""
    return (
        "Raw pixels go into a network that was said to want none: with "
        'preprocessing="none" the images must come as the network was '
        f"trained with them. Received: {pixels.dtype} from {low:g} to "
        f'{high:g} in the first batch. Give preprocessing="imagenet" or "tf", '
        "or a layer or function of your own, or begin the network with a "
        "keras.layers.Rescaling."
    )


def _look_at_batch(batch, problem):
    look_at(keras.utils.unpack_x_y_sample_weight(batch)[0], problem)


def _chain(first, rest):
    """A generator again, because Keras asks for one by its type."""
    yield from itertools.chain((first,), rest)


def _is_tf_dataset(x):
    tf = sys.modules.get("tensorflow")  # Whoever made `x` has loaded it.
    return tf is not None and isinstance(x, tf.data.Dataset)


def _looking_dataset(dataset, problem):
    """The same data set, whose first batch is looked at when it is read.

    Reading it twice would start a pipeline twice, and change the order of a
    shuffled one.
    """
    import tensorflow as tf

    spec = dataset.element_spec
    inputs = keras.utils.unpack_x_y_sample_weight(spec)[0]
    is_asked = functools.partial(
        _are_images, of_bytes=problem is not problem_of
    )
    if not any(map(is_asked, tf.nest.flatten(inputs))):
        return dataset

    looked_at = []  # in an epoch before: once is enough

    def look(image):
        if not looked_at:
            looked_at.append(True)
            look_at(image.numpy(), problem)

    def look_first(number, element):
        found = keras.utils.unpack_x_y_sample_weight(element)[0]
        image = next(i for i in tf.nest.flatten(found) if is_asked(i))

        def told():
            tf.py_function(look, [image], [])
            return tf.constant(True)

        is_looked_at = tf.cond(number == 0, told, lambda: tf.constant(True))
        with tf.control_dependencies([is_looked_at]):
            return tf.nest.map_structure(tf.identity, element)

    return dataset.enumerate().map(look_first)


def _are_images(spec, of_bytes):
    shape = getattr(spec, "shape", None)
    if shape is None or shape.rank != 4 or shape[-1] != 3:
        return False
    return of_bytes or spec.dtype != "uint8"
