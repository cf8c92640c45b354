"""RoIAlign and image crops against the usual ways to write them.

    KERAS_BACKEND=tensorflow python benchmarks/regions.py

`four gathers` reads the four neighbours of every sample, as most public code
does. tf.image.crop_and_resize samples at other positions and has no gradient
for boxes worth its name, so it is compared for speed alone. The gradient is
taken for features and boxes. About three minutes; --quick for a smoke run.
"""

import keras
import numpy as np
import results
from absl import app
from keras import ops
from timing import FLAGS, keras_contender, random_array, report

from keras_fgvc.ops import crop_and_resize, roi_align

# Feature maps, number of boxes, and the size of the output.
FEATURES = [
    ((8, 14, 14, 2048), 4, 7),
    ((8, 28, 28, 512), 6, 7),
    ((4, 56, 56, 256), 6, 7),
]
IMAGES = [((4, 448, 448, 3), 4, 224), ((8, 512, 512, 3), 1, 448)]


def random_boxes(batch, count):
    corners = np.random.default_rng(3).uniform(size=(batch, count, 2, 2))
    low, high = 0.5 * corners[..., 0, :], 0.5 + 0.5 * corners[..., 1, :]
    return np.concatenate([low, high], axis=-1).astype("float32")


def four_gathers(features, boxes, size, samples):
    """Bilinear samples of a grid, each from its four neighbours."""
    batch, height, width, channels = features.shape
    grid = (ops.arange(size * samples, dtype="float32") + 0.5) / size / samples
    y = boxes[..., 0:1] + (boxes[..., 2:3] - boxes[..., 0:1]) * grid
    x = boxes[..., 1:2] + (boxes[..., 3:4] - boxes[..., 1:2]) * grid
    y = ops.clip(y * height - 0.5, 0, height - 1)[:, :, :, None]
    x = ops.clip(x * width - 0.5, 0, width - 1)[:, :, None, :]
    top = ops.minimum(ops.floor(y), height - 2)
    left = ops.minimum(ops.floor(x), width - 2)
    down, right = (y - top)[..., None], (x - left)[..., None]
    starts = ops.reshape(ops.arange(batch) * height * width, (-1, 1, 1, 1))
    first = ops.cast(top, "int32") * width + ops.cast(left, "int32") + starts
    table = ops.reshape(features, (-1, channels))
    result = 0.0
    for offset, weight in (
        (0, (1 - down) * (1 - right)),
        (1, (1 - down) * right),
        (width, down * (1 - right)),
        (width + 1, down * right),
    ):
        result = result + weight * ops.take(table, first + offset, axis=0)
    if samples == 1:
        return result
    shape = (batch, -1, size, samples, size, samples, channels)
    return ops.mean(ops.reshape(result, shape), axis=(3, 5))


def tf_crop_and_resize(features, boxes, size, samples):
    import tensorflow as tf

    batch, count, _ = boxes.shape
    sampled = tf.image.crop_and_resize(
        features,
        tf.reshape(boxes, (-1, 4)),
        tf.repeat(tf.range(batch), count),
        (size * samples, size * samples),
    )
    if samples > 1:
        sampled = tf.nn.avg_pool2d(sampled, samples, samples, "VALID")
    return sampled


def torch_grid_sample(images, boxes, size):
    import torch

    batch, height, width, channels = images.shape
    count = boxes.shape[1]
    grid = (torch.arange(size) + 0.5) / size
    low, high = boxes[..., :2, None], boxes[..., 2:, None]
    y, x = (2 * (low + (high - low) * grid) - 1).unbind(2)  # (b, n, size)
    shape = (batch, count, size, size)
    grid = torch.stack(
        [x[:, :, None].expand(shape), y[..., None].expand(shape)], dim=-1
    )
    planes = images.permute(0, 3, 1, 2)[:, None]
    planes = planes.expand(-1, count, -1, -1, -1)
    return torch.nn.functional.grid_sample(
        planes.reshape(-1, channels, height, width),
        grid.reshape(-1, size, size, 2),
        padding_mode="border",
        align_corners=False,
    )


def makers(functions, shape, count):
    inputs = random_array(*shape), random_boxes(shape[0], count)
    return {
        name: lambda fn=fn: keras_contender(fn, *inputs)
        for name, fn in functions.items()
    }


def feature_contenders(shape, count, size):
    functions = {
        "roi_align": lambda x, b: roi_align(x, b, (size, size)),
        "four gathers": lambda x, b: four_gathers(x, b, size, 2),
    }
    if keras.backend.backend() == "tensorflow":
        functions["tf.image.crop_and_resize + avg_pool"] = lambda x, b: (
            tf_crop_and_resize(x, b, size, 2)
        )
    return makers(functions, shape, count)


def image_contenders(shape, count, size):
    functions = {
        "crop_and_resize": lambda x, b: crop_and_resize(x, b, (size, size)),
        "four gathers": lambda x, b: four_gathers(x, b, size, 1),
    }
    if keras.backend.backend() == "tensorflow":
        functions["tf.image.crop_and_resize"] = lambda x, b: tf_crop_and_resize(
            x, b, size, 1
        )
    if keras.backend.backend() == "torch":
        functions["torch grid_sample"] = lambda x, b: torch_grid_sample(
            x, b, size
        )
    return makers(functions, shape, count)


def main(_):
    quick = FLAGS.quick
    tables = [
        ("features", feature_contenders, FEATURES, ((2, 5, 7, 17), 2, 3)),
        ("image", image_contenders, IMAGES, ((2, 32, 32, 3), 2, 16)),
    ]
    for kind, contenders, cases, tiny in tables:
        for shape, count, size in [tiny] if quick else cases:
            sides = "x".join(map(str, shape))
            title = f"{kind} {sides}, {count} boxes to {size}x{size}"
            report(
                title,
                lambda f=contenders, case=(shape, count, size): f(*case),
            )


if __name__ == "__main__":
    app.run(results.kept(main))
