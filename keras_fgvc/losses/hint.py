from keras import ops

from keras_fgvc._checks import check_shape
from keras_fgvc.ops._precision import at_least_float32


def hint(teacher_features, student_features):
    """Draws a hidden layer of a student towards one of its teacher.

    With r(s) the student's features behind a regressor, a layer that gives
    them the teacher's shape, and t the teacher's:

        loss = 1/2 mean over all values of an image of (r(s) - t)^2

    FitNets has the sum, 1/2 ||r(s) - t||^2; with the mean one weight of the
    loss does for maps of any size.

    Source: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015,
    https://arxiv.org/abs/1412.6550, equation 3; L_hint of "Dual Attention
    Fusion" (DAF) for fine-grained image classification, sections 3.5 and
    3.7.3, of which the text we hold has lost the formula.

    Args:
        teacher_features: `(batch, ...)`, two axes or more. No gradient
            reaches them.
        student_features: Of the same shape, after the regressor: a 1x1
            convolution if the sizes agree.

    Returns:
        `(batch,)`, float32, at least 0.

    Raises:
        ValueError: If `student_features` has fewer than two axes or the shapes
            disagree.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.losses import hint

    teacher = np.zeros((2, 14, 14, 64), "float32")
    hint(teacher, teacher + 2.0)  # [2.0, 2.0]
    ```
    """
    student = at_least_float32(student_features)
    teacher = ops.stop_gradient(ops.cast(teacher_features, student.dtype))
    if len(student.shape) < 2:
        raise ValueError(
            "`student_features` must have at least 2 axes, (batch, ...). "
            f"Received: shape {tuple(student.shape)}."
        )
    layout = "that of `student_features` (a regressor before the loss gives it)"
    check_shape("teacher_features", teacher.shape, student.shape, layout)
    axes = tuple(range(1, len(student.shape)))
    return 0.5 * ops.mean(ops.square(student - teacher), axis=axes)
