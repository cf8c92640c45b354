"""Deep bilinear transformation against the convolutions around it.

    KERAS_BACKEND=tensorflow python benchmarks/group_bilinear.py

The products within groups against einsum and the products written out, the
way back to the channels against gathers along the last axis; the floor of
both is a 1x1 convolution that keeps the channels, the cheapest layer that a
network puts there. The whole block last. About three minutes; --quick for a
smoke run.
"""

import numpy as np
import results
from absl import app
from keras import ops
from timing import FLAGS, keras_contender, random_array, report

from keras_fgvc.layers import DeepBilinearTransformation
from keras_fgvc.ops import group_bilinear, interpolate_channels

# Shape of the features, number of groups.
MAPS = [((8, 28, 28, 512), 16), ((8, 14, 14, 1024), 32)]
# Shape of the products, channels to go back to.
PRODUCTS = [((8, 28, 28, 1024), 512), ((8, 28, 28, 900), 480)]


def convolution(channels):
    kernel = random_array(1, 1, channels, channels) / channels**0.5
    return lambda x: ops.conv(x, ops.convert_to_tensor(kernel))


def grouped(features, groups):
    *lead, channels = features.shape
    return ops.reshape(features, (*lead, groups, channels // groups))


def by_einsum(features, groups):
    values = grouped(features, groups)
    return ops.einsum("bhwgs,bhwgt->bhwst", values, values)


def by_products(features, groups):
    """As much memory as features times channels of a group."""
    values = grouped(features, groups)
    products = ops.expand_dims(values, -1) * ops.expand_dims(values, -2)
    return ops.sum(products, axis=3)


def by_last_axis(products, channels):
    old = products.shape[-1]
    position = (np.arange(channels) + 0.5) * old / channels - 0.5
    position = np.clip(position, 0, old - 1)
    lower = np.floor(position).astype("int32")
    share = ops.cast(position - lower, products.dtype)
    low = ops.take(products, lower, axis=-1)
    high = ops.take(products, np.minimum(lower + 1, old - 1), axis=-1)
    return low + share * (high - low)


def contenders(functions, inputs):
    return {
        name: lambda fn=fn: keras_contender(fn, inputs)
        for name, fn in functions.items()
    }


def bilinears(shape, groups):
    functions = {
        "group_bilinear": lambda x: group_bilinear(x, groups),
        "1x1 convolution": convolution(shape[-1]),
        "ops.einsum": lambda x: by_einsum(x, groups),
        "all products, then sum": lambda x: by_products(x, groups),
    }
    return contenders(functions, random_array(*shape))


def interpolations(shape, channels):
    functions = {
        "interpolate_channels": lambda x: interpolate_channels(x, channels),
        "ops.take, last axis": lambda x: by_last_axis(x, channels),
    }
    return contenders(functions, random_array(*shape))


def blocks(shape, groups):
    block = DeepBilinearTransformation(groups, grouping_weight=0.0)
    block.build(shape)
    functions = {
        "DeepBilinearTransformation": lambda x: block(x, training=False),
        "1x1 convolution": convolution(shape[-1]),
    }
    return contenders(functions, random_array(*shape))


def main(_):
    quick = FLAGS.quick
    for shape, groups in [((2, 7, 7, 64), 4)] if quick else MAPS:
        title = f"{groups} groups of " + "x".join(map(str, shape))
        report(title, lambda s=shape, g=groups: bilinears(s, g))
    for shape, channels in [((2, 7, 7, 64), 48)] if quick else PRODUCTS:
        title = "x".join(map(str, shape)) + f" to {channels} channels"
        report(title, lambda s=shape, c=channels: interpolations(s, c))
    for shape, groups in [((2, 7, 7, 64), 4)] if quick else MAPS:
        title = f"whole block, {groups} groups of " + "x".join(map(str, shape))
        report(title, lambda s=shape, g=groups: blocks(s, g))


if __name__ == "__main__":
    app.run(results.kept(main))
