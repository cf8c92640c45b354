"""Gives a convolutional backbone a denser map by dilation.

The last stages of a network lose their strides, and what follows is dilated,
so that each weight looks at the pixels it was trained for: "atrous"
convolution of DeepLab (Chen et al., "Rethinking Atrous Convolution for
Semantic Image Segmentation", 2017, https://arxiv.org/abs/1706.05587, section
3.1). Weights stay as they are. A map of stride 32 becomes one of stride 16
with four times as many cells, a quarter of which are the cells of the network
as it was.
"""

import keras

from keras_fgvc.backbones import taps as tap_finder
from keras_fgvc.backbones.nested import find_nested

OUTPUT_STRIDES = (8, 16)
_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_POOLINGS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)


def dilate(model: keras.Model, output_stride: int) -> keras.Model:
    """Rebuilds a network so that no map is coarser than a stride.

    Pooling cannot be dilated in Keras: its window grows to the same extent.

    Args:
        model: Functional `keras.Model` with one image input.
        output_stride: 8 or 16 input pixels per cell.

    Returns:
        A functional `keras.Model` of the same input, name and outputs. Layers
        that need no change are shared with `model`; the others are copies
        that start with its weights. A tap of stride 32 still names the map
        that had this stride before.

    Raises:
        ValueError: If `output_stride` is another number, or the network has
            a layer that cannot be dilated: a nested model, or a layer that
            mixes or skips cells and is no convolution or pooling of Keras.
    """
    _check(model, output_stride)
    strides = _strides_around(model)
    unpadded = {}  # id of a padded map -> (that map, the map before)

    def call(operation, *args, **kwargs):
        before, after = strides[operation]
        if isinstance(operation, keras.layers.ZeroPadding2D):
            padded = operation(*args, **kwargs)
            unpadded[id(padded)] = padded, args[0]
            return padded
        if after <= output_stride:
            return operation(*args, **kwargs)
        copy = _changed(operation, before, after, output_stride, model.name)
        if copy is operation:
            return operation(*args, **kwargs)
        # The copy pads by itself.
        _, map_before = unpadded.get(id(args[0]), (None, args[0]))
        output = copy(map_before, *args[1:], **kwargs)
        copy.set_weights(operation.get_weights())
        return output

    try:
        dilated = keras.models.clone_model(
            model, clone_function=lambda layer: layer, call_function=call
        )
    except ValueError as error:
        if "output_stride" in str(error):
            raise
        # Maps that are added or joined have other sizes now.
        raise _refusal(model.name, "its branches would not fit") from error
    own = {operation.name: after for operation, (_, after) in strides.items()}
    setattr(dilated, tap_finder.OWN_STRIDES, own)
    return dilated


def _check(model, output_stride) -> None:
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(
            "`output_stride` must be None, 8 or 16. "
            f"Received: output_stride={output_stride!r}."
        )
    if find_nested(model) is not None:
        raise _refusal(
            model.name,
            "a network of KerasHub or one that ends in tokens is kept whole, "
            "as one layer, so that a saved model loads",
        )


def _strides_around(model) -> dict:
    """Strides before and behind each operation; 0 where there is no grid."""
    grids = tap_finder.strides_of_tensors(model)
    around = {}
    for operation, node in tap_finder.nodes(model):
        before, after = (
            max((grids.get(id(tensor)) or 0 for tensor in tensors), default=0)
            for tensors in (node.input_tensors, node.output_tensors)
        )
        known = around.get(operation, (0, 0))
        around[operation] = max(known[0], before), max(known[1], after)
    return around


def _changed(layer, before, after, output_stride, model_name):
    """A copy of the layer that keeps the grid, or the layer itself."""
    dilation = max(1, before // output_stride)
    is_strided = after > before
    if isinstance(layer, _CONVOLUTIONS):
        is_spatial = max(layer.kernel_size) > 1
        if not is_strided and not (is_spatial and dilation > 1):
            return layer
        rates = [dilation * rate for rate in _pair(layer.dilation_rate)]
        changes = {"dilation_rate": tuple(rates) if is_spatial else (1, 1)}
    elif isinstance(layer, _POOLINGS):
        extent = [(side - 1) * dilation + 1 for side in layer.pool_size]
        changes = {"pool_size": tuple(extent)}
    elif is_strided or (dilation > 1 and _mixes_cells(layer)):
        raise _refusal(
            model_name,
            f"its layer {layer.name!r} ({type(layer).__name__}) cannot be "
            "dilated",
        )
    else:
        return layer
    config = {**layer.get_config(), **changes}
    config |= {"strides": (1, 1), "padding": "same"}
    return type(layer).from_config(config)


def _pair(value):
    return (value, value) if isinstance(value, int) else value


def _mixes_cells(layer) -> bool:
    """Tells whether an unknown layer may look at several cells."""
    if isinstance(layer, keras.Model):
        return True
    kernels = [w.shape for w in getattr(layer, "weights", ())]
    return any(len(shape) == 4 and max(shape[:2]) > 1 for shape in kernels)


def _refusal(name, reason) -> ValueError:
    return ValueError(
        f"`output_stride` cannot be used with backbone {name!r}: {reason}. "
        "Omit it and tap a finer stride, or name a ResNet, MobileNet, "
        "EfficientNet, Xception, Inception or DenseNet of "
        "backbones.available()."
    )
