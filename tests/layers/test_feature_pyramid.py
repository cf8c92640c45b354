import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers._feature_pyramid import FeaturePyramid

RNG = np.random.default_rng(7)
MAPS = [
    RNG.normal(size=shape).astype("float32")
    for shape in ((2, 7, 5, 3), (2, 4, 3, 11), (2, 1, 3, 2))
]


def convolve(maps, kernel, bias):
    """Every product of a padded convolution, one image."""
    height, width, _ = maps.shape
    size = kernel.shape[0]
    padded = np.pad(maps, [(size // 2,) * 2, (size // 2,) * 2, (0, 0)])
    out = np.zeros((height, width, kernel.shape[-1]))
    for y in range(height):
        for x in range(width):
            window = padded[y : y + size, x : x + size]
            for f in range(kernel.shape[-1]):
                out[y, x, f] = (window * kernel[..., f]).sum() + bias[f]
    return out


def reference(maps, laterals, smoothings):
    """One image; the weights of each level as (kernel, bias)."""
    levels, above = [], None
    for level in reversed(range(len(maps))):
        merged = convolve(maps[level], *laterals[level])
        if above is not None:
            (height, width, _), (rows, columns, _) = merged.shape, above.shape
            for y in range(height):
                for x in range(width):
                    row = (2 * y + 1) * rows // (2 * height)
                    column = (2 * x + 1) * columns // (2 * width)
                    merged[y, x] += above[row, column]
        above = merged
        levels.insert(0, convolve(merged, *smoothings[level]))
    return levels


def random_pyramid(count):
    layer = FeaturePyramid(4)
    layer.build([m.shape for m in MAPS[:count]])
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("count", [1, 2, 3])
def test_levels_match_loops(count):
    layer = random_pyramid(count)
    laterals = [sub.get_weights() for sub in layer.laterals]
    smoothings = [sub.get_weights() for sub in layer.smoothings]
    levels = layer(MAPS[:count])
    assert len(levels) == count
    for image in range(2):
        maps = [m[image] for m in MAPS[:count]]
        expected = reference(maps, laterals, smoothings)
        for level, values in zip(levels, expected, strict=True):
            np.testing.assert_allclose(
                to_numpy(level)[image], values, rtol=1e-4, atol=1e-4
            )


def test_maps_of_any_size():
    layer = random_pyramid(3)
    inputs = [keras.Input((None, None, m.shape[-1])) for m in MAPS]
    outputs = layer(inputs)
    assert [x.shape for x in outputs] == [(None, None, None, 4)] * 3
    results = keras.Model(inputs, outputs).predict(MAPS, verbose=0)
    for result, level in zip(results, layer(MAPS), strict=True):
        np.testing.assert_allclose(
            result, to_numpy(level), rtol=1e-4, atol=1e-4
        )


def test_from_config():
    layer = FeaturePyramid.from_config(FeaturePyramid(5).get_config())
    assert layer.filters == 5


def test_errors():
    message = r"fine to coarse.*\(2, 7, 5, 3\) after one of \(2, 4, 3, 11\)"
    with pytest.raises(ValueError, match=message):
        FeaturePyramid(4)([MAPS[1], MAPS[0]])
    with pytest.raises(ValueError, match="must be a list of at least one map"):
        FeaturePyramid(4)(MAPS[0])
    with pytest.raises(ValueError, match=r"must have 2 maps.*3 maps"):
        random_pyramid(2)(MAPS)
