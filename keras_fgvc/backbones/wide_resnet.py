"""Wide residual networks, which `keras.applications` does not have.

Layers are named as torchvision's modules with the dots replaced (torch's
`layer1.0.conv1` is `layer1_0_conv1`), so that its files can be read by name.
"""

import keras
from keras import layers

from keras_fgvc import _checks

_EPSILON = 1e-5  # torch's; the stock 1e-3 of Keras is another function.
_MOMENTUM = 0.9  # torch's 0.1, which counts the other way round.
_EXPANSION = 4  # Output channels over planes.


def wide_resnet(
    blocks: tuple = (3, 4, 6, 3),
    *,
    widening: int = 2,
    base_width: int = 64,
    include_top: bool = True,
    classes: int = 1000,
    input_tensor=None,
    input_shape: tuple = (None, None, 3),
) -> keras.Model:
    """Makes a wide residual network of bottleneck blocks; WRN-50-2 by default.

    "Wide Residual Networks" (Zagoruyko and Komodakis, 2016,
    https://arxiv.org/abs/1605.07146), in the layout of torchvision's
    `wide_resnet50_2`: a ResNet whose 3x3 convolutions have `widening` times
    the channels, with the stride in them, symmetric zero padding and batch
    normalisation after every convolution. Output and weights agree with
    torchvision's. It takes normalised pixels; `build("wide_resnet50_2")` puts
    the normalisation in front.

    Args:
        blocks: Number of blocks of each stage. Default (3, 4, 6, 3), the 50
            layers; (3, 4, 23, 3) are 101.
        widening: Channels of the 3x3 convolutions over those of a ResNet.
            Default 2.
        base_width: Channels of the stem, doubled by every stage after the
            first. Default 64.
        include_top: Whether to end in class scores (logits, as in
            torchvision) instead of the last feature map. Default True.
        classes: Number of scores. Default 1000.
        input_tensor: Optional symbolic tensor to build upon.
        input_shape: `(height, width, channels)` of the input where there is
            no `input_tensor`; sides may be None.

    Returns:
        A functional `keras.Model` with random weights. The default has
        68,883,240 parameters that train, and 68,224 moving statistics.

    Raises:
        ValueError: If `blocks` is empty or a number is below 1.

    Example:

    ```python
    from keras_fgvc import backbones

    model = backbones.wide_resnet((1, 1), base_width=8, classes=5)
    assert model.output.shape == (None, 5)
    ```
    """
    _check_arguments(blocks, widening, base_width, classes)
    images = input_tensor
    if images is None:
        images = keras.Input(input_shape, name="image")
    x = _convolution(images, base_width, 7, 2, "conv1")
    x = _normalization(x, "bn1")
    x = layers.ReLU(name="relu")(x)
    x = layers.ZeroPadding2D(1, name="maxpool_pad")(x)  # After ReLU: 0 = -inf.
    x = layers.MaxPooling2D(3, 2, name="maxpool")(x)
    for stage, num_blocks in enumerate(blocks):
        planes = base_width * 2**stage
        for block in range(num_blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            prefix = f"layer{stage + 1}_{block}"
            x = _bottleneck(x, planes, widening, stride, prefix)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avgpool")(x)
        x = layers.Dense(classes, name="fc")(x)
    (inputs,) = keras.utils.get_source_inputs(images)
    return keras.Model(inputs, x, name="wide_resnet")


def _bottleneck(x, planes: int, widening: int, stride: int, prefix: str):
    inner, outer = planes * widening, planes * _EXPANSION
    shortcut = x
    if stride > 1 or x.shape[-1] != outer:
        shortcut = _convolution(x, outer, 1, stride, f"{prefix}_downsample_0")
        shortcut = _normalization(shortcut, f"{prefix}_downsample_1")
    x = _convolution(x, inner, 1, 1, f"{prefix}_conv1")
    x = _normalization(x, f"{prefix}_bn1")
    x = layers.ReLU(name=f"{prefix}_relu1")(x)
    x = _convolution(x, inner, 3, stride, f"{prefix}_conv2")
    x = _normalization(x, f"{prefix}_bn2")
    x = layers.ReLU(name=f"{prefix}_relu2")(x)
    x = _convolution(x, outer, 1, 1, f"{prefix}_conv3")
    x = _normalization(x, f"{prefix}_bn3")
    x = layers.Add(name=f"{prefix}_add")([x, shortcut])
    return layers.ReLU(name=f"{prefix}_out")(x)


def _convolution(x, channels: int, size: int, stride: int, name: str):
    padding = "same"
    if stride > 1 and size > 1:
        # "same" would pad an even side on its far end only.
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    convolution = layers.Conv2D(
        channels,
        size,
        stride,
        padding,
        use_bias=False,
        # torchvision's; a new one each time, as one draws the same values.
        kernel_initializer=keras.initializers.VarianceScaling(
            2.0, mode="fan_out", distribution="untruncated_normal"
        ),
        name=name,
    )
    return convolution(x)


def _normalization(x, name: str):
    layer = layers.BatchNormalization(
        momentum=_MOMENTUM, epsilon=_EPSILON, name=name
    )
    return layer(x)


def _check_arguments(blocks, widening, base_width, classes) -> None:
    if not blocks:
        raise ValueError(
            "`blocks` must hold the number of blocks of at least one stage, "
            f"such as (3, 4, 6, 3). Received: blocks={blocks!r}."
        )
    for number in blocks:
        _checks.check_positive_int("blocks", number)
    _checks.check_positive_int("widening", widening)
    _checks.check_positive_int("base_width", base_width)
    _checks.check_positive_int("classes", classes)
