"""Builds a feature extractor from a name or from the user's own model."""

import keras

from keras_fgvc import _checks
from keras_fgvc.backbones import freezing, own_models, presets, registry
from keras_fgvc.backbones import preprocessing as pixels_of
from keras_fgvc.backbones import taps as tap_finder
from keras_fgvc.backbones import weights as weight_files
from keras_fgvc.backbones.dilation import dilate
from keras_fgvc.backbones.nested import find_nested


def build(
    backbone: str | keras.Model,
    *,
    taps: tuple = (32,),
    weights: str | None = "imagenet",
    batch_norm: str = "frozen",
    input_shape: tuple = (None, None, 3),
    batch_norm_momentum: float = 0.9,
    output_stride: int | None = None,
    preprocessing="own",
    tokens: int | None = None,
    trainable: str = "all",
    remat: bool = False,
    name: str | None = None,
) -> keras.Model:
    """Makes a functional model from raw pixels to feature maps.

    The model holds the layers that its taps need and no others. A named
    backbone takes raw RGB pixels 0..255, float or uint8: its own
    preprocessing is inside. Nothing is added to a `keras.Model` of yours,
    which is taken to accept raw RGB pixels itself (one of `keras.applications`
    without its preprocessing is warned of); its layers are shared with the
    result, not copied, so `batch_norm` changes yours as well. If it was built
    for one image size, the result takes any, unless a layer forbids it.

    Args:
        backbone: a name of `available()`, a functional or Sequential
            `keras.Model` with one image input, a backbone of KerasHub (also
            one that ends in tokens, such as a ViT), one of KerasHub's
            presets as `"hub:NAME"`, or a folder that its `save_to_preset`
            wrote.
        taps: strides (4, 8, 16 or 32) or layer names. A stride stands for
            the last feature map of that stride. A transformer has
            `"block_1"` and so on: the patches as that block gives them,
            before the network's last norm. A stride that it lacks is made
            from its output by pooling or bilinear interpolation.
        weights: of a named backbone, "imagenet" (default; downloaded once),
            None for random ones, or the path of a local .weights.h5, .h5 or
            .keras file saved from the `keras.applications` model of that
            name, with or without its top (a legacy .h5: with 1000 classes).
            ResNets, wide ResNets, ConvNeXts and KerasHub's ViT, DeiT and
            DINOv2 also take the PyTorch file (.pth, .pt, .bin or
            .safetensors) of torchvision's, timm's or the authors' model, or a
            checkpoint that holds it. "resnet50" is "resnet50_v1_5" then,
            because torch's ResNets have their strides elsewhere. Wide ResNets
            and these have no "imagenet". Any other `keras.Model` brings its
            own weights: "imagenet" and None leave them alone.
        batch_norm: "frozen" (default; right for small batches and short
            runs) or "train".
        input_shape: `(height, width, 3)`, sides may be None; named backbones
            only.
        batch_norm_momentum: momentum of the moving statistics under "train".
            The stock 0.99 or 0.999 lag far behind in a run of a few hundred
            steps.
        output_stride: 16 or 8 gives a convolutional network a denser map:
            strides beyond it become dilation (Chen et al., "Rethinking Atrous
            Convolution", 2017, https://arxiv.org/abs/1706.05587, section
            3.1), and the weights stay as they are. `taps` still name the maps
            by their strides before: 32 is the last one, with cells of 16 or 8
            pixels now. None (default) leaves the network alone.
        preprocessing: from raw pixels 0..255 to what a network that is no
            name was trained with: "own" (default; a preset's, of a
            `keras.Model` none), "imagenet" (less ImageNet's mean, over its
            deviation), "tf" (-1..1), "none", or a layer or function of
            images. A backbone object of KerasHub holds none.
        tokens: of a `keras.Model` that ends in tokens `(batch, tokens,
            channels)`: how many class, register and distillation tokens
            stand before the patches. None (default) finds it where only one
            grid of patches fits.
        trainable: "all" (default; layers are as you gave them), "none", or
            "last:3" for the last three blocks up to the last tap, such as
            residual or transformer blocks. What is frozen here stays frozen
            in every phase of a method, its batch normalisation too.
        remat: whether training computes the inside of each block again for
            the gradient instead of keeping it: less memory, about a third
            more time. Defaults to `False`.
        name: name of the model; default the backbone's.

    Returns:
        A `keras.Model` from `(batch, height, width, 3)` to one feature map
        `(batch, height / stride, width / stride, channels)`, or to a list of
        them in the order of `taps` where there are several.

    Raises:
        TypeError: if `backbone` or `taps` is of a wrong type.
        ValueError: if a name, stride, layer, choice or weights file does not
            exist or does not fit.
        RuntimeError: if the ImageNet weights cannot be downloaded.
        ImportError: if a .pth file is given and PyTorch is not installed.

    Example:

    ```python
    import numpy as np
    from keras_fgvc import backbones

    model = backbones.build("mobilenet_v2", taps=(8, 16), weights=None)
    fine, coarse = model(np.zeros((1, 64, 64, 3), "uint8"))
    assert fine.shape == (1, 8, 8, 192)
    assert coarse.shape == (1, 4, 4, 576)
    ```
    """
    _checks.check_channels_last()
    _checks.check_choice("batch_norm", batch_norm, freezing.MODES)
    _checks.check_in_range("batch_norm_momentum", batch_norm_momentum, 0, 1)
    tap_finder.check_taps(taps)
    freezing.check_trainable(trainable)
    whole = presets.settle(backbone, weights, preprocessing, tokens)
    if isinstance(whole, str):
        backbone = whole
        whole = _named_model(backbone, weights, input_shape)
    else:
        own_models.check(whole, preprocessing == "own")
        backbone = whole.name
    model = _truncate(whole, taps, name or backbone)
    model = own_models.without_fixed_size(model)
    if output_stride is not None:
        model = dilate(model, output_stride)
    freezing.release(model)
    freezing.configure_batch_norm(model, batch_norm, batch_norm_momentum)
    freezing.hold(model, trainable)
    if remat:  # a rare thing, imported where it is used
        from keras_fgvc.backbones.remat import rematerialize

        model = rematerialize(model)
    return model


