"""The pieces of FCAN's graphs: score maps, regions, one network a view."""

import keras
import numpy as np
from keras import ops

from keras_fgvc import backbones
from keras_fgvc._checks import check_positive_int
from keras_fgvc.backbones.own_models import check_takes
from keras_fgvc.layers import PartCrop
from keras_fgvc.models.outputs import MapsOf, Members, PartBoxes
from keras_fgvc.ops import (
    gather_windows,
    mix_hypotheses,
    spatial_softmax,
    window_boxes,
)


class Choose(keras.layers.Layer):
    """The best location of a glimpse, in training as well.

    The glimpse samples where its own task trains it; whoever trains the rest
    wants the regions that inference will take.
    """

    def __init__(self, glimpse, **kwargs):
        super().__init__(**kwargs)
        self.glimpse = glimpse

    def call(self, features, previous=None):
        return self.glimpse(features, previous, training=False)


class Regions(keras.layers.Layer):
    """Locations on a map, `(b, n, 2)`, to boxes of the image, `(b, n, 4)`."""

    def __init__(self, region_size, **kwargs):
        super().__init__(**kwargs)
        self.region_size = region_size

    def call(self, features, locations):
        size = ops.shape(features)[1:3]
        return window_boxes(locations, self.region_size, size)

    def compute_output_shape(self, features_shape, locations_shape):
        return (*locations_shape[:2], 4)


class Windows(keras.layers.Layer):
    """Cuts regions out of a map, each flat: `(b, n, size * size * c)`."""

    def __init__(self, region_size, **kwargs):
        super().__init__(**kwargs)
        self.region_size = region_size

    def call(self, features, locations):
        windows = gather_windows(features, locations, self.region_size)
        width = self.region_size**2 * features.shape[-1]
        return ops.reshape(windows, (-1, ops.shape(locations)[1], width))

    def compute_output_shape(self, features_shape, locations_shape):
        width = self.region_size**2 * features_shape[-1]
        return (*locations_shape[:2], width)


class Constant(keras.layers.Layer):
    """The same array for each image of a batch."""

    def __init__(self, value, **kwargs):
        super().__init__(**kwargs)
        self.value = value

    def call(self, images):
        batch = ops.shape(images)[0]
        value = ops.expand_dims(self.value, 0)
        return ops.tile(value, (batch,) + (1,) * self.value.ndim)

    def compute_output_shape(self, shape):
        return (shape[0], *self.value.shape)


class Latch(keras.layers.Layer):
    """A weight that says whether something has happened: files keep it."""

    def build(self, input_shape):
        self.state = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="state"
        )

    def set(self, value: bool = True):
        self.state.assign(float(value))

    def is_set(self):
        return bool(ops.convert_to_numpy(self.state) == 1.0)


class MeanPrediction(keras.layers.Layer):
    """Logits of several views, `(b, n, classes)`, to those of their mean."""

    def call(self, hypotheses):
        count = hypotheses.shape[1]
        gates = ops.ones_like(hypotheses[..., 0]) / count
        return mix_hypotheses(hypotheses, gates, "probabilities")

    def compute_output_shape(self, shape):
        return (shape[0], shape[2])


def glimpse_at(glimpses, features, condition):
    """Scores and locations of each glimpse, in order.

    Args:
        glimpses: One layer a part, called with the features and the scores
            of those before it.
        features: `(b, h, w, c)`.
        condition: Whether a glimpse sees the earlier scores.
    """
    scores, locations = [], []
    for glimpse in glimpses:
        before = list(scores) if condition and scores else None
        score, location = glimpse(features, before)
        scores.append(score)
        locations.append(location)
    return scores, locations


def view_name(view):
    """View 0 is the whole image, the parts follow."""
    return "whole" if view == 0 else f"part_{view - 1}"


def map_size(features, image_size):
    """Height and width of the map of a square image."""
    check_takes(features, image_size, "image_size")
    shape = features.compute_output_shape((None, image_size, image_size, 3))
    return tuple(shape[1:3])


def localize(image, features, glimpses, condition, image_size):
    """Score maps and the best region of each part."""
    square = keras.layers.Resizing(
        image_size, image_size, dtype="float32", name="scored"
    )(image)
    boxes, scores = find_regions(features(square), glimpses, condition)
    return {
        "score_maps": spatial_softmax(ops.stack(scores, axis=-1)),
        "part_boxes": boxes,
    }


