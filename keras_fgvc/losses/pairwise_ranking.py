from keras import ops

from keras_fgvc._checks import check_in_range, check_rank, check_shape
from keras_fgvc.ops._precision import at_least_float32


def pairwise_ranking(confidences, scores, *, margin: float = 1.0):
    """Orders the scores of an image's proposals as their confidences are.

    What teaches a proposal network without boxes to learn from: proposals on
    which the classifier is more confident of the true class shall score
    higher. With s the scores, c the confidences, and the mean over the ordered
    pairs with c_i < c_j:

        loss = mean over pairs of max(0, margin + s_i - s_j)

    Equal confidences make no pair. DAF minimises "the average number of pairs
    with wrong order", hence the mean; NTS-Net sums, n (n - 1) / 2 times as
    much where all confidences differ.

    Source: "Dual Attention Fusion" (DAF) for fine-grained image
    classification, section 3.7.5; the hinge is the navigation loss of Yang
    et al., "Learning to Navigate for Fine-grained Classification" (NTS-Net),
    ECCV 2018, https://arxiv.org/abs/1809.00287.

    Args:
        confidences: `(batch, n)`, the classifier's probability of the true
            class on each proposal, or its logarithm: only their order counts.
            No gradient reaches them: a comparison has none.
        scores: `(batch, n)`, of the proposal network.
        margin: Number of at least 0, by how much a better proposal shall lead.
            Defaults to 1, NTS-Net's; DAF gives none.

    Returns:
        `(batch,)`, float32, at least 0; 0 where there is no pair.

    Raises:
        TypeError: If `margin` is not a number.
        ValueError: If `scores` does not have two axes, the shapes disagree or
            `margin` is negative.

    Example:

    ```python
    from keras_fgvc.losses import pairwise_ranking

    # The second is the better one, and leads by 0.25 only.
    pairwise_ranking([[0.1, 0.9]], [[0.5, 0.75]])  # [1 - 0.25] = [0.75]
    ```
    """
    check_in_range("margin", margin, 0.0, float("inf"))
    scores = at_least_float32(scores)
    confidences = at_least_float32(confidences)
    check_rank("scores", scores.shape, 2, "(batch, n)")
    check_shape(
        "confidences", confidences.shape, scores.shape, "that of `scores`"
    )
    worse, better = ops.expand_dims(scores, 2), ops.expand_dims(scores, 1)
    hinge = ops.relu(margin + worse - better)  # (b, n, n)
    pairs = ops.expand_dims(confidences, 2) < ops.expand_dims(confidences, 1)
    pairs = ops.cast(pairs, scores.dtype)
    count = ops.maximum(ops.sum(pairs, axis=(1, 2)), 1.0)
    return ops.sum(hinge * pairs, axis=(1, 2)) / count
