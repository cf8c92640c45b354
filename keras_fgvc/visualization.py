"""Pictures of what a model saw. Needs Matplotlib, from the extra `demo`."""

import math

import numpy as np

TRUE_COLOUR = "#2ca02c"
PREDICTED_COLOUR = "#d62728"
CELL_INCHES = 1.6
HEATMAP_OPACITY = 0.55


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
    _check_lengths(images, named)
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    figure = _figure(columns * CELL_INCHES, rows * (CELL_INCHES + 0.25))
    for index, image in enumerate(images):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.imshow(np.clip(image, 0, 255).astype("uint8"))
        axes.set_axis_off()
        if titles is not None:
            axes.set_title(titles[index], fontsize=7)
        size = image.shape[:2]
        if heatmaps is not None and heatmaps[index] is not None:
            _overlay(axes, heatmaps[index], size)
        if true_boxes is not None:
            _outline(axes, true_boxes[index], size, TRUE_COLOUR)
        if boxes is not None and boxes[index] is not None:
            for box in np.reshape(boxes[index], (-1, 4)):
                _outline(axes, box, size, PREDICTED_COLOUR)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=120)


def _check_lengths(images, named):
    if len(images) == 0:
        raise ValueError("`images` must hold at least one image.")
    for name, values in named.items():
        if values is not None and len(values) != len(images):
            raise ValueError(
                f"`{name}` must be as long as `images` ({len(images)}). "
                f"Received: {len(values)}."
            )


def _figure(width, height):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Pictures need Matplotlib: pip install keras-fgvc[demo]"
        ) from error
    # Not through pyplot: no global state, no display.
    return Figure(figsize=(width, height))


def _overlay(axes, heatmap, size):
    height, width = size
    axes.imshow(
        heatmap,
        cmap="inferno",
        alpha=HEATMAP_OPACITY,
        interpolation="bilinear",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )


def _outline(axes, box, size, colour):
    from matplotlib.patches import Rectangle

    height, width = size
    y_min, x_min, y_max, x_max = box
    corner = (x_min * width - 0.5, y_min * height - 0.5)
    sides = ((x_max - x_min) * width, (y_max - y_min) * height)
    axes.add_patch(
        Rectangle(corner, *sides, fill=False, edgecolor=colour, linewidth=1.5)
    )
