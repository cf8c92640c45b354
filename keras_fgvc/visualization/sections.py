"""Sections of the report: explanations, training, confusions."""

import dataclasses

import numpy as np

from keras_fgvc.visualization.confusion_picture import (
    NOTHING,
    example_title,
    load_photographs,
    name_of,
)
from keras_fgvc.visualization.confusions import (
    check_arrays,
    classes_of,
    confusion_matrix,
    most_confused,
    pair_examples,
)
from keras_fgvc.visualization.curves import make_panels, stage_spans
from keras_fgvc.visualization.drawing import check_lengths
from keras_fgvc.visualization.explanation_picture import true_name
from keras_fgvc.visualization.explanations import member_bars
from keras_fgvc.visualization.page import draw_chart, draw_tile, render
from keras_fgvc.visualization.training_curves import draw_legend, draw_panel

MOST_MAPS = 12  # Of one image; more would make the page heavy.


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report.

    Args:
        title: Its heading, any text.
        html: What it holds. It is put into the page as it is: escape what
            comes from elsewhere.
    """

    title: str
    html: str


def explanation_section(
    images,
    explanations,
    *,
    names=None,
    labels=None,
    true_boxes=None,
    class_names=None,
    title: str = "What the model saw",
    note: str = "",
) -> Section:
    """Photographs with boxes, maps and the most probable classes.

    Args:
        images, explanations, names, labels, true_boxes, class_names: As in
            `save_explanations`.
        title: The section's heading.
        note: A sentence below it, such as how the images were chosen.

    Returns:
        `Section`.

    Raises:
        ImportError: If Matplotlib or Jinja2 is not installed.
        ValueError: If there is no image, or a list is not as long as `images`.
    """
    named = {
        "explanations": explanations,
        "names": names,
        "labels": labels,
        "true_boxes": true_boxes,
    }
    check_lengths(images, named)
    cards = [
        _explanation_card(
            images[n],
            explanation,
            None if labels is None else int(labels[n]),
            None if true_boxes is None else true_boxes[n],
            class_names,
        )
        | {"file": None if names is None else str(names[n])}
        for n, explanation in enumerate(explanations)
    ]
    legend = "Red: predicted boxes. Maps are bright where they are high."
    if true_boxes is not None:
        legend = f"Green, dashed: the true box. {legend}"
    note = f"{note} {legend}".strip()
    return Section(title, render("explanations", note=note, cards=cards))


def _explanation_card(image, explanation, label, true_box, class_names):
    """One image with its maps, its classes and what the members say."""
    name, said = None, explanation.top[0]
    if label is not None:
        name = true_name(explanation, label, class_names)
    kinds = ", ".join(explanation.boxes)
    tiles = [
        draw_tile(
            image,
            ("Photograph" if name is None else f"Photograph of {name}")
            + (f", with boxes: {kinds}" if kinds else ""),
            f"boxes: {kinds}" if kinds else "photograph",
            true_box=true_box,
            boxes=explanation.boxes,
        )
    ]
    maps = list(explanation.maps.items())
    for title, heatmap in maps[:MOST_MAPS]:
        alt = f"Map over the photograph: {title}, {brightest_place(heatmap)}"
        tiles.append(draw_tile(image, alt, title, heatmap=heatmap))
    top = [(t.name, t.probability, t.label == label) for t in explanation.top]
    tables = [("Most probable classes", top)]
    length, members = member_bars(explanation, label)
    if members:
        tables.append((f"Members of the prediction: {length}", members))
    left_out = len(maps) > MOST_MAPS
    return {
        "name": name,
        "said": said.name,
        "recognised": said.label == label,
        "tiles": tiles,
        "tables": tables,
        "note": f"{MOST_MAPS} of {len(maps)} maps." if left_out else "",
    }


def brightest_place(heatmap) -> str:
    """Describes the place where a map is highest."""
    heatmap = np.asarray(heatmap, "float32")
    if np.isnan(heatmap).all() or np.nanmin(heatmap) == np.nanmax(heatmap):
        return "the same everywhere"
    peak = np.unravel_index(np.nanargmax(heatmap), heatmap.shape)
    row, column = (
        min(int(3 * (place + 0.5) / cells), 2)
        for place, cells in zip(peak, heatmap.shape, strict=True)
    )
    vertical = ("upper", "middle", "lower")[row]
    horizontal = ("left", "centre", "right")[column]
    return f"brightest in the {vertical} {horizontal}"


def training_section(
    logs, *, monitors=None, title: str = "How training went"
) -> Section:
    """Every figure of a run's logs over its epochs.

    Args:
        logs, monitors: As in `save_training_curves`.
        title: The section's heading.

    Returns:
        `Section`.

    Raises:
        ImportError: If Matplotlib or Jinja2 is not installed.
        ValueError: If there is no epoch, or a monitor is not in the log.
    """
    spans, panels = stage_spans(logs, monitors), make_panels(logs)
    charts = []
    for panel in panels:

        def draw(axes, panel=panel):
            draw_panel(axes, panel, spans)
            if panel is panels[0]:
                draw_legend(axes)

        charts.append(draw_chart(draw, _curve_in_words(panel, spans)))
    best = "; ".join(
        f"{span.name}, epoch {span.best - span.start + 1} of "
        f"{span.stop - span.start} by {span.monitor}"
        for span in spans
    )
    note = f"A ring marks each stage's best epoch, which was kept: {best}."
    return Section(title, render("training", note=note, charts=charts))


def _curve_in_words(panel, spans):
    ends = []
    for name, values in (
        ("training", panel.training),
        ("validation", panel.validation),
    ):
        known = values[~np.isnan(values)]
        if known.size:
            ends.append(f"{name} from {known[0]:.3g} to {known[-1]:.3g}")
    return (
        f"{panel.title} over {spans[-1].stop} epochs: "
        f"{', '.join(ends) or 'no values'}"
    )


def confusion_section(
    labels,
    predicted,
    photographs,
    *,
    class_names,
    count: int = 10,
    names=None,
    title: str = "Most confused pairs",
) -> Section:
    """The most confused pairs of classes: their matrix, and photographs.

    Args:
        labels, predicted, photographs, class_names, count, names: As in
            `save_confusions`.
        title: The section's heading.

    Returns:
        `Section`.

    Raises:
        ImportError: If Matplotlib, Jinja2 or scikit-learn is missing.
        ValueError: If the arrays are not as described.
    """
    labels, predicted = check_arrays(labels, predicted, len(class_names))
    pairs = most_confused(labels, predicted, class_names, count=count)
    if not pairs:
        return Section(title, f"<p>{NOTHING}</p>")
    indices = [pair_examples(labels, predicted, pair) for pair in pairs]
    images = load_photographs(photographs, indices, len(labels))
    classes = classes_of(pairs)
    matrix = confusion_matrix(labels, predicted, classes)
    class_labels = [class_names[label] for label in classes]
    wrong = int(np.sum(labels != predicted))
    inside = sum(pair.count for pair in pairs)
    note = (
        f"These {len(pairs)} pairs of classes hold {inside} of all {wrong} "
        "mistakes. Rows: the true class; columns: what was said, by the "
        "rows' numbers."
    )
    cards = [
        _pair_card(pair, [(images.get(i), name_of(names, i)) for i in chosen])
        for pair, chosen in zip(pairs, indices, strict=True)
    ]
    html = render(
        "confusions",
        note=note,
        names=class_labels,
        matrix=matrix.tolist(),
        cards=cards,
    )
    return Section(title, html)


def _pair_card(pair, images):
    """A pair with its four photographs and names, None where there is none."""
    tiles = []
    for number, (image, name) in enumerate(images):
        title = example_title(pair, number, image is None).replace("\n", " ")
        picture = None
        if image is not None:
            caption = title if name is None else f"{title}: {name}"
            picture = draw_tile(image, f"Photograph: {title}", caption)
        tiles.append((title, picture))
    return {"names": pair.names, "note": str(pair), "tiles": tiles}
