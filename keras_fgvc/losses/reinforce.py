from keras import ops

from keras_fgvc._checks import check_rank, check_shape
from keras_fgvc.ops._precision import at_least_float32


def reinforce(rewards, log_probabilities):
    """Makes rewarded actions more probable: the policy gradient as a loss.

    With K samples A_k, drawn from the policy p, and their rewards r_k:

        loss = -(1 / K) sum over k of r_k log p(A_k)

    Its value means nothing. Its gradient is minus the Monte Carlo estimate,
    equation 6, of the gradient of the expected reward, equation 3, and is
    unbiased. K counts the samples without reward too, though they add
    nothing. A reward may be negative, as with a baseline taken off it.

    Source: Liu, Xia, Wang, Lin, "Fully Convolutional Attention Localization
    Networks", 2016, https://arxiv.org/abs/1603.06765, equations 5 and 6;
    after Williams, "Simple Statistical Gradient-Following Algorithms for
    Connectionist Reinforcement Learning", 1992.

    Args:
        rewards: `(batch, samples)`. No gradient reaches them.
        log_probabilities: `(batch, samples)`; see `ops.log_probability`.

    Returns:
        `(batch,)`, float32.

    Raises:
        ValueError: If `log_probabilities` does not have two axes or the
            shapes disagree.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.losses import reinforce

    log_probabilities = np.log([[0.25, 0.5]])
    reinforce([[1.0, 0.0]], log_probabilities)  # [log(4) / 2] = [0.69]
    ```
    """
    log_probabilities = at_least_float32(log_probabilities)
    rewards = ops.cast(rewards, log_probabilities.dtype)
    shape = log_probabilities.shape
    check_rank("log_probabilities", shape, 2, "(batch, samples)")
    check_shape("rewards", rewards.shape, shape, "that of `log_probabilities`")
    return -ops.mean(ops.stop_gradient(rewards) * log_probabilities, axis=1)