def clone_stem(
    model: keras.Model, tap: int | str, name: str | None = None
) -> keras.Model:
    """Copies a backbone's first layers, up to one tap, as a model of its own.

    The copy starts with the same values and the same preprocessing, and
    shares no weight with the original. `copy_weights` brings it up to date.

    Args:
        model: a model that `build` returned.
        tap: stride or layer name of the copy's output.
        name: name of the copy; default that of `model` with `_stem` behind.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: if `model` has no such tap.

    Example:

    ```python
    from keras_fgvc import backbones

    backbone = backbones.build("mobilenet_v2", weights=None)
    stem = backbones.clone_stem(backbone, 4)
    assert stem.output.shape == (None, None, None, 144)
    ```
    """
    name = name or f"{model.name}_stem"
    stem = own_models.without_fixed_size(_truncate(model, (tap,), name))
    return clone(stem, name)


def clone(model: keras.Model, name: str) -> keras.Model:
    """Copies a backbone: equal now, no weight in common.

    Args:
        model: a model that `build` returned.
        name: name of the copy.

    Returns:
        A functional `keras.Model`. Its layers keep their names.

    Example:

    ```python
    from keras_fgvc import backbones

    backbone = backbones.build("mobilenet_v2", weights=None)
    other = backbones.clone(backbone, "other")
    assert other.output.shape == backbone.output.shape
    ```
    """
    # Not `from_config(get_config())`: while a file is being loaded, Keras takes
    # the layers of a second copy for those of the first.
    copy = keras.models.clone_model(model)
    copy = keras.Model(copy.inputs[0], copy.output, name=name)
    weight_files.copy_weights(model, copy)
    copy = tap_finder.keep_own_strides(model, copy)
    freezing.hold_alike(model, copy)
    return copy


def clone_batch_norm(model: keras.Model, name: str) -> keras.Model:
    """The same network on the same weights, but for batch normalisation.

    For a second kind of input, such as masked images: normalised in training
    by its own batches, it needs moving statistics, scales and offsets of its
    own at inference (Xie et al., "Adversarial Examples Improve Image
    Recognition", 2020, section 4).

    Args:
        model: a model that `build` returned. Batch normalisation inside a
            composite layer, other than a nested functional model, is shared.
        name: name of the result.

    Returns:
        A functional `keras.Model`. Its layers keep their names.

    Example:

    ```python
    from keras_fgvc import backbones

    model = backbones.build(
        "mobilenet_v2", weights=None, batch_norm="train"
    )
    other = backbones.clone_batch_norm(model, "other")
    assert other.get_layer("Conv1") is model.get_layer("Conv1")
    assert other.get_layer("bn_Conv1") is not model.get_layer("bn_Conv1")
    ```
    """
    copies = []

    def own_or_shared(layer):
        if not isinstance(layer, keras.layers.BatchNormalization):
            return layer
        copies.append((layer, type(layer).from_config(layer.get_config())))
        return copies[-1][1]

    result = keras.models.clone_model(
        model, clone_function=own_or_shared, recursive=True
    )
    for layer, copy in copies:
        copy.set_weights(layer.get_weights())
        freezing.hold_alike(layer, copy)
    result = keras.Model(result.inputs[0], result.output, name=name)
    return tap_finder.keep_own_strides(model, result)


def _truncate(model: keras.Model, taps, name: str) -> keras.Model:
    nested = find_nested(model)
    if nested is not None:
        images = tap_finder.input_of(model, nested)
        outputs = nested.tapped(taps)(images)
        return keras.Model(model.inputs[0], outputs, name=name)
    outputs = [tap_finder.resolve(model, tap) for tap in taps]
    result = keras.Model(
        model.inputs[0], outputs if len(outputs) > 1 else outputs[0], name=name
    )
    return tap_finder.keep_own_strides(model, result)


def _named_model(backbone: str, weights, input_shape) -> keras.Model:
    entry = registry.find(backbone)
    _check_input_shape(input_shape, backbone, entry)
    images = keras.Input(input_shape, name="image")
    pixels = pixels_of.preprocess(images, entry.pixels)
    model = registry.construct(entry, input_tensor=pixels)
    if weights is not None:
        weight_files.load(model, backbone, weights)
    return model


def _check_input_shape(input_shape, backbone: str, entry) -> None:
    if len(input_shape) != 3 or input_shape[-1] != 3:
        raise ValueError(
            "`input_shape` must be (height, width, 3) for a named backbone. "
            f"Received: input_shape={input_shape}."
        )
    if entry.fixed_size and None in input_shape:
        raise ValueError(
            f"Backbone {backbone!r} must know its image size: give "
            "`input_shape` without None, such as (224, 224, 3). "
            f"Received: input_shape={input_shape}."
        )
