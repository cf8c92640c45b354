"""Times of operations and training steps, as ratios, for gpu_evidence.py."""

import importlib.util

import keras
import numpy as np
from in_turn import median_seconds
from timing import keras_contender

from keras_fgvc import models
from keras_fgvc.ops import global_k_max_pool, roi_align

ROUNDS = 15
K = 4
SHAPE = (32, 28, 28, 1024)  # of feature maps
BOXES, CELLS = 4, 7
CLASSES, BATCH = 50, 32
METHODS = ("ELoPE", "PainlessAttention", "Coarse2Fine", "FCAN", "DAF")


def operation_times():
    """Forward and backward passes, ours over others; below 1 ours is faster."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=SHAPE).astype("float32")
    corners = np.sort(rng.uniform(size=(SHAPE[0], BOXES, 2, 2)), axis=2)
    boxes = corners.reshape(SHAPE[0], BOXES, 4).astype("float32")
    contenders = {
        "k-max pooling": keras_contender(
            lambda x: global_k_max_pool(x, K), maps
        ),
        "max pooling": keras_contender(
            keras.layers.GlobalMaxPooling2D(dtype="float32"), maps
        ),
        "RoIAlign": keras_contender(
            lambda x, b: roi_align(x, b, CELLS), maps, boxes
        ),
    }
    calls = {}
    for name, contender in contenders.items():
        calls[name, "forward"] = contender.forward
        calls[name, "forward and backward"] = contender.with_gradient
    calls |= _torch_calls(maps, boxes)
    seconds = median_seconds(calls, ROUNDS)
    pairs = (
        ("k-max pooling", "max pooling"),
        ("k-max pooling", "torch.topk"),
        ("RoIAlign", "torchvision"),
    )
    return {
        f"{ours} over {other}, {what}": seconds[ours, what]
        / seconds[other, what]
        for ours, other in pairs
        for what in ("forward", "forward and backward")
        if (other, what) in seconds
    }


def _torch_calls(maps, boxes):
    """The peers on the same device, in PyTorch's own layout."""
    if not importlib.util.find_spec("torch"):
        return {}
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    x = torch.from_numpy(maps).permute(0, 3, 1, 2).contiguous().to(device)
    x.requires_grad_()
    functions = {"torch.topk": lambda: x.flatten(2).topk(K, dim=-1)[0].mean(-1)}
    align = _torchvision_align()
    if align is not None:
        size = x.new_tensor([SHAPE[2], SHAPE[1]] * 2)
        corners = torch.from_numpy(boxes[..., [1, 0, 3, 2]]).to(device) * size
        functions["torchvision"] = lambda: align(
            x, list(corners), CELLS, sampling_ratio=2, aligned=True
        )

    def wait(result):
        if device == "cuda":
            torch.cuda.synchronize()
        return result

    def backward(function):
        (gradient,) = torch.autograd.grad(function().sum(), x)
        return wait(gradient)

    calls = {}
    for name, function in functions.items():
        calls[name, "forward"] = lambda f=function: wait(f().detach())
        calls[name, "forward and backward"] = lambda f=function: backward(f)
    return calls


def _torchvision_align():
    try:
        from torchvision.ops import roi_align as align
    except Exception:  # not there, or its kernels do not load beside torch
        return None
    return align


def step_times(backbone, size):
    """A training step of each method over one of a plain Keras network.

    The plain network is the same backbone with average pooling and one layer,
    trained by `keras.Model.train_on_batch` without anything of this package.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, size, size, 3)).astype("float32")
    labels = rng.integers(0, CLASSES, BATCH)
    calls = {"plain Keras": _plain_step(backbone, size, images, labels)}
    for name in ("Baseline", *METHODS):
        model = _method(name, backbone, size)
        model.compile(keras.optimizers.SGD(1e-6))
        calls[name] = lambda m=model: m.train_on_batch(images, labels)
    seconds = median_seconds(calls, ROUNDS)
    plain = seconds["plain Keras"]
    ratios = {
        f"step of {n} over plain Keras": s / plain for n, s in seconds.items()
    }
    return {**ratios, "images per second of plain Keras": BATCH / plain}


def _method(name, backbone, size):
    arguments = {"weights": None}
    if name not in ("Baseline", "PainlessAttention"):
        arguments["image_size"] = size
    if name == "FCAN":
        arguments |= {"crop_size": size, "part_sizes": (3, 5)}
    return getattr(models, name)(backbone, CLASSES, **arguments)


def _plain_step(backbone, size, images, labels):
    networks = {"mobilenet_v2": "MobileNetV2", "resnet50": "ResNet50"}
    network = getattr(keras.applications, networks[backbone])(
        include_top=False, weights=None, input_shape=(size, size, 3)
    )
    x = keras.Input((size, size, 3))
    y = network(keras.layers.Rescaling(1 / 127.5, -1)(x), training=False)
    y = keras.layers.GlobalAveragePooling2D()(y)
    y = keras.layers.Dense(CLASSES, activation="softmax", dtype="float32")(y)
    model = keras.Model(x, y)
    model.compile(keras.optimizers.SGD(1e-6), "sparse_categorical_crossentropy")
    return lambda: model.train_on_batch(images, labels)
