"""Attention: bilinear pooling, spatial softmax and masks of the image.

    KERAS_BACKEND=tensorflow python benchmarks/attention.py

Bilinear attention pooling against einsum, torch.einsum and the products
written out; the floor is global average pooling, which reads the features and
no more. The spatial softmax against `ops.softmax`, the up-sampler against a
fixed resize and a transposed convolution. About two minutes; --quick for a
smoke run.
"""

import importlib.util

import keras
import results
from absl import app
from keras import ops
from timing import FLAGS, keras_contender, random_array, report, torch_contender

from keras_fgvc.layers import AttentionUpsampler
from keras_fgvc.ops import bilinear_attention_pool, spatial_softmax

# Shape of the features, number of maps.
POOLED = [((8, 26, 26, 768), 32), ((16, 14, 14, 2048), 8)]
# Shape of the maps, and pixels a cell where they become masks.
SCORES = [(16, 28, 28, 32), (16, 14, 14, 2)]
MASKS = [((8, 28, 28, 1), 16), ((8, 14, 14, 8), 8)]


def pool_by_einsum(features, attention):
    _, height, width, _ = features.shape
    pooled = ops.einsum("bhwm,bhwc->bmc", attention, features)
    return pooled / (height * width)


def pool_by_products(features, attention):
    """All maps times all channels: as much memory as maps times features."""
    products = ops.expand_dims(attention, 4) * ops.expand_dims(features, 3)
    return ops.mean(products, axis=(1, 2))


def pool_by_torch(features, attention):
    import torch

    _, height, width, _ = features.shape
    pooled = torch.einsum("bhwm,bhwc->bmc", attention, features)
    return pooled / (height * width)


def poolings(shape, maps):
    arrays = random_array(*shape), random_array(*shape[:3], maps)
    average = keras.layers.GlobalAveragePooling2D()
    functions = {
        "bilinear_attention_pool": bilinear_attention_pool,
        "ops.einsum": pool_by_einsum,
        "all products, then mean": pool_by_products,
        "ours, max": lambda x, a: bilinear_attention_pool(x, a, "max"),
        # Reads the attention too, so that it has a gradient.
        "GlobalAveragePooling2D": lambda x, a: average(x) + 0 * ops.mean(a),
    }
    result = {
        name: lambda fn=fn: keras_contender(fn, *arrays)
        for name, fn in functions.items()
    }
    if importlib.util.find_spec("torch"):
        result["torch.einsum"] = lambda: torch_contender(pool_by_torch, *arrays)
    return result


def softmaxes(shape):
    functions = {
        "spatial_softmax": spatial_softmax,
        "ops.softmax": lambda x: ops.softmax(x, axis=(1, 2)),
    }
    scores = random_array(*shape)
    return {
        name: lambda fn=fn: keras_contender(fn, scores)
        for name, fn in functions.items()
    }


def upsamplers(shape, factor):
    """The transposed convolution takes one map, its border is not repeated."""
    _, height, width, maps = shape
    size = (factor * height, factor * width)
    ours = AttentionUpsampler(factor)
    ours.build(shape)
    kernel = random_array(2 * factor, 2 * factor, 1, 1)
    functions = {
        "AttentionUpsampler": ours,
        "ops.image.resize": lambda x: ops.image.resize(x, size),
    }
    if maps == 1:
        functions["ops.conv_transpose"] = lambda x: ops.conv_transpose(
            x, ops.convert_to_tensor(kernel), factor, padding="same"
        )
    attention = random_array(*shape)
    return {
        name: lambda fn=fn: keras_contender(fn, attention)
        for name, fn in functions.items()
    }


def main(_):
    quick = FLAGS.quick
    for shape, maps in [((2, 7, 7, 64), 3)] if quick else POOLED:
        title = f"{maps} maps of " + "x".join(map(str, shape))
        report(title, lambda s=shape, m=maps: poolings(s, m))
    for shape in [(2, 7, 7, 2)] if quick else SCORES:
        title = "softmax of " + "x".join(map(str, shape))
        report(title, lambda s=shape: softmaxes(s))
    for shape, factor in [((2, 7, 7, 1), 4)] if quick else MASKS:
        title = "x".join(map(str, shape)) + f" to masks, {factor} pixels a cell"
        report(title, lambda s=shape, f=factor: upsamplers(s, f))


if __name__ == "__main__":
    app.run(results.kept(main))
