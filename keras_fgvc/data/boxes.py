"""From boxes in pixels, as people write them, to normalised ones."""

import numpy as np


def normalize_box(box, size) -> tuple[np.ndarray, bool]:
    """Pixels of the image -> `[y_min, x_min, y_max, x_max]` in 0..1.

    Args:
        box: (x_min, y_min, x_max, y_max) in pixels.
        size: (height, width) of the upright image in pixels.

    Returns:
        float32 array (4,), clipped to the image, and whether it was clipped.

    Raises:
        ValueError: The box is turned round, empty or outside the image.
    """
    x_min, y_min, x_max, y_max = box
    height, width = size
    shown = f"x {x_min:g} to {x_max:g}, y {y_min:g} to {y_max:g}"
    if x_min >= x_max or y_min >= y_max:
        raise ValueError(f"the box is turned round or empty: {shown}")
    if x_min >= width or y_min >= height or x_max <= 0 or y_max <= 0:
        raise ValueError(
            f"the box lies outside the image of {width} x {height} pixels: "
            f"{shown}"
        )
    normalized = np.array(
        [y_min / height, x_min / width, y_max / height, x_max / width],
        np.float32,
    )
    clipped = np.clip(normalized, 0.0, 1.0)
    return clipped, bool((clipped != normalized).any())