def find_regions(feature_map, glimpses, condition):
    """Boxes of the best regions, `(b, parts, 4)`, and the scores of each."""
    choices = [
        Choose(glimpse, name=f"best_{glimpse.name}") for glimpse in glimpses
    ]
    scores, locations = glimpse_at(choices, feature_map, condition)
    boxes = [
        Regions(glimpse.region_size, dtype="float32", name=f"region_{t}")(
            feature_map, locations[t]
        )
        for t, glimpse in enumerate(glimpses)
    ]
    return ops.concatenate(boxes, axis=1), scores


def middle(image, part_sizes, map_size):
    """The same regions in the middle of every image."""
    boxes = Constant(middle_boxes(part_sizes, map_size), name="middle")
    return {"part_boxes": boxes(image)}


def middle_boxes(part_sizes, map_size):
    """`(parts, 4)`, NumPy."""
    boxes = []
    for size in part_sizes:
        share = size / np.array(map_size)
        boxes.append([*(0.5 - share / 2), *(0.5 + share / 2)])
    return np.array(boxes, "float32")


def make_classifiers(whole, num_classes, size, num_parts):
    """One network per view: the whole image, then each part.

    Args:
        whole: The backbone of the first; the others get copies of it.
        num_classes: Logits of each.
        size: Side of what each sees.
        num_parts: Number of parts.
    """
    check_takes(whole, size, "crop_size")
    backbones_of_views = [whole]
    for part in range(num_parts):
        name = f"{view_name(1 + part)}_features"
        backbones_of_views.append(backbones.clone(whole, name))
    return [
        _classifier(features, num_classes, size, view_name(view))
        for view, features in enumerate(backbones_of_views)
    ]


def _classifier(features, num_classes, size, name):
    image = keras.Input((size, size, 3), name=f"{name}_image")
    pooled = keras.layers.GlobalAveragePooling2D(name=f"{name}_pooling")(
        features(image)
    )
    logits = keras.layers.Dense(
        num_classes, dtype="float32", name=f"{name}_logits"
    )(pooled)
    return keras.Model(image, logits, name=f"{name}_classifier")


def backbone_of(classifier):
    """The backbone in one of `make_classifiers`."""
    (backbone,) = [m for m in classifier.layers if isinstance(m, keras.Model)]
    return backbone


def classify(image, part_boxes, classifiers, size):
    """Logits of each view of the images, `(b, 1 + parts, classes)`."""
    whole = keras.layers.Resizing(size, size, dtype="float32", name="square")(
        image
    )
    crops = PartCrop((size, size), dtype="float32", name="crops")(
        [image, part_boxes]
    )
    views = [whole, *(crops[:, part] for part in range(len(classifiers) - 1))]
    logits = [
        classifier(view)
        for classifier, view in zip(classifiers, views, strict=True)
    ]
    return ops.stack(logits, axis=1)


def prediction(view_logits):
    """The outputs that are about classes, by name."""
    logits = MeanPrediction(dtype="float32", name="mean_prediction")(
        view_logits
    )
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    return {
        "probabilities": softmax(logits),
        "logits": logits,
        "view_logits": view_logits,
    }


def meanings(outputs, num_parts):
    """Declares the outputs; regions in the middle have no score maps."""
    glimpses = (f"glimpse {number}" for number in range(1, 1 + num_parts))
    found = {
        "view_logits": Members(("whole image", *glimpses)),
        "part_boxes": PartBoxes("glimpses"),
    }
    if "score_maps" in outputs:
        found["score_maps"] = MapsOf("image", "score map")
    return found


def check_part_sizes(part_sizes):
    if not isinstance(part_sizes, (tuple, list)) or not part_sizes:
        raise ValueError(
            "`part_sizes` must be a tuple of sides in cells with at least one "
            f"entry, such as (4, 8). Received: {part_sizes!r}."
        )
    for size in part_sizes:
        check_positive_int("part_sizes", size)
    return tuple(part_sizes)


def check_taps(taps):
    if not isinstance(taps, (tuple, list)) or len(taps) != 2:
        raise ValueError(
            "`taps` must be a pair of strides or layer names, of the map that "
            "is scored and of the map that is classified, such as (16, 32). "
            f"Received: {taps!r}."
        )
    return tuple(taps)


def check_parts_fit(part_sizes, map_size):
    if max(part_sizes) > min(map_size):
        raise ValueError(
            "`part_sizes` must not exceed the map of "
            f"{map_size[0]} x {map_size[1]} cells. Received: "
            f"part_sizes={part_sizes}. Give a larger `image_size`, an earlier "
            "first of `taps` or smaller parts."
        )
