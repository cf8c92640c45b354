from keras import ops

from keras_fgvc._checks import check_rank
from keras_fgvc.ops._resizing import resize_maps

# Where smooth L1 turns from quadratic to linear, as in Fast R-CNN.
TRANSITION = 1.0


def heatmap_regression(target, heatmap):
    """Smooth L1 distance of each heat map to a target map.

    With d the difference of a cell to the target, resized bilinearly to the
    heat map's size:

        loss = mean over cells of d^2 / 2      where |d| < 1
                                  |d| - 1/2    elsewhere

    The target is a teacher's: no gradient reaches it. ELoPE's localiser
    learns the mean activation of a classifier's last layer this way.

    Source: Hanselmann and Ney, "ELoPE: Fine-Grained Visual Classification
    with Efficient Localization, Pooling and Embedding", WACV 2020,
    https://arxiv.org/abs/1911.07344, section 5; smooth L1 as in Girshick,
    "Fast R-CNN", ICCV 2015, https://arxiv.org/abs/1504.08083, eq. 3.

    Args:
        target: `(batch, i, j)`, of any height and width.
        heatmap: `(batch, height, width)`.

    Returns:
        `(batch,)`, in float32.

    Raises:
        ValueError: If either has another number of axes.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.losses import heatmap_regression

    heatmap = np.zeros((2, 14, 14), "float32")
    heatmap_regression(np.ones((2, 7, 7), "float32"), heatmap)  # [0.5, 0.5]
    ```
    """
    heatmap = ops.cast(heatmap, "float32")
    target = ops.stop_gradient(ops.cast(target, "float32"))
    check_rank("heatmap", heatmap.shape, 3, "(batch, height, width)")
    check_rank("target", target.shape, 3, "(batch, i, j)")
    _, height, width = ops.shape(heatmap)
    target = resize_maps(target, height, width)
    distance = ops.abs(heatmap - target)
    near = 0.5 * distance**2 / TRANSITION
    far = distance - 0.5 * TRANSITION
    return ops.mean(ops.where(distance < TRANSITION, near, far), axis=(1, 2))
