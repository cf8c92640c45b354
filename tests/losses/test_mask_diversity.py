import numpy as np
import pytest
from keras import ops

from keras_fgvc.losses import mask_diversity
from tests.gradients import check_gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

MASKS = np.random.default_rng(3).uniform(size=(2, 3, 5, 4))


def reference(masks):
    """Equation 3, product by product."""
    values = np.zeros(len(masks))
    heads = masks.shape[-1]
    for b, maps in enumerate(masks):
        for i in range(heads):
            for j in range(heads):
                if i != j:
                    product = 0.0
                    for y in range(masks.shape[1]):
                        for x in range(masks.shape[2]):
                            product += maps[y, x, i] * maps[y, x, j]
                    values[b] += product**2
    return values


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def test_matches_equation_3():
    np.testing.assert_allclose(
        to_numpy(mask_diversity(MASKS)), reference(MASKS), rtol=1e-5
    )


def test_zero_for_one_head_and_for_masks_apart():
    np.testing.assert_array_equal(to_numpy(mask_diversity(MASKS[..., :1])), 0)
    apart = np.zeros((1, 2, 2, 4), "float32")
    for head in range(4):
        apart[0, head // 2, head % 2, head] = 1.0
    np.testing.assert_array_equal(to_numpy(mask_diversity(apart)), 0)


def test_places_and_heads_have_no_order():
    rng = np.random.default_rng(0)
    flat = MASKS.reshape(2, 15, 4)
    moved = flat[:, rng.permutation(15)][..., rng.permutation(4)]
    np.testing.assert_allclose(
        to_numpy(mask_diversity(moved.reshape(MASKS.shape))),
        to_numpy(mask_diversity(MASKS)),
        rtol=1e-5,
    )


def test_gradient():
    weights = np.array([0.5, -2.0])

    def value(masks):
        values = mask_diversity(masks)
        return ops.sum(ops.cast(weights, values.dtype) * values)

    check_gradient(value, MASKS / 4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    values = mask_diversity(ops.cast(MASKS, dtype))
    assert "float32" in str(values.dtype)
    np.testing.assert_allclose(
        to_numpy(values), reference(MASKS), rtol=TOLERANCES[dtype]["rtol"]
    )


def test_error():
    with pytest.raises(ValueError, match="`masks` must have 4 axes"):
        mask_diversity(MASKS[0])
