import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc.layers import LocationHeatmap
from keras_fgvc.ops import location_heatmap

RNG = np.random.default_rng(7)
MAPS = [
    RNG.normal(size=shape).astype("float32")
    for shape in ((2, 5, 7, 3), (2, 3, 4, 11))
]


@pytest.mark.parametrize("size", [None, (4, 3)])
def test_is_the_function(size):
    result = LocationHeatmap(size)(MAPS)
    assert result.shape == (2, *(size or (5, 7)), 2)
    np.testing.assert_array_equal(
        to_numpy(result), to_numpy(location_heatmap(MAPS, size))
    )


def test_images_of_any_size():
    inputs = [keras.Input((None, None, m.shape[-1])) for m in MAPS]
    output = LocationHeatmap()(inputs)
    assert output.shape == (None, None, None, 2)
    model = keras.Model(inputs, output)
    for maps in (MAPS, [m[:, :3, :2] for m in MAPS]):
        np.testing.assert_allclose(
            model.predict(maps, verbose=0),
            to_numpy(location_heatmap(maps)),
            atol=1e-6,
        )


def test_maps_are_compared_at_their_own_precision():
    features = np.full((1, 1, 3, 2), 1.0, "float32")
    features[0, 0, 1] = 1.0001  # 1 in bfloat16
    result = LocationHeatmap(dtype="mixed_bfloat16")([features])
    assert keras.backend.standardize_dtype(result.dtype) == "bfloat16"
    result = to_numpy(keras.ops.cast(result, "float32"))
    np.testing.assert_array_equal(result[0, 0, :, 0], [0, 1, 0])


def test_errors():
    with pytest.raises(ValueError, match="`size` must be a pair"):
        LocationHeatmap("7")
    with pytest.raises(ValueError, match="must be a list of at least one map"):
        LocationHeatmap()(MAPS[0])
    with pytest.raises(ValueError, match=r"`feature_maps\[1\]` must have 4"):
        LocationHeatmap()([MAPS[0], MAPS[1][0]])


def test_one_integer_is_a_square():
    assert LocationHeatmap(7).get_config()["size"] == (7, 7)
