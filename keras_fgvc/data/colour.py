"""Random colour changes as one affine map of a pixel's (r, g, b)."""

# Weights of red, green and blue in the grey value (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)
# Principal components of ImageNet's colours, 0..255, as in AlexNet's code:
# column i of the vectors belongs to value i.
EIGENVALUES = (55.4625, 4.794, 1.1475)
EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


def recolour(image, *, brightness, contrast, saturation, alpha):
    """Applies brightness, contrast, saturation and lighting, unclipped.

    Args:
        image: float tensor `(height, width, 3)`, 0..255.
        brightness: Scalar factor b; 1 changes nothing.
        contrast: Scalar factor c, or None for no change (which saves the
            image's mean).
        saturation: Scalar factor s; 1 changes nothing.
        alpha: Tensor (3,), the weights of the principal components.

    Returns:
        float tensor of the same shape.
    """
    import tensorflow as tf

    luma = tf.constant(LUMA)
    # Row vectors: pixel @ matrix. Every column of `grey` is the grey value.
    grey = tf.tile(luma[:, None], (1, 3))
    matrix = saturation * tf.eye(3) + (1.0 - saturation) * grey
    matrix *= brightness
    offset = tf.linalg.matvec(EIGENVECTORS, alpha * EIGENVALUES)
    if contrast is not None:
        mean = tf.tensordot(tf.reduce_mean(image, axis=(0, 1)), luma, axes=1)
        # A grey offset: the saturation leaves it as it is.
        offset += (1.0 - contrast) * brightness * mean
        matrix *= contrast
    pixels = tf.reshape(image, (-1, 3))
    return tf.reshape(tf.matmul(pixels, matrix) + offset, tf.shape(image))
