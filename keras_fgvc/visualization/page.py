"""Fills the report's template, and draws the pictures that it embeds."""

import base64
import functools
import io
from typing import NamedTuple

import numpy as np

from keras_fgvc._extras import import_extra
from keras_fgvc.visualization.drawing import (
    draw_boxes,
    draw_image,
    new_figure,
    overlay,
)

TILE_PIXELS = 224
JPEG_QUALITY = 82
CHART_INCHES = (4.4, 3.0)


class Picture(NamedTuple):
    """An image of the page.

    Args:
        uri: The whole picture, as an address.
        alt: What it shows, in words.
        width, height: In the page's pixels.
        caption: Text below it.
    """

    uri: str
    alt: str
    width: int
    height: int
    caption: str = ""


def render(macro: str, **values) -> str:
    """Fills a macro of `page.html.jinja`; all texts are escaped.

    Raises:
        ImportError: If Jinja2 is not installed.
    """
    return str(getattr(_template(), macro)(**values))


@functools.cache
def _template():
    jinja2, markupsafe = import_extra(
        ["jinja2", "markupsafe"], "demo", "A report needs"
    )
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_fgvc.visualization", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    line_may_end = markupsafe.Markup("_<wbr>")
    environment.filters["words"] = lambda text: markupsafe.escape(text).replace(
        "_", line_may_end
    )
    return environment.get_template("page.html.jinja").module


def draw_tile(
    image, alt, caption, *, heatmap=None, true_box=None, boxes=None
) -> Picture:
    """Draws a photograph with a map or boxes on it."""
    height, width = np.shape(image)[:2]
    scale = TILE_PIXELS / max(height, width)
    size = (round(width * scale), round(height * scale))
    figure = new_figure(size[0] / 100, size[1] / 100)
    axes = figure.add_axes((0, 0, 1, 1))
    draw_image(axes, image)
    if heatmap is not None:
        overlay(axes, heatmap, (height, width))
    draw_boxes(axes, (height, width), true_box, boxes or {})
    # Colours at full resolution: a frame is a line of a few pixels.
    saving = {"quality": JPEG_QUALITY, "subsampling": 0}
    uri = _data_uri(figure, "jpeg", 100, pil_kwargs=saving)
    return Picture(uri, alt, *size, caption)


def draw_chart(draw, alt) -> Picture:
    """Draws a chart by a function of axes; the page inverts it in the dark."""
    figure = new_figure(*CHART_INCHES, layout="constrained")
    draw(figure.add_subplot())
    width, height = (round(96 * side) for side in CHART_INCHES)
    return Picture(_data_uri(figure, "png", 150), alt, width, height)


def _data_uri(figure, kind, dpi, **options):
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=dpi, **options)
    encoded = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/{kind};base64,{encoded}"
