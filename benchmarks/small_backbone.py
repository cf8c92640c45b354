"""A small network for digits, which any benchmark may train from scratch."""

import keras


def small_backbone(layers=((32, 2), (64, 2), (128, 2), (128, 1))):
    """Convolutions of (filters, stride), each with batch norm and ReLU.

    The maps are "map_1", "map_2" and so on.
    """
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    for number, (filters, stride) in enumerate(layers, start=1):
        x = keras.layers.Conv2D(
            filters, 3, stride, padding="same", use_bias=False
        )(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.ReLU(name=f"map_{number}")(x)
    return keras.Model(image, x)
