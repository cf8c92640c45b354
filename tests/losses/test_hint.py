import numpy as np
import pytest
from keras import ops

from keras_fgvc.losses import hint
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

RNG = np.random.default_rng(13)
SHAPES = ((2, 7), (2, 3, 5), (2, 3, 5, 7))
STUDENT = RNG.normal(size=(2, 3, 5, 7))
TEACHER = RNG.normal(size=(2, 3, 5, 7))


def reference(student, teacher):
    """Value by value."""
    values = np.zeros(len(student))
    for b in range(len(student)):
        ours, theirs = student[b].ravel(), teacher[b].ravel()
        for i in range(len(ours)):
            values[b] += 0.5 * (ours[i] - theirs[i]) ** 2 / len(ours)
    return values


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


@pytest.mark.parametrize("shape", SHAPES)
def test_matches_a_loop(shape):
    student, teacher = RNG.normal(size=(2, *shape))
    found = compiled(hint)(
        ops.convert_to_tensor(teacher, "float32"),
        ops.convert_to_tensor(student, "float32"),
    )
    assert found.shape == (2,)
    np.testing.assert_allclose(
        to_numpy(found), reference(student, teacher), **TOLERANCES["float32"]
    )


def test_zero_for_equal_features_and_the_same_for_a_larger_map():
    np.testing.assert_array_equal(to_numpy(hint(TEACHER, TEACHER)), 0.0)
    np.testing.assert_allclose(
        to_numpy(
            hint(np.tile(TEACHER, (1, 3, 2, 1)), np.tile(STUDENT, (1, 3, 2, 1)))
        ),
        to_numpy(hint(TEACHER, STUDENT)),
        rtol=1e-5,
    )


def test_gradient():
    weights = np.array([0.5, -2.0])
    teacher = TEACHER[:, :2, :2]

    def value(student):
        values = hint(teacher, student)
        return ops.sum(ops.cast(weights, values.dtype) * values)

    check_gradient(value, STUDENT[:, :2, :2], float32_on=("jax",))


def test_no_gradient_reaches_the_teacher():
    def value(student, teacher):
        return ops.sum(hint(teacher, student))

    to_student, to_teacher = gradient(value, STUDENT, TEACHER)
    np.testing.assert_allclose(
        to_student, (STUDENT - TEACHER) / 105, **TOLERANCES["float32"]
    )
    np.testing.assert_array_equal(to_teacher, 0.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    student = ops.cast(300 * STUDENT, dtype)  # squares beyond float16
    teacher = ops.cast(300 * TEACHER, dtype)
    found = hint(teacher, student)
    assert ops.dtype(found) == "float32"
    expected = reference(to_numpy(student), to_numpy(teacher))
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="`student_features` must have at le"):
        hint(TEACHER[0, 0, 0], STUDENT[0, 0, 0])
    message = (
        r"`teacher_features` must have shape \(2, 3, 5, 7\), that of "
        r"`student_features` \(a regressor .*shape \(2, 3, 5, 1\)"
    )
    with pytest.raises(ValueError, match=message):
        hint(TEACHER[..., :1], STUDENT)
