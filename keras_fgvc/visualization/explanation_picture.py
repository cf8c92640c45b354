"""Explanations as one picture: a block of panels an image."""

import math

import numpy as np

from keras_fgvc.visualization.drawing import (
    TRUE_COLOUR,
    check_lengths,
    draw_boxes,
    draw_image,
    new_figure,
    overlay,
    shortened,
)
from keras_fgvc.visualization.explanations import member_bars

MAPS_A_LINE = 6
BARS_A_LINE = 10
CELL_INCHES = 1.7
LINE_INCHES = CELL_INCHES + 0.2  # with its title
DOTS_PER_INCH = 110
MAX_PIXELS = 65_000  # Matplotlib draws sides below 2**16.
BAR_COLOUR = "#4c78a8"


def save_explanations(
    path,
    images,
    explanations,
    *,
    names=None,
    labels=None,
    true_boxes=None,
    class_names=None,
) -> None:
    """Saves what `explain` found: a row an image.

    The photograph with the true box (green, dashed) and the predicted ones
    (red), each map over the photograph, the top classes with their
    probabilities (the true one green), and what each member of the
    prediction says, with its weight where there are gates.

    Args:
        path: File to write; its ending chooses the format.
        images: `(n, height, width, 3)`, raw pixels 0..255, or a list of
            images of any sizes: boxes and maps fit each, also where the model
            saw it squashed to a square.
        explanations: `n` of them, from `explain`.
        names: `n` texts, such as file names, one per image.
        labels: `(n,)` integers, the true classes.
        true_boxes: `(n, 4)`, `[y_min, x_min, y_max, x_max]` from 0 to 1.
        class_names: Names of the classes, for those of `labels` that are not
            among the top ones.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is no image, or a list is not as long as `images`.
    """
    named = {
        "explanations": explanations,
        "names": names,
        "labels": labels,
        "true_boxes": true_boxes,
    }
    check_lengths(images, named)
    lines = [_lines(explanation) for explanation in explanations]
    _check_room(len(images), sum(lines))
    columns = max(min(len(e.maps), MAPS_A_LINE) for e in explanations)
    has_members = any(e.members or e.gates for e in explanations)
    # Photograph, maps, then the bars at the width of two cells each.
    widths = [1] * (1 + columns) + [2] * (1 + has_members)
    figure = new_figure(
        sum(widths) * CELL_INCHES,
        sum(lines) * LINE_INCHES,
        layout="constrained",
    )
    grid = figure.add_gridspec(sum(lines), len(widths), width_ratios=widths)
    for n, explanation in enumerate(explanations):
        top = sum(lines[:n])
        _draw_block(
            _Block(figure, grid, slice(top, top + lines[n])),
            images[n],
            explanation,
            None if labels is None else int(labels[n]),
            None if true_boxes is None else true_boxes[n],
            class_names,
            1 + columns,
            None if names is None else names[n],
        )
    figure.savefig(path, dpi=DOTS_PER_INCH)


def _check_room(images, lines):
    height = lines * LINE_INCHES * DOTS_PER_INCH
    if height > MAX_PIXELS:
        most = int(images * MAX_PIXELS / height)
        raise ValueError(
            f"The picture would be {height:.0f} pixels high, more than the "
            f"{MAX_PIXELS} that can be drawn: give at most {most} images. "
            f"Received: {images}."
        )


def title_of(explanation, label, class_names=None) -> str:
    """Formats the true class, where it is known, and the predicted one."""
    said = explanation.top[0].name
    if label is None:
        return said
    return f"is {true_name(explanation, label, class_names)}, said {said}"


def true_name(explanation, label, class_names=None) -> str:
    """The name of the true class."""
    if class_names is not None:
        return str(class_names[label])
    names = {top.label: top.name for top in explanation.top}
    return names.get(label, f"class {label}")


def _draw_block(
    block, image, explanation, label, true_box, class_names, column, name
):
    """Draws the panels of one image; the bars begin at `column`."""
    title = title_of(explanation, label, class_names)
    if name is not None:
        title = f"{shortened(name)}\n{title}"
    block.photograph(image, explanation.boxes, true_box, title)
    block.maps(image, explanation.maps)
    classes = [
        (f"{name}  {probability:.2f}", probability, own == label)
        for own, name, probability in explanation.top
    ]
    block.bars(classes, "most probable classes", column)
    length, members = member_bars(explanation, label)
    if members:
        block.bars(members, f"members: {length}", column + 1)


class _Block:
    """The panels of one image, in some lines of a grid."""

    def __init__(self, figure, grid, lines):
        self.figure = figure
        self.grid = grid
        self.lines = lines

    def photograph(self, image, boxes, true_box, title):
        axes = self.figure.add_subplot(self.grid[self.lines.start, 0])
        draw_image(axes, image)
        draw_boxes(axes, image.shape[:2], true_box, boxes)
        _head(axes, title.replace(", said", ",\nsaid"))

    def maps(self, image, maps):
        for number, (title, heatmap) in enumerate(maps.items()):
            line, column = divmod(number, MAPS_A_LINE)
            axes = self.figure.add_subplot(
                self.grid[self.lines.start + line, 1 + column]
            )
            draw_image(axes, image)
            overlay(axes, heatmap, image.shape[:2])
            _head(axes, title)

    def bars(self, bars, title, column):
        start = self.lines.start
        rows = slice(start, start + math.ceil(len(bars) / BARS_A_LINE))
        axes = self.figure.add_subplot(self.grid[rows, column])
        _head(axes, title)
        draw_bars(axes, bars)


def _lines(explanation):
    """Counts the lines of the grid that an image takes."""
    bars = max(len(explanation.top), len(member_bars(explanation, None)[1]))
    return max(
        math.ceil(len(explanation.maps) / MAPS_A_LINE),
        math.ceil(bars / BARS_A_LINE),
    )


def draw_bars(axes, bars) -> None:
    """Horizontal bars from 0 to 1 with texts on them; the true ones green.

    Args:
        axes: Of Matplotlib.
        bars: Triples: a text, a share, whether it is the true class.
    """
    texts, shares, are_true = zip(*bars, strict=True)
    places = np.arange(len(texts))
    colours = [TRUE_COLOUR if true else BAR_COLOUR for true in are_true]
    axes.barh(places, shares, height=0.8, color=colours, alpha=0.45)
    for place, text, true in zip(places, texts, are_true, strict=True):
        mark = " (true)" if true else ""
        axes.text(
            0.01,
            place,
            text + mark,
            va="center",
            fontsize=7,
            parse_math=False,  # a name may hold a dollar sign
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(max(len(texts), 3) - 0.5, -0.5)  # the first on top
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([])
    axes.tick_params(labelsize=6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _head(axes, text):
    axes.set_title(text, fontsize=7, parse_math=False)
