"""Draws the parts of all pictures: figures, photographs, maps, boxes."""

import numpy as np

from keras_fgvc._extras import import_extra

TRUE_COLOUR = "#2ca02c"
PREDICTED_COLOUR = "#d62728"
HEATMAP_OPACITY = 0.55
NAME_LENGTH = 28  # characters above a photograph


def new_figure(width, height, **options):
    """A Matplotlib figure of a size in inches.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    (figure,) = import_extra(["matplotlib.figure"], "demo", "Pictures need")
    # Not through pyplot: no global state, no display.
    return figure.Figure(figsize=(width, height), **options)


def check_lengths(images, named):
    """Raises unless each list is as long as `images`, or None.

    Raises:
        ValueError: The message names the list; or there is no image.
    """
    if len(images) == 0:
        raise ValueError("`images` must hold at least one image.")
    for name, values in named.items():
        if values is not None and len(values) != len(images):
            raise ValueError(
                f"`{name}` must be as long as `images` ({len(images)}). "
                f"Received: {len(values)}."
            )


def shortened(name: str) -> str:
    """A file name that fits above a cell, its end kept."""
    name = str(name)
    return name if len(name) <= NAME_LENGTH else "..." + name[3 - NAME_LENGTH :]


def draw_image(axes, image):
    """Raw pixels 0..255 without ticks."""
    axes.imshow(np.clip(image, 0, 255).astype("uint8"))
    axes.set_axis_off()


def overlay(axes, heatmap, size):
    """A map that spans an image of `size`; where it is NaN, nothing."""
    heatmap = np.ma.masked_invalid(np.asarray(heatmap, "float32"))
    if heatmap.mask.all():
        return
    height, width = size
    axes.imshow(
        heatmap,
        cmap="inferno",
        alpha=HEATMAP_OPACITY,
        interpolation="bilinear",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )


def outline(axes, box, size, colour, **options):
    """The frame of a box, `[y_min, x_min, y_max, x_max]` from 0 to 1."""
    from matplotlib.patches import Rectangle

    height, width = size
    y_min, x_min, y_max, x_max = box
    corner = (x_min * width - 0.5, y_min * height - 0.5)
    sides = ((x_max - x_min) * width, (y_max - y_min) * height)
    axes.add_patch(
        Rectangle(
            corner,
            *sides,
            fill=False,
            edgecolor=colour,
            linewidth=1.5,
            **options,
        )
    )


def draw_boxes(axes, size, true_box, boxes):
    """The true box, dashed, and those of an `Explanation`, numbered.

    A true box of NaN or of zeros, an object without one, leaves no line.
    """
    from matplotlib.patheffects import withStroke

    # Seen on leaves and on water.
    halo = {"path_effects": [withStroke(linewidth=3, foreground="white")]}
    for several in boxes.values():
        for number, box in enumerate(several, start=1):
            outline(axes, box, size, PREDICTED_COLOUR, **halo)
            if len(several) > 1:
                _number(axes, box, size, number)
    if true_box is not None:
        for box in np.reshape(true_box, (-1, 4)):
            outline(axes, box, size, TRUE_COLOUR, linestyle="--", **halo)


def _number(axes, box, size, number):
    """A box's number, in its upper left corner."""
    axes.text(
        box[1] * size[1],
        box[0] * size[0],
        str(number),
        color="white",
        fontsize=7,
        ha="left",
        va="top",
        clip_on=True,
        bbox={"facecolor": PREDICTED_COLOUR, "linewidth": 0, "pad": 1},
    )
