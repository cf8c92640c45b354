"""Reads a PyTorch state dict into a network whose names `torch_names` knows.

PyTorch is imported where a file is read.
"""

import math
import os

import keras
import numpy as np

from keras_fgvc.backbones import safetensors, torch_names
from keras_fgvc.backbones.registry import SAFETENSORS

# Where training scripts put the weights, the plain ones before averages.
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "module")
_WRAPPERS += ("net", "network", "weights", "params", "model_ema", "ema")
_WRAPPERS += ("teacher",)  # of DINO and DINOv2
# What DataParallel, torch.compile and Lightning put before each name.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "backbone.", "encoder.")
# Torch's axes in the order of Keras, by rank: convolutions, dense, vectors.
_AXES = {4: (2, 3, 1, 0), 3: (0, 1, 2), 2: (1, 0), 1: (0,)}
# Of each batch normalisation; classifiers; what DINOv2's training alone reads.
_UNUSED = ("num_batches_tracked", "fc.weight", "fc.bias", "mask_token")
_UNUSED += tuple(f"head{end}" for end in (".weight", ".bias"))
_UNUSED += tuple(f"head_dist{end}" for end in (".weight", ".bias"))


def load(model: keras.Model, path: str, backbone: str) -> None:
    """Fills `model` with the state dict in a local file.

    A classifier in the file is passed over where the model has none, and
    position embeddings are resampled to the grid of the model.

    Args:
        model: a wide ResNet, a ConvNeXt of `keras.applications`, or a ViT,
            DeiT or DINOv2 of KerasHub.
        path: file that `torch.save(module.state_dict(), path)` wrote, a
            checkpoint that holds this dict under a usual name, or a
            .safetensors file. Only tensors are unpickled
            (`weights_only=True`).
        backbone: name of the backbone, for the messages.

    Raises:
        ImportError: if PyTorch is not installed.
        ValueError: if the file cannot be read or does not fit; the model is
            then unchanged.
    """
    path = os.fspath(path)
    variables = torch_names.variables(model)
    tensors = _without_prefix(_read(path, backbone), variables)
    if "pos_embed" in variables and np.ndim(tensors.get("pos_embed")) == 3:
        tensors["pos_embed"] = torch_names.fit_positions(
            tensors["pos_embed"], model
        )
    arrays = {
        key: tensor.astype("float32").transpose(_AXES[tensor.ndim])
        for key, tensor in tensors.items()
        if key in variables and tensor.ndim in _AXES
    }
    _check_fit(variables, arrays, tensors, path, backbone)
    for key, variable in variables.items():
        variable.assign(arrays[key].reshape(variable.shape))


def _read(path: str, backbone: str) -> dict:
    """Name -> array, other objects left out."""
    if path.endswith(SAFETENSORS):
        try:
            return safetensors.read(path)
        except (ValueError, KeyError, TypeError, MemoryError) as error:
            problem = "is cut short or no .safetensors file"
            raise _misfit(path, problem, backbone) from error
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"The file {path!r} is read by PyTorch, which is not installed. "
            "Run `pip install torch`, or save the weights once as "
            ".weights.h5 where PyTorch is."
        ) from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile, pickle, torch: each its own
        problem = "is cut short or not such a file, or holds more than tensors"
        raise _misfit(path, problem, backbone) from error
    if not isinstance(loaded, dict):
        raise _misfit(path, f"holds a {type(loaded).__name__}", backbone)
    return {
        name: _to_numpy(value)
        for name, value in _unwrapped(loaded, torch.Tensor).items()
        if isinstance(value, torch.Tensor)
    }


def _to_numpy(tensor):
    # NumPy has no bfloat16; a parameter may want its gradient.
    return tensor.detach().float().numpy()


def _unwrapped(loaded: dict, kind) -> dict:
    """The dict of tensors in a checkpoint, which holds more than these."""
    if any(isinstance(value, kind) for value in loaded.values()):
        return loaded
    inner = [loaded[w] for w in _WRAPPERS if isinstance(loaded.get(w), dict)]
    return _unwrapped(inner[0], kind) if inner else {}


def _without_prefix(tensors: dict, wanted) -> dict:
    """The tensors by names that `wanted` has, whatever prefix hides them.

    Tensors beside those of the prefix, such as a loss's, are left out.
    """
    while not any(key in torch_names.translate(tensors) for key in wanted):
        counts = {
            prefix: sum(name.startswith(prefix) for name in tensors)
            for prefix in _PREFIXES
        }
        prefix = max(counts, key=counts.get)
        if not counts[prefix]:
            break
        tensors = {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix)
        }
    return torch_names.translate(tensors)


def _check_fit(variables, arrays, tensors, path: str, backbone: str) -> None:
    missing = [key for key in variables if key not in arrays]
    if missing:
        raise _misfit(path, f"has no {_first_few(missing)}", backbone)
    for key, variable in variables.items():
        given, wanted = arrays[key].shape, tuple(variable.shape)
        if not _holds_the_same(given, wanted):
            problem = f"has {key!r} as {given} instead of {wanted} in Keras"
            raise _misfit(path, problem, backbone)
    more = [k for k in tensors if k not in variables and not _is_unused(k)]
    if more:
        raise _misfit(path, f"also has {_first_few(more)}", backbone)


def _is_unused(key: str) -> bool:
    return key.endswith(_UNUSED)


def _first_few(names: list) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _holds_the_same(given: tuple, wanted: tuple) -> bool:
    """Tells whether shapes are equal but for the heads of an attention."""
    if len(given) == len(wanted):
        return given == wanted
    ends = (given[0] == wanted[0], given[-1] == wanted[-1], len(given) == 1)
    return math.prod(given) == math.prod(wanted) and any(ends)


def _misfit(path: str, problem: str, backbone: str) -> ValueError:
    return ValueError(
        f"The file {path!r} does not hold a PyTorch state dict of {backbone}: "
        f"it {problem}. Give the .pth file that torchvision or timm has for "
        "it, or `model.state_dict()` of the same architecture, saved by itself."
    )
