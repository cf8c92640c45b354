from keras import ops

from keras_fgvc._checks import check_rank, check_shape
from keras_fgvc.ops._precision import at_least_float32


def soft_target(teacher_logits, student_logits, *, temperature: float = 4.0):
    """Lets a student predict what a teacher predicts, unlikely classes too.

    With T the temperature, p the teacher's probabilities and q the student's:

        p = softmax(teacher_logits / T),    q = softmax(student_logits / T)
        loss = T^2 KL(p || q) = T^2 sum over classes of p (log p - log q)

    T above 1 lets the small probabilities speak, which tell what classes look
    alike. T^2 keeps the gradient about as large at any T. The soft
    cross-entropy is this plus T^2 times the entropy of p, on which the student
    has no influence: the gradients are equal, but this loss is 0 where both
    agree.

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural
    Network", 2015, https://arxiv.org/abs/1503.02531, section 2; L_st of "Dual
    Attention Fusion" (DAF) for fine-grained image classification, sections
    3.5 and 3.7.3.

    Args:
        teacher_logits: `(batch, classes)`. No gradient reaches them: a teacher
            that learns at the same time does not learn from its student.
        student_logits: `(batch, classes)`.
        temperature: Number above 0, T. Defaults to 4, a usual value; DAF
            gives none.

    Returns:
        `(batch,)`, float32, at least 0 but for rounding.

    Raises:
        ValueError: If `student_logits` does not have two axes, the shapes
            disagree or `temperature` is not positive.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.losses import soft_target

    teacher = np.log([[0.5, 0.5]])
    student = np.log([[0.25, 0.75]])
    # 0.5 log(0.5 / 0.25) + 0.5 log(0.5 / 0.75)
    soft_target(teacher, student, temperature=1.0)  # [0.14]
    ```
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(
            "`temperature` must be a number above 0. "
            f"Received: temperature={temperature}."
        )
    student = at_least_float32(student_logits)
    teacher = ops.cast(teacher_logits, student.dtype)
    check_rank("student_logits", student.shape, 2, "(batch, classes)")
    layout = "that of `student_logits`"
    check_shape("teacher_logits", teacher.shape, student.shape, layout)
    log_q = ops.log_softmax(student / temperature)
    log_p = ops.log_softmax(ops.stop_gradient(teacher) / temperature)
    # From its logarithm, so that p = 0 gives 0 and not 0 * -inf.
    divergence = ops.sum(ops.exp(log_p) * (log_p - log_q), axis=1)
    return temperature**2 * divergence
