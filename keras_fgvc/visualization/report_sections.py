"""Sections of the report: explanations, training, confusions."""

import dataclasses

import numpy as np

from keras_fgvc.visualization import report_html as page
from keras_fgvc.visualization.confusion_picture import (
    NOTHING,
    load_photographs,
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
from keras_fgvc.visualization.report_cards import (
    explanation_card,
    pair_card,
)
from keras_fgvc.visualization.training_curves import (
    DARK,
    LIGHT,
    draw_legend,
    draw_panel,
)

CHART_INCHES = (4.4, 3.0)


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
    labels=None,
    true_boxes=None,
    class_names=None,
    title: str = "What the model saw",
    note: str = "",
) -> Section:
    """Photographs with boxes, maps and the most probable classes.

    Args:
        images, explanations, labels, true_boxes, class_names: As in
            `save_explanations`.
        title: The section's heading.
        note: A sentence below it, such as how the images were chosen.

    Returns:
        `Section`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is no image, or a list is not as long as `images`.
    """
    named = {
        "explanations": explanations,
        "labels": labels,
        "true_boxes": true_boxes,
    }
    check_lengths(images, named)
    cards = [
        explanation_card(
            images[n],
            explanation,
            None if labels is None else int(labels[n]),
            None if true_boxes is None else true_boxes[n],
            class_names,
        )
        for n, explanation in enumerate(explanations)
    ]
    legend = "Red: predicted boxes. Maps are bright where they are high."
    if true_boxes is not None:
        legend = f"Green, dashed: the true box. {legend}"
    text = f'<p class="note">{page.escape(f"{note} {legend}".strip())}</p>'
    return Section(title, text + "".join(cards))


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
        ImportError: If Matplotlib is not installed.
        ValueError: If there is no epoch, or a monitor is not in the log.
    """
    spans, panels = stage_spans(logs, monitors), make_panels(logs)
    charts = []
    for panel in panels:

        def draw(axes, theme, panel=panel):
            draw_panel(axes, panel, spans, theme)
            if panel is panels[0]:
                draw_legend(axes, theme)

        alt = _curve_in_words(panel, spans)
        charts.append(page.chart(draw, alt, CHART_INCHES, (LIGHT, DARK)))
    best = "; ".join(
        f"{span.name}, epoch {span.best - span.start + 1} of "
        f"{span.stop - span.start} by {span.monitor}"
        for span in spans
    )
    text = f"A ring marks each stage's best epoch, which was kept: {best}."
    return Section(
        title,
        f'<p class="note">{page.escape(text)}</p>'
        f'<div class="charts">{"".join(charts)}</div>',
    )


def confusion_section(
    labels,
    predicted,
    photographs,
    *,
    class_names,
    count: int = 10,
    title: str = "What it takes for one another",
) -> Section:
    """The most confused classes: their matrix, and photographs.

    Args:
        labels, predicted, photographs, class_names, count: As in
            `save_confusions`.
        title: The section's heading.

    Returns:
        `Section`.

    Raises:
        ImportError: If Matplotlib is not installed.
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
    names = [class_names[label] for label in classes]
    wrong = int(np.sum(labels != predicted))
    inside = sum(pair.count for pair in pairs)
    text = (
        f'<p class="note">These {len(pairs)} pairs of classes hold {inside} '
        f"of all {wrong} mistakes. Rows: the true class; columns: what was "
        "said, by the rows' numbers.</p>"
    )
    cards = [
        pair_card(pair, [images.get(index) for index in chosen])
        for pair, chosen in zip(pairs, indices, strict=True)
    ]
    return Section(
        title, text + page.count_table(matrix, names) + "".join(cards)
    )


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
