from keras import ops

from keras_fgvc._checks import check_rank
from keras_fgvc.ops._precision import at_least_float32


def mask_diversity(masks):
    """Penalises attention masks of one image that look at the same places.

    With m_k mask k flattened, equation 3:

        L_R = sum over i, and j other than i, of (m_i . m_j)^2

    so that each pair counts twice. It is 0 where no place is in two masks.

    Source: "A Painless Attention Mechanism for Convolutional Neural
    Networks", 2018, https://openreview.net/forum?id=rJe7FW-Cb, section 3.2.

    There is no target, so `compile(loss=...)` does not take it: use it in
    `loss_terms`, or in a layer's `add_loss` as `SpatialSoftmaxAttention` does.

    Args:
        masks: `(batch, height, width, heads)`; batch, height and width may be
            unknown until the graph runs.

    Returns:
        `(batch,)`, float32, at least 0; 0 for a single head.

    Raises:
        ValueError: If `masks` does not have four axes.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.losses import mask_diversity

    same = np.full((1, 1, 2, 2), 0.5, "float32")
    mask_diversity(same)  # [2 * 0.5**2] = [0.5]
    ```
    """
    masks = at_least_float32(masks)
    check_rank("masks", masks.shape, 4, "(batch, height, width, heads)")
    heads = masks.shape[-1]
    _, height, width, _ = ops.shape(masks)
    flat = ops.reshape(masks, (-1, height * width, heads))
    products = ops.matmul(ops.transpose(flat, (0, 2, 1)), flat)  # (b, k, k)
    others = 1.0 - ops.eye(heads, dtype=masks.dtype)
    return ops.sum(ops.square(products) * others, axis=(1, 2))
