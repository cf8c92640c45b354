"""Pieces of HTML; every text that goes in is escaped."""

import base64
import html
import io

import numpy as np

from keras_fgvc.visualization.drawing import (
    draw_boxes,
    draw_image,
    new_figure,
    overlay,
)

TILE_PIXELS = 224
JPEG_QUALITY = 82


def escape(text) -> str:
    """Text that stands for itself, in an element or in an attribute."""
    return html.escape(str(text), quote=True)


def words(text) -> str:
    """The same for the page alone: a line may end behind an underscore."""
    return escape(text).replace("_", "_<wbr>")


def data_uri(figure, kind, dpi, **options) -> str:
    """A Matplotlib figure, drawn, as the address of an image."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=dpi, **options)
    encoded = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/{kind};base64,{encoded}"


def tile(image, alt, caption="", *, heatmap=None, true_box=None, boxes=None):
    """A photograph with a map or boxes on it, as a figure of the page."""
    height, width = np.shape(image)[:2]
    scale = TILE_PIXELS / max(height, width)
    size = (round(width * scale), round(height * scale))
    drawn = new_figure(size[0] / 100, size[1] / 100)
    axes = drawn.add_axes((0, 0, 1, 1))
    draw_image(axes, image)
    if heatmap is not None:
        overlay(axes, heatmap, (height, width))
    draw_boxes(axes, (height, width), true_box, boxes or {})
    # Colours at full resolution: a frame is a line of a few pixels.
    saving = {"quality": JPEG_QUALITY, "subsampling": 0}
    uri = data_uri(drawn, "jpeg", 100, pil_kwargs=saving)
    picture = (
        f'<img src="{uri}" alt="{escape(alt)}" width="{size[0]}" '
        f'height="{size[1]}">'
    )
    text = f"<figcaption>{words(caption)}</figcaption>" if caption else ""
    return f'<figure class="tile">{picture}{text}</figure>'


def chart(draw, alt, size, themes) -> str:
    """A chart, drawn once for light pages and once for dark ones.

    Args:
        draw: Function of axes and a theme.
        alt: What the chart says, in words.
        size: Width and height in inches.
        themes: The light and the dark one.
    """
    uris = []
    for theme in themes:
        figure = new_figure(*size, layout="constrained", facecolor=theme.ground)
        draw(figure.add_subplot(), theme)
        uris.append(data_uri(figure, "png", 150))
    light, dark = uris
    width, height = (round(96 * side) for side in size)
    return (
        '<figure class="chart"><picture>'
        f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{escape(alt)}" width="{width}" '
        f'height="{height}"></picture></figure>'
    )


def bars(rows, heading) -> str:
    """A table of texts and shares from 0 to 1, each with a bar.

    Args:
        rows: Triples (text, share, whether it is the true class).
        heading: What the table tells.
    """
    lines = []
    for text, share, true in rows:
        mark = ' <span class="true">true</span>' if true else ""
        lines.append(
            f'<tr><th scope="row">{words(text)}{mark}</th>'
            f"<td>{_bar(share)}</td></tr>"
        )
    return (
        f'<table class="bars"><caption>{escape(heading)}</caption>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _bar(share):
    percent = 100 * float(share)
    return (
        f'<span class="bar"><span style="width:{percent:.1f}%"></span></span>'
        f'<span class="number">{percent:.1f} %</span>'
    )


def facts_table(facts: dict, heading) -> str:
    """A table of names and texts."""
    lines = [
        f'<tr><th scope="row">{words(name)}</th><td>{words(value)}</td></tr>'
        for name, value in facts.items()
    ]
    return (
        f'<table class="facts"><caption>{escape(heading)}</caption>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def count_table(matrix, names) -> str:
    """A confusion matrix; columns are numbered as the rows are named."""
    heads = [f'<th scope="col">{n}</th>' for n in range(1, len(names) + 1)]
    heads.append('<th scope="col">others</th>')
    lines = []
    for number, (row, name) in enumerate(zip(matrix, names, strict=True)):
        total = max(int(row.sum()), 1)
        cells = "".join(
            _count_cell(int(value), value / total, column == number)
            for column, value in enumerate(row)
        )
        lines.append(
            f'<tr><th scope="row">{number + 1} {escape(name)}</th>{cells}</tr>'
        )
    return (
        '<div class="wide" tabindex="0" role="region" '
        'aria-label="Confusion matrix">'
        '<table class="matrix"><caption>Confusion matrix</caption>'
        f'<thead><tr><th scope="col">class</th>{"".join(heads)}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _count_cell(value, share, right):
    kind = ' class="right"' if right else ""
    return f'<td{kind} style="--share:{share:.2f}">{value or ""}</td>'
