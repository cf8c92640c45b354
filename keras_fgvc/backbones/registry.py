"""The table of named backbones: constructor and expected pixel values."""

import difflib
import os
from typing import NamedTuple

import keras

from keras_fgvc.backbones.wide_resnet import wide_resnet

SAFETENSORS = ".safetensors"
TORCH_SUFFIXES = (".pth", ".pt", ".bin", SAFETENSORS)
# How keras.applications expects pixels: "tf" is -1..1, "torch" is 0..1 less
# the ImageNet mean over its deviation, "caffe" is BGR less the mean, and
# "included" models already hold their own rescaling.
FAMILIES = {
    "caffe": {
        "resnet50": "ResNet50",
        "resnet101": "ResNet101",
        "resnet152": "ResNet152",
        "vgg16": "VGG16",
        "vgg19": "VGG19",
    },
    "tf": {
        "resnet50_v2": "ResNet50V2",
        "resnet101_v2": "ResNet101V2",
        "resnet152_v2": "ResNet152V2",
        "inception_v3": "InceptionV3",
        "inception_resnet_v2": "InceptionResNetV2",
        "xception": "Xception",
        "mobilenet": "MobileNet",
        "mobilenet_v2": "MobileNetV2",
        "nasnet_mobile": "NASNetMobile",
        "nasnet_large": "NASNetLarge",
    },
    "torch": {
        "densenet121": "DenseNet121",
        "densenet169": "DenseNet169",
        "densenet201": "DenseNet201",
    },
    "included": {
        "mobilenet_v3_small": "MobileNetV3Small",
        "mobilenet_v3_large": "MobileNetV3Large",
        **{f"efficientnet_b{n}": f"EfficientNetB{n}" for n in range(8)},
        **{f"efficientnet_v2_b{n}": f"EfficientNetV2B{n}" for n in range(4)},
        "efficientnet_v2_s": "EfficientNetV2S",
        "efficientnet_v2_m": "EfficientNetV2M",
        "efficientnet_v2_l": "EfficientNetV2L",
        "convnext_tiny": "ConvNeXtTiny",
        "convnext_small": "ConvNeXtSmall",
        "convnext_base": "ConvNeXtBase",
        "convnext_large": "ConvNeXtLarge",
        "convnext_xlarge": "ConvNeXtXLarge",
    },
}

# torchvision's name of the weights, the blocks of each stage, the widening.
# torchvision and timm have the stride of a plain ResNet in the 3x3
# convolution ("v1.5"), keras.applications in the 1x1 one before it.
_WIDE_RESNETS = {
    "wide_resnet50_2": ("Wide_ResNet50_2_Weights", (3, 4, 6, 3), 2),
    "wide_resnet101_2": ("Wide_ResNet101_2_Weights", (3, 4, 23, 3), 2),
    "resnet50_v1_5": ("ResNet50_Weights", (3, 4, 6, 3), 1),
    "resnet101_v1_5": ("ResNet101_Weights", (3, 4, 23, 3), 1),
    "resnet152_v1_5": ("ResNet152_Weights", (3, 8, 36, 3), 1),
}
_V1_5 = "_v1_5"

# Their branches are cropped to fit each other while the graph is built.
_FIXED_SIZE = ("nasnet_mobile", "nasnet_large")


class Entry(NamedTuple):
    """One named backbone.

    constructor: name of the function in `keras.applications`.
    pixels: "caffe", "tf", "torch" or "included".
    fixed_size: whether height and width must be known.
    torchvision: for our own models, torchvision's name of their weights;
        none is in `keras.applications`.
    options: arguments of the constructor, for our own models.
    """

    constructor: str
    pixels: str
    fixed_size: bool
    torchvision: str | None = None
    options: dict | None = None

    @property
    def origin(self) -> str:
        """The function whose models have this entry's weights."""
        if self.torchvision is None:
            return f"keras.applications.{self.constructor}"
        options = (f"{key}={value}" for key, value in self.options.items())
        return f"backbones.{self.constructor}({', '.join(options)})"

    @property
    def has_torch_files(self) -> bool:
        """True if files of PyTorch fit this entry."""
        is_ours = self.torchvision is not None
        return is_ours or self.constructor.startswith("ConvNeXt")


_ENTRIES = {
    name: Entry(constructor, pixels, name in _FIXED_SIZE)
    for pixels, models in FAMILIES.items()
    for name, constructor in models.items()
    if hasattr(keras.applications, constructor)
} | {
    name: Entry(
        "wide_resnet",
        "torch",
        False,
        torchvision,
        {"blocks": blocks, "widening": widening},
    )
    for name, (torchvision, blocks, widening) in _WIDE_RESNETS.items()
}


def available() -> tuple[str, ...]:
    """Lists the names that `build` knows, in alphabetical order.

    Returns:
        The lower-case names of the models in `keras.applications`, and of the
        wide ResNets and torchvision's ResNets, which it lacks.

    Example:

    ```python
    import keras_fgvc.backbones

    assert "resnet50" in keras_fgvc.backbones.available()
    ```
    """
    return tuple(sorted(_ENTRIES))


def find(name: str) -> Entry:
    """Looks a name up; unknown names raise with the nearest ones."""
    if name not in _ENTRIES:
        near = difflib.get_close_matches(name.lower(), _ENTRIES, n=3)
        hint = ", ".join(repr(match) for match in near or available())
        raise ValueError(
            "`backbone` must be a keras.Model or a name of "
            f"backbones.available(). Received: backbone={name!r}. "
            f"Nearest names: {hint}."
        )
    return _ENTRIES[name]


def for_torch_file(name: str) -> str:
    """Returns the backbone that computes what torch's of this name does."""
    return name + _V1_5 if name + _V1_5 in _ENTRIES else name


def construct(entry: Entry, **options) -> keras.Model:
    """Calls the entry's constructor, without top and weights by default."""
    if entry.torchvision is not None:
        return wide_resnet(**{"include_top": False, **entry.options, **options})
    constructor = getattr(keras.applications, entry.constructor)
    return constructor(**{"include_top": False, "weights": None, **options})


def is_torch_file(weights) -> bool:
    """Tells whether the argument `weights` names a file of PyTorch."""
    is_path = isinstance(weights, (str, os.PathLike))
    return is_path and os.fspath(weights).endswith(TORCH_SUFFIXES)
