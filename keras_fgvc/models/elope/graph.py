"""The three parts of ELoPE's graph: localiser, crop, classifier."""

import keras
from keras import ops

from keras_fgvc import backbones
from keras_fgvc._replicas import must_synchronize
from keras_fgvc.backbones.own_models import check_takes
from keras_fgvc.layers import (
    GlobalKMaxPooling,
    LocalizationModule,
    PartCrop,
)
from keras_fgvc.models.outputs import Embedding, MapOf, ObjectBox

STEM_TAP = 4
WHOLE = (0.0, 0.0, 1.0, 1.0)
# 0.7 of the side: of images loaded at 10/7 of the crop's side, each pixel.
MIDDLE = (0.15, 0.15, 0.85, 0.85)


def make_localizer(features, least_weights, **options):
    # None: the module makes small convolutions of its own.
    stem = backbones.clone_early_layers(features, STEM_TAP)
    if stem is not None and stem.count_params() < least_weights:
        stem = deepen(stem, least_weights)
    localizer = LocalizationModule(stem=stem, name="localizer", **options)
    if stem is None:
        return localizer
    try:
        check_takes(stem, localizer.working_size[0], "image_size")
    except ValueError as error:
        raise ValueError(
            "ELoPE's localiser looks at images of "
            f"{localizer.working_size[0]} pixels with the first layers of the "
            f"backbone, which take no other size than {stem.inputs[0].shape[1]}"
            ". Build the backbone with input_shape=(None, None, 3), or give "
            "localize=False."
        ) from error
    return localizer


def deepen(stem, least_weights):
    """Puts two 3x3 convolutions behind a stem, as wide as it lacks weights.

    A cell of the first stage of a ResNet-50, the paper's, sees 35 pixels and
    the head's 43 of the 64. A MobileNetV2's saw 27, with a tenth of the
    weights; each convolution adds 8 pixels.
    """
    channels, weights = stem.output.shape[-1], stem.count_params()
    filters = 16
    while weights + 9 * filters * (channels + filters) < least_weights:
        filters += 16
    x = stem.output
    for number in (1, 2):
        x = keras.layers.Conv2D(
            filters,
            3,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"localizer_conv_{number}",
        )(x)
    return keras.Model(stem.inputs[0], x, name=stem.name)


class FixedBox(keras.layers.Layer):
    """The same box for every image, `(batch, 1, 4)`, once it is enabled.

    Until then it is the whole image, as of a `LocalizationModule`.
    """

    def __init__(self, box, **kwargs):
        super().__init__(**kwargs)
        self.box = box

    def build(self, input_shape):
        self.switch = self.add_weight(
            shape=(),
            initializer="zeros",
            trainable=False,
            dtype="float32",
            autocast=False,
            name="switch",
        )

    def call(self, images):
        used = ops.convert_to_tensor(self.switch) > 0.5
        box = ops.where(used, ops.convert_to_tensor(self.box), WHOLE)
        return ops.tile(
            ops.reshape(box, (1, 1, 4)), (ops.shape(images)[0], 1, 1)
        )

    def enable(self, value: bool = True) -> None:
        """Turns the box on (or, with `False`, back to the whole image)."""
        self.switch.assign(float(value))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1, 4)


def make_cropper(features, box, **options):
    """The layer that says what is cropped: a localiser, or a fixed box."""
    if box == "learned":
        return make_localizer(features, **options)
    box = MIDDLE if box == "center" else box
    return FixedBox(box, dtype="float32", name="fixed_box")


def check_box(box, localize):
    """Returns `box`, numbers as a tuple.

    Raises:
        ValueError: If it is neither a known word nor a box within the image,
            or a model that crops nothing has one.
    """
    is_learned = isinstance(box, str) and box == "learned"
    if not (localize or is_learned):
        raise ValueError(
            "`box` is of models that crop, and localize=False crops nothing. "
            f"Received: box={box!r}. Omit one of the two."
        )
    if is_learned or (isinstance(box, str) and box == "center"):
        return box
    try:
        y_min, x_min, y_max, x_max = found = tuple(map(float, box))
    except (TypeError, ValueError):
        found = None
    if found is None or not (
        0 <= y_min < y_max <= 1 and 0 <= x_min < x_max <= 1
    ):
        raise ValueError(
            "`box` must be 'learned', 'center' or (y_min, x_min, y_max, "
            "x_max) from 0 to 1 of the image, such as (0.15, 0.15, 0.85, "
            f"0.85). Received: box={box!r}."
        )
    return found


def crop_boxes(cropper, image):
    if cropper is None:
        return {}
    if isinstance(cropper, FixedBox):
        return {"boxes": cropper(image)}
    heatmap, boxes = cropper(image)
    return {"heatmap": heatmap, "boxes": boxes}


def square(image, boxes, size):
    """The box of each image, or without boxes all of it, `(b, s, s, 3)`."""
    # In float32 also under mixed precision: pixels and boxes need the digits.
    if boxes is None:
        return keras.layers.Resizing(
            size, size, dtype="float32", name="square"
        )(image)
    crops = PartCrop((size, size), dtype="float32", name="crop")([image, boxes])
    # (b, 1, size, size, 3) -> (b, size, size, 3): the one box of each image
    return keras.layers.Reshape(
        (size, size, 3), dtype="float32", name="square"
    )(crops)


def classify(feature_map, num_classes, pooling, k, embedding_dim):
    """Feature map to the classifier's outputs, by name."""
    if pooling == "k_max":
        pool = GlobalKMaxPooling(k, weighted=True, name="pooling")
    else:
        pool = keras.layers.GlobalAveragePooling2D(name="pooling")
    embedding = keras.layers.Dense(embedding_dim, name="embedding")(
        pool(feature_map)
    )
    hidden = keras.layers.BatchNormalization(
        momentum=0.9, synchronized=must_synchronize(), name="embedding_norm"
    )(embedding)
    hidden = keras.layers.PReLU(name="embedding_activation")(hidden)
    logits = keras.layers.Dense(
        num_classes,
        # A classifier that says much before it has learnt anything sends the
        # backbone after random directions.
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        name="logits",
    )(hidden)
    return {
        "probabilities": keras.layers.Softmax(
            dtype="float32", name="probabilities"
        )(logits),
        "logits": logits,
        "embedding": hidden,
        "mean_activation": keras.ops.mean(feature_map, axis=-1),
    }


def meanings(outputs):
    """Declares the outputs: behind a box the backbone sees a crop."""
    found = {}
    if "boxes" in outputs:
        found["boxes"] = ObjectBox(cropped=True)
    if "heatmap" in outputs:
        found["heatmap"] = MapOf("image", "heat map")
    span = "boxes" if "boxes" in outputs else "image"
    found["mean_activation"] = MapOf(span, "mean activation")
    return {**found, "embedding": Embedding()}
