"""A grid of photographs with boxes and heat maps."""

import math

import numpy as np

from keras_fgvc.visualization.drawing import (
    PREDICTED_COLOUR,
    TRUE_COLOUR,
    check_lengths,
    draw_image,
    new_figure,
    outline,
    overlay,
)

CELL_INCHES = 1.6


def save_grid(
    path,
    images,
    *,
    titles=None,
    true_boxes=None,
    boxes=None,
    heatmaps=None,
    columns: int = 6,
) -> None:
    """Saves images in a grid, with true (green) and predicted (red) boxes.

    Heat maps lie over their images, bright where they are high.

    Args:
        path: File to write; its ending chooses the format.
        images: `(n, height, width, 3)`, raw pixels 0..255.
        titles: `n` texts, one above each image.
        true_boxes: `(n, 4)`, `[y_min, x_min, y_max, x_max]` from 0 to 1.
        boxes: `(n, 4)` or `(n, k, 4)`, the same for predictions; as a list
            it may hold None for an image without.
        heatmaps: `(n, i, j)`, of any size; each spans the whole image and
            is stretched to its own range. As a list it may hold None.
        columns: Images a row.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is no image, or a list is not as long as `images`.
    """
    named = {
        "titles": titles,
        "true_boxes": true_boxes,
        "boxes": boxes,
        "heatmaps": heatmaps,
    }
    check_lengths(images, named)
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    figure = new_figure(columns * CELL_INCHES, rows * (CELL_INCHES + 0.25))
    for index, image in enumerate(images):
        axes = figure.add_subplot(rows, columns, index + 1)
        draw_image(axes, image)
        if titles is not None:
            axes.set_title(titles[index], fontsize=7, parse_math=False)
        size = image.shape[:2]
        if heatmaps is not None and heatmaps[index] is not None:
            overlay(axes, heatmaps[index], size)
        if true_boxes is not None:
            outline(axes, true_boxes[index], size, TRUE_COLOUR)
        if boxes is not None and boxes[index] is not None:
            for box in np.reshape(boxes[index], (-1, 4)):
                outline(axes, box, size, PREDICTED_COLOUR)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=120)
