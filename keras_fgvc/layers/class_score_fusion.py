import keras
import numpy as np
from keras import ops

from keras_fgvc._checks import as_int


@keras.saving.register_keras_serializable(package="keras_fgvc")
class ClassScoreFusion(keras.layers.Layer):
    """Makes one prediction of the class scores of several networks.

    A fully connected layer on the concatenated scores, which learns how far to
    believe each network about each class. With y_1 .. y_n the scores:

        output = [y_1, ..., y_n] W + b

    W starts as n identities below one another, divided by n, and b at zero, so
    that the output starts as the mean of the scores.

    Source: "Dual Attention Fusion" (DAF) for fine-grained image
    classification, section 3.6, which fuses the "result vector" of student
    and teacher "by using fully connected layer", as two-stream networks for
    video do. The paper gives neither the layer's start (the mean is ours) nor
    whether the vectors are logits or probabilities.

    Args:
        num_classes: Integer, the number of classes.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        inputs: A list of two score vectors or more. All logits or all
            probabilities; of logits the output is logits, which is what a
            cross-entropy wants.

    Input shape:
        Each `(batch, num_classes)`.

    Output shape:
        `(batch, num_classes)`.

    Raises:
        TypeError: If `num_classes` is not an integer.
        ValueError: If `num_classes` is below 2, there are fewer than two
            inputs, or one is not `(batch, num_classes)`.

    Example:

    ```python
    import keras
    from keras_fgvc.layers import ClassScoreFusion

    student = keras.Input((200,))
    teacher = keras.Input((200,))
    fused = ClassScoreFusion(200)([student, teacher])  # (None, 200)
    model = keras.Model([student, teacher], fused)
    ```
    """

    def __init__(self, num_classes: int, **kwargs):
        super().__init__(**kwargs)
        num_classes = as_int("num_classes", num_classes, minimum=2)
        self.num_classes = num_classes

    def build(self, input_shape):
        self._check_shapes(input_shape)
        self.kernel = self.add_weight(
            shape=(len(input_shape) * self.num_classes, self.num_classes),
            initializer=_mean_of_scores,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.num_classes,), initializer="zeros", name="bias"
        )

    def _check_shapes(self, shapes):
        # The shape of a single tensor has numbers where a list has shapes.
        several = all(isinstance(shape, (tuple, list)) for shape in shapes)
        if not several or len(shapes) < 2:
            raise ValueError(
                "`inputs` must be a list of at least two score vectors. "
                f"Received: shape {shapes}."
            )
        for number, shape in enumerate(shapes):
            if len(shape) != 2 or shape[1] != self.num_classes:
                raise ValueError(
                    f"Each input must be (batch, {self.num_classes}), as "
                    f"num_classes={self.num_classes}. "
                    f"Received: shape {tuple(shape)} for input {number}."
                )

    def call(self, inputs):
        scores = ops.concatenate(inputs, axis=1)
        # The variables themselves cannot enter jitted JAX code.
        fused = ops.matmul(scores, ops.convert_to_tensor(self.kernel))
        return fused + ops.convert_to_tensor(self.bias)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


def _mean_of_scores(shape, dtype):
    rows, num_classes = shape
    networks = rows // num_classes
    kernel = np.tile(np.eye(num_classes), (networks, 1)) / networks
    return ops.convert_to_tensor(kernel, dtype)
