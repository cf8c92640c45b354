"""Random changes to one training image, each depending on a seed alone."""

import dataclasses
import math

from keras_fgvc._checks import check_in_range
from keras_fgvc.data.pipeline import geometry
from keras_fgvc.decoding.images import Encoded, to_uint8
from keras_fgvc.decoding.resizing import SQUASH

# One draw of uniform numbers an image with a fixed place for each use:
# switching one option on leaves the others' random choices as they were.
ANGLE, MIRROR, BRIGHTNESS, CONTRAST, SATURATION, SHARE, PLACE = range(7)
NUM_DRAWS = PLACE + 2
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


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Random geometry and colour for training images.

    Everything is off by default: `Augmentation()` changes nothing. A crop is
    cut from the image as it is stored, in whole pixels, and resized once.
    With a rotation, crop, flip and rotation are one affine map, applied in
    one bilinear resampling. Boxes go the same way. Brightness, contrast,
    saturation and lighting are one affine map of the colours, applied in this
    order without clipping in between, and clipped to 0..255 at the end:

    - brightness: `x -> b x`
    - contrast: `x -> c x + (1 - c) mean(grey(x))`
    - saturation: `x -> s x + (1 - s) grey(x)`
    - lighting: `x -> x + E (alpha * values)`, with the principal components
      of the colours of ImageNet (Krizhevsky, Sutskever, Hinton, 2012,
      section 4.1)

    where b, c, s are uniform in `[1 - strength, 1 + strength]` and alpha is
    normal.

    Args:
        rotation: Largest angle in degrees, 0 to 180; the angle is uniform
            in `[-rotation, rotation]`. Default 0.
        horizontal_flip: Whether to mirror half of the images. Default False.
        brightness: Strength, 0 to 1. Default 0.
        contrast: Strength, 0 to 1. Default 0.
        saturation: Strength, 0 to 1. Default 0.
        lighting: Standard deviation of alpha, 0 to 1. Default 0.
        random_crop: None, or the pair (smallest, largest) share of the
            image's area that a crop keeps; its aspect ratio is the image's.
            Default None.
        fill: What lies outside the image: a grey value 0..255, "reflect"
            or "nearest". Default 0.

    Call arguments:
        image: uint8 or float tensor `(height, width, 3)`, raw pixels 0..255;
            for a rotation of known size. For a random crop without rotation
            also `decoding.images.Encoded`, an image file, of which only the
            crop is decoded.
        seed: Integer tensor of shape `(2,)`.
        box: Optional float tensor `(4,)`, or `(parts, 4)` for several boxes,
            `[y_min, x_min, y_max, x_max]` normalised to 0..1. A rotated box
            becomes the upright box around its four corners, clipped to the
            image; a box that is wholly cut away becomes all zeros.
        output_size: Optional pair (height, width) of the result. Default:
            the size of the image.

    Output shape:
        uint8 tensor `(*output_size, 3)`, or the pair (image, box) where a
        box was given.

    Raises:
        ValueError: A strength, an angle or an area lies outside its range.
        TypeError: A value is not of the right type.

    Example:

    ```python
    import tensorflow as tf
    from keras_fgvc.data import Augmentation

    augment = Augmentation(rotation=20, horizontal_flip=True, brightness=0.4)
    image = tf.random.uniform((32, 32, 3), 0, 255)
    changed = augment(image, seed=(0, 7))  # (32, 32, 3), uint8
    ```
    """

    rotation: float = 0.0
    horizontal_flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    lighting: float = 0.0
    random_crop: tuple[float, float] | None = None
    fill: float | str = 0.0

    def __post_init__(self):
        check_in_range("rotation", self.rotation, 0, 180)
        if not isinstance(self.horizontal_flip, bool):
            raise TypeError(
                "`horizontal_flip` must be True or False. "
                f"Received: horizontal_flip={self.horizontal_flip!r}."
            )
        for name in ("brightness", "contrast", "saturation", "lighting"):
            check_in_range(name, getattr(self, name), 0, 1)
        if self.random_crop is not None:
            _check_area_range(self.random_crop)
        _check_fill(self.fill)

    def __call__(self, image, seed, box=None, output_size=None):
        import tensorflow as tf

        input_size = ()  # of a file, not known
        if not isinstance(image, Encoded):
            image = tf.convert_to_tensor(image)
            input_size = tuple(image.shape[:2])
        output_size = tuple(output_size or input_size)
        draws = tf.random.stateless_uniform([NUM_DRAWS], seed)
        if self.rotation:
            image, box = self._turn(image, box, draws, output_size)
        else:
            if self.random_crop or input_size != output_size:
                image, box = self._cut(image, box, draws, output_size)
            if self.horizontal_flip:
                mirror = self._mirror(draws)
                image = geometry.flip_image(image, mirror)
                box = None if box is None else geometry.flip_box(box, mirror)
        if self.changes_colours:
            image = self._recolour(tf.cast(image, tf.float32), draws, seed)
        image = image if image.dtype == tf.uint8 else to_uint8(image)
        return image if box is None else (image, box)

    @property
    def changes_colours(self) -> bool:
        """Tells whether a colour option is on."""
        strengths = (self.brightness, self.contrast, self.saturation)
        return any(strengths) or self.lighting > 0

    def input_size(
        self, output_size, resize: str = SQUASH
    ) -> tuple[int, int] | None:
        """The image size to load for this output; None for the stored size.

        Crops are cut from the image as it is stored, unless they are turned,
        or the image is not squashed: then from a size at which a crop is, on
        average, neither enlarged nor shrunk. Turned crops of 224 with a share
        of (224 / 256)^2 are taken from 256.

        Args:
            output_size: Pair (height, width) of the result.
            resize: How images are brought to one size. Defaults to
                `"squash"`.
        """
        if self.random_crop is None:
            return tuple(output_size)
        if not self.rotation and resize == SQUASH:
            return None
        side = math.sqrt(sum(self.random_crop) / 2)
        return tuple(round(length / side) for length in output_size)

    def _share(self, draws):
        smallest, largest = self.random_crop or (1.0, 1.0)
        return smallest + (largest - smallest) * draws[SHARE]

    def _cut(self, image, box, draws, output_size):
        import tensorflow as tf

        place = draws[PLACE : PLACE + 2]

        def choose(stored_size):
            share = self._share(draws)
            return geometry.choose_window(stored_size, share, place)

        if isinstance(image, Encoded):
            image, window = geometry.cut_file(image, choose, output_size)
        else:
            window = choose(tf.shape(image)[:2])
            image = geometry.cut_image(image, window, output_size)
        return image, None if box is None else geometry.cut_box(box, window)

    def _mirror(self, draws):
        import tensorflow as tf

        if not self.horizontal_flip:
            return tf.constant(1.0)
        return tf.where(draws[MIRROR] < 0.5, -1.0, 1.0)

    def _turn(self, image, box, draws, output_size):
        input_size = tuple(image.shape[:2])
        affine = geometry.affine_map(
            input_size,
            output_size,
            angle=self.rotation * (2.0 * draws[ANGLE] - 1.0),
            mirror=self._mirror(draws),
            share=self._share(draws),
            place=draws[PLACE : PLACE + 2],
        )
        moved = geometry.move_image(image, affine, output_size, self.fill)
        if box is None:
            return moved, None
        return moved, geometry.move_box(box, affine, input_size, output_size)

    def _recolour(self, image, draws, seed):
        import tensorflow as tf

        def factor(strength, place):
            return 1.0 + strength * (2.0 * draws[place] - 1.0)

        # `draws` used up the seed itself.
        own_seed = tf.random.experimental.stateless_fold_in(seed, 1)
        normal = tf.random.stateless_normal([3], own_seed)
        return recolour(
            image,
            brightness=factor(self.brightness, BRIGHTNESS),
            contrast=factor(self.contrast, CONTRAST) if self.contrast else None,
            saturation=factor(self.saturation, SATURATION),
            alpha=self.lighting * normal,
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


def _check_area_range(area_range) -> None:
    if not isinstance(area_range, (tuple, list)) or len(area_range) != 2:
        raise ValueError(
            "`random_crop` must be None or a pair (smallest, largest) share "
            f"of the image's area. Received: random_crop={area_range!r}."
        )
    for share in area_range:
        check_in_range("random_crop", share, 0.01, 1.0)
    if area_range[0] > area_range[1]:
        raise ValueError(
            "`random_crop` must not start above its end. "
            f"Received: random_crop={area_range!r}."
        )


def _check_fill(fill) -> None:
    if not isinstance(fill, str):
        check_in_range("fill", fill, 0, 255)
    elif fill not in geometry.FILL_MODES:
        raise ValueError(
            '`fill` must be a grey value 0..255, "reflect" or "nearest". '
            f"Received: fill={fill!r}."
        )
