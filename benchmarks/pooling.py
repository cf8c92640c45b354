"""Global k-max pooling against the pooling it competes with.

    KERAS_BACKEND=tensorflow python benchmarks/pooling.py

The floor is global average and max pooling; the alternatives are `top_k`,
sorting, and torch.topk on the same data in torch's own layout. About two
minutes; --quick for a smoke run.
"""

import importlib.util

import keras
import numpy as np
import results
from absl import app
from keras import ops
from timing import FLAGS, keras_contender, random_array, report, torch_contender

from keras_fgvc.ops import global_k_max_pool

K = 4
SHAPES = [(8, 14, 14, 2048), (32, 14, 14, 2048), (16, 28, 28, 512)]


def top_k_mean(features):
    _, height, width, channels = features.shape
    rows = ops.reshape(features, (-1, height * width, channels))
    values, _ = ops.top_k(ops.transpose(rows, (0, 2, 1)), K)
    return ops.mean(values, axis=-1)


def weighted(features):
    return global_k_max_pool(features, K, ops.ones(K))


def sort_mean(features):
    import tensorflow as tf

    _, height, width, channels = features.shape
    rows = tf.reshape(features, (-1, height * width, channels))
    ordered = tf.sort(rows, axis=1, direction="DESCENDING")
    return tf.reduce_mean(ordered[:, :K], axis=1)


def contenders(shape):
    features = random_array(*shape)
    functions = {
        "global_k_max_pool": lambda x: global_k_max_pool(x, K),
        "ours, with weights": weighted,
        "ops.top_k": top_k_mean,
        "GlobalMaxPooling2D": keras.layers.GlobalMaxPooling2D(),
        "GlobalAveragePooling2D": keras.layers.GlobalAveragePooling2D(),
    }
    if keras.backend.backend() == "tensorflow":
        functions["tf.sort"] = sort_mean
    result = {
        name: lambda fn=fn: keras_contender(fn, features)
        for name, fn in functions.items()
    }
    if importlib.util.find_spec("torch"):
        result["torch.topk"] = lambda: torch_top_k(features)
    return result


def torch_top_k(features):
    """In torch's own layout, so that it has nothing to transpose."""
    batch, height, width, channels = features.shape
    rows = features.reshape(batch, height * width, channels)
    rows = np.ascontiguousarray(rows.transpose(0, 2, 1))
    return torch_contender(lambda x: x.topk(K, dim=-1)[0].mean(-1), rows)


def main(_):
    for shape in [(2, 7, 7, 64)] if FLAGS.quick else SHAPES:
        title = f"k={K} of " + "x".join(map(str, shape))
        report(title, lambda shape=shape: contenders(shape))


if __name__ == "__main__":
    app.run(results.kept(main))
