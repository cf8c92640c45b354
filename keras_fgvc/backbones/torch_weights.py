"""Reads a PyTorch state dict into layers named as torch's modules.

A layer `layer1_0_conv1` takes the tensors `layer1.0.conv1.*` of the file.
PyTorch is imported where a file is read.
"""

import os

import keras

from keras_fgvc.backbones import safetensors

SAFETENSORS = ".safetensors"
SUFFIXES = (".pth", ".pt", ".bin", SAFETENSORS)
# Where training scripts put the weights, the plain ones before averages.
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "module")
_WRAPPERS += ("net", "network", "weights", "params", "model_ema", "ema")
# What DataParallel, torch.compile and Lightning put before each name.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "backbone.", "encoder.")
# What a Keras variable is called in torch.
_TORCH_NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# Torch's axes in the order of Keras, by rank: convolutions, dense, vectors.
_AXES = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}


def load(model: keras.Model, path: str, backbone: str) -> None:
    """Fills `model` with the state dict in a local file.

    A classifier `fc` in the file is passed over where the model has none.

    Args:
        model: model of convolutions, batch normalisations and dense layers.
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
    tensors = _read(path, backbone)
    variables = {
        _torch_key(layer, variable): variable
        for layer in model.layers
        for variable in layer.weights
    }
    tensors = _without_prefix(tensors, variables)
    arrays = {
        key: tensor.astype("float32").transpose(_AXES[tensor.ndim])
        for key, tensor in tensors.items()
        if key in variables and tensor.ndim in _AXES
    }
    _check_fit(variables, arrays, tensors, path, backbone)
    for key, variable in variables.items():
        variable.assign(arrays[key])


def _torch_key(layer, variable) -> str:
    return f"{layer.name.replace('_', '.')}.{_TORCH_NAMES[variable.name]}"


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
    """The tensors by names that `wanted` has, as far as one prefix hides them.

    Tensors beside those of the prefix, such as a loss's, are left out.
    """
    while tensors and not any(key in tensors for key in wanted):
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
    return tensors


def _check_fit(variables, arrays, tensors, path: str, backbone: str) -> None:
    for key, variable in variables.items():
        if key not in arrays:
            raise _misfit(path, f"has no {key!r}", backbone)
        given, wanted = arrays[key].shape, tuple(variable.shape)
        if given != wanted:
            problem = f"has {key!r} as {given} instead of {wanted} in Keras"
            raise _misfit(path, problem, backbone)
    # Each torch batch normalisation also counts its batches.
    optional = ("num_batches_tracked", "fc.weight", "fc.bias")
    for key in tensors:
        if key not in variables and not key.endswith(optional):
            raise _misfit(path, f"also has {key!r}", backbone)


def _misfit(path: str, problem: str, backbone: str) -> ValueError:
    return ValueError(
        f"The file {path!r} does not hold a PyTorch state dict of {backbone}: "
        f"it {problem}. Give the .pth file that torchvision or timm has for "
        "it, or `model.state_dict()` of the same architecture, saved by itself."
    )
