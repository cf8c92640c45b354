"""The three parts of ELoPE's graph: localiser, crop, classifier."""

import keras

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


def make_localizer(features, threshold, min_size):
    # None: the module makes small convolutions of its own.
    stem = backbones.clone_early_layers(features, STEM_TAP)
    localizer = LocalizationModule(
        threshold=threshold, min_size=min_size, stem=stem, name="localizer"
    )
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


def localize(localizer, image):
    if localizer is None:
        return {}
    heatmap, boxes = localizer(image)
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
    logits = keras.layers.Dense(num_classes, name="logits")(hidden)
    return {
        "probabilities": keras.layers.Softmax(
            dtype="float32", name="probabilities"
        )(logits),
        "logits": logits,
        "embedding": hidden,
        "mean_activation": keras.ops.mean(feature_map, axis=-1),
    }


def meanings(has_localizer):
    """Declares the outputs: behind a localiser the backbone sees a crop."""
    activation = "mean activation"
    if not has_localizer:
        return {
            "mean_activation": MapOf("image", activation),
            "embedding": Embedding(),
        }
    return {
        "boxes": ObjectBox(cropped=True),
        "heatmap": MapOf("image", "heat map"),
        "mean_activation": MapOf("boxes", activation),
        "embedding": Embedding(),
    }
