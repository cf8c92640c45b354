import keras
from keras import ops

from keras_fgvc._checks import as_int, check_rank
from keras_fgvc.ops._upsampling import (
    bilinear_kernel,
    smallest_kernel_size,
    upsample,
)


@keras.saving.register_keras_serializable(package="keras_fgvc")
class AttentionUpsampler(keras.layers.Layer):
    """Enlarges attention maps to masks of the image, by a learned kernel.

    A transposed convolution with stride `factor`: each cell of a map is
    spread over the pixels around it,

        mask_x = sum over cells i of kernel_{x - factor i + s} * map_i

    (in both directions, s centring the kernel on the cell; beyond the border
    the outermost cells go on). Every map is treated alone and by the same
    kernel, so the layer takes any number of maps, also another one than it
    was built with. The kernel starts as bilinear interpolation, where the
    layer equals `keras.ops.image.resize`, and so needs no training of its own
    before it can be used.

    Source: the "deconvolutional network" of Eshratifar, Eigen, Gormish and
    Pedram, "Coarse2Fine: A Two-stage Training Method for Fine-grained Visual
    Classification", 2019, https://arxiv.org/abs/1909.02680. The paper gives
    neither its layers nor their sizes; a single linear one is our choice, the
    smallest that can be all of the interpolations it is pre-trained on but
    the cubic (see `kernel_size`).

    Args:
        factor: Integer, pixels of the mask for each cell, in height and in
            width: 16 for a map of stride 16 and a mask of the image.
        kernel_size: Integer, height and width of the kernel. Defaults to
            None, the smallest that holds the bilinear one: `2 * factor`, less
            1 where `factor` is odd. Larger by an even number makes the kernel
            see more cells: by `2 * factor`, the four that cubic interpolation
            needs.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer;
            `trainable=False` keeps the interpolation bilinear.

    Input shape:
        `(batch, height, width, maps)`; all may be unknown.

    Output shape:
        `(batch, height * factor, width * factor, maps)`.

    Raises:
        TypeError: If `factor` or `kernel_size` is not an integer.
        ValueError: If `kernel_size` is too small, or odd where it has to be
            even, or the input does not have four axes.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.layers import AttentionUpsampler

    attention = np.random.rand(2, 14, 14, 1).astype("float32")
    masks = AttentionUpsampler(16)(attention)  # (2, 224, 224, 1)
    ```

    A trained kernel may have negative values, and so may the masks.
    """

    def __init__(
        self,
        factor: int,
        *,
        kernel_size: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        factor = as_int("factor", factor)
        smallest = smallest_kernel_size(factor)
        if kernel_size is not None:
            kernel_size = as_int("kernel_size", kernel_size, smallest)
            if (kernel_size - smallest) % 2:
                raise ValueError(
                    f"`kernel_size` must be {smallest} plus an even number, "
                    f"to be centred on a cell of {factor} pixels. "
                    f"Received: kernel_size={kernel_size}."
                )
        self.factor = factor
        self.kernel_size = kernel_size

    def build(self, input_shape):
        check_rank("inputs", input_shape, 4, "(batch, height, width, maps)")
        size = self.kernel_size or smallest_kernel_size(self.factor)
        self.kernel = self.add_weight(
            shape=(size, size), initializer=self._bilinear, name="kernel"
        )

    def _bilinear(self, shape, dtype):
        kernel = bilinear_kernel(self.factor, shape[0])
        return ops.convert_to_tensor(kernel, dtype)

    def call(self, inputs):
        kernel = ops.convert_to_tensor(self.kernel)
        return upsample(inputs, kernel, self.factor)

    def compute_output_shape(self, input_shape):
        batch, height, width, maps = input_shape
        sides = (s if s is None else s * self.factor for s in (height, width))
        return (batch, *sides, maps)

    def get_config(self):
        return {
            **super().get_config(),
            "factor": self.factor,
            "kernel_size": self.kernel_size,
        }
