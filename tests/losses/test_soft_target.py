import numpy as np
import pytest
from keras import ops

from keras_fgvc.losses import soft_target
from tests.gradients import check_gradient, compiled, gradient
from tests.tolerances import TOLERANCES

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

RNG = np.random.default_rng(11)
STUDENT = 3 * RNG.normal(size=(3, 5))
TEACHER = 3 * RNG.normal(size=(3, 5))


def softmax(logits, temperature):
    powers = [np.exp(logit / temperature) for logit in logits]
    return [power / sum(powers) for power in powers]


def reference(student, teacher, temperature):
    """Class by class."""
    values = np.zeros(len(student))
    for b in range(len(student)):
        q = softmax(student[b], temperature)
        p = softmax(teacher[b], temperature)
        for k in range(len(p)):
            values[b] += temperature**2 * p[k] * np.log(p[k] / q[k])
    return values


def to_numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_matches_a_loop(temperature):
    @compiled
    def loss(student, teacher):
        return soft_target(teacher, student, temperature=temperature)

    found = loss(
        ops.convert_to_tensor(STUDENT, "float32"),
        ops.convert_to_tensor(TEACHER, "float32"),
    )
    np.testing.assert_allclose(
        to_numpy(found),
        reference(STUDENT, TEACHER, temperature),
        **TOLERANCES["float32"],
    )


def test_zero_where_both_agree_up_to_a_constant():
    found = soft_target(TEACHER, TEACHER + 2.5)
    np.testing.assert_allclose(to_numpy(found), 0.0, atol=1e-5)


def test_hot_it_is_half_the_squared_distance_of_centred_logits():
    """Hinton et al., section 2.1: at a high T logits are matched."""
    found = to_numpy(soft_target(TEACHER, STUDENT, temperature=1000.0))
    gap = STUDENT - TEACHER
    gap = gap - gap.mean(axis=1, keepdims=True)
    # Rounding of probabilities near 1/5, times T^2.
    expected = 0.5 * np.mean(gap**2, axis=1)
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.3)


def test_classes_have_no_order():
    order = RNG.permutation(5)
    np.testing.assert_allclose(
        to_numpy(soft_target(TEACHER[:, order], STUDENT[:, order])),
        to_numpy(soft_target(TEACHER, STUDENT)),
        **TOLERANCES["float32"],
    )


def test_gradient():
    weights = np.array([0.5, -2.0, 1.0])

    def value(student):
        values = soft_target(TEACHER, student)
        return ops.sum(ops.cast(weights, values.dtype) * values)

    check_gradient(value, STUDENT, float32_on=("jax",))


def test_gradient_is_that_of_the_soft_cross_entropy_and_the_students_alone():
    def value(student, teacher):
        return ops.sum(soft_target(teacher, student, temperature=2.0))

    to_student, to_teacher = gradient(value, STUDENT, TEACHER)
    for b in range(3):
        q, p = softmax(STUDENT[b], 2.0), softmax(TEACHER[b], 2.0)
        expected = 2.0 * (np.array(q) - np.array(p))  # T^2 / T
        np.testing.assert_allclose(
            to_student[b], expected, **TOLERANCES["float32"]
        )
    np.testing.assert_array_equal(to_teacher, 0.0)


def test_sure_logits_stay_finite():
    sure = np.array([[1000.0, 0.0, -1000.0]])

    def value(student, teacher):
        return ops.sum(soft_target(teacher, student, temperature=1.0))

    slopes, _ = gradient(value, -sure, sure)
    assert np.all(np.isfinite(slopes))
    found = to_numpy(soft_target(sure, -sure, temperature=1.0))
    np.testing.assert_allclose(found, [2000.0], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    student, teacher = ops.cast(STUDENT, dtype), ops.cast(TEACHER, dtype)
    found = soft_target(teacher, student)
    assert ops.dtype(found) == "float32"
    expected = reference(to_numpy(student), to_numpy(teacher), 4.0)
    np.testing.assert_allclose(
        to_numpy(found), expected, **TOLERANCES["float32"]
    )


def test_errors():
    with pytest.raises(ValueError, match="`student_logits` must have 2 axes"):
        soft_target(TEACHER[0], STUDENT[0])
    message = r"`teacher_logits` must have shape \(3, 5\), that of `student"
    with pytest.raises(ValueError, match=message):
        soft_target(TEACHER[:, :1], STUDENT)
    with pytest.raises(ValueError, match=r"`temperature` must be .* above 0"):
        soft_target(TEACHER, STUDENT, temperature=0.0)
