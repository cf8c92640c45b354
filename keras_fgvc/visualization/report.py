"""One HTML file that shows how well a model does and what it looks at."""

import datetime
import math
import pathlib

from keras_fgvc._files import move_into_place
from keras_fgvc._version import __version__
from keras_fgvc.visualization.page import render
from keras_fgvc.visualization.sections import Section

# Classes in each of the tables of the worst and the best.
SHOWN_CLASSES = 10
# Of an `Evaluation`, where it has them.
FURTHER_FIGURES = {
    "mean_per_class": (100, "{:.1f} %"),
    "macro_f1": (100, "{:.1f} %"),
    "negative_log_likelihood": (1, "{:.3f}"),
    "calibration_error": (100, "{:.1f} %"),
}


def write_report(
    path, *, title: str, evaluation=None, facts=None, sections=()
) -> pathlib.Path:
    """Writes a report of one HTML file that needs nothing else.

    Pictures are inside the file, there are no scripts, it opens without a
    network, on a telephone and on a dark screen. All texts are escaped. The
    last line gives the date and the version of this package.

    Args:
        path: File to write, `.html`.
        title: The report's heading.
        evaluation: An `evaluation.Evaluation`, for the tables of figures and
            of the worst and best classes.
        facts: Dict from a name to a text or a number: recipe, data, seed and
            the like.
        sections: `Section`s, of `explanation_section`, `training_section`,
            `confusion_section` or your own.

    Returns:
        The path.

    Raises:
        ImportError: If Jinja2 is not installed.
        ValueError: If there is nothing to report.

    Example:

    ```python
    from keras_fgvc import visualization
    from keras_fgvc.evaluation import Evaluation

    figures = Evaluation(50, 0.9, 1.0, {"crow": 0.8, "wren": 1.0}, {})
    visualization.write_report(
        "report.html", title="Birds", evaluation=figures, facts={"seed": 0}
    )
    ```
    """
    if evaluation is None and not facts and not sections:
        raise ValueError(
            "Give `evaluation`, `facts` or `sections`. Received: none of them."
        )
    parts = []
    if evaluation is not None:
        parts.append(Section("Figures", _figures(evaluation)))
        parts.append(Section("Classes", _classes(evaluation.per_class)))
    if facts:
        parts.append(Section("The run", render("facts", facts=facts)))
    text = render(
        "page",
        title=title,
        sections=[*parts, *sections],
        date=datetime.date.today().isoformat(),
        version=__version__,
    ).lstrip()
    path = pathlib.Path(path)
    move_into_place(path, lambda p: p.write_text(text, encoding="utf-8"))
    return path


def _figures(evaluation):
    count = evaluation.images
    shares = [("top-1", evaluation.top1, count)]
    shares += [("top-5", evaluation.top5, count)]
    for name, share in evaluation.all_localization.items():
        title = f"object found, by {name.replace('_', ' ')}"
        shares.append((title, share, evaluation.with_boxes or count))
    figures = [("images", str(count), "")]
    figures += [
        (name, f"{100 * share:.1f} %", _interval(share, number))
        for name, share, number in shares
        if not math.isnan(share)
    ]
    figures += [
        (_title(name), form.format(scale * value), "")
        for name, (scale, form) in FURTHER_FIGURES.items()
        if not math.isnan(value := getattr(evaluation, name, math.nan))
    ]
    note = "In brackets the 95 % interval of such a share over so many images."
    if evaluation.localization:
        note += " An object is found where the boxes' overlap (IoU) is >= 0.5."
    if evaluation.constant_localization:
        note += " A fixed box is the same for all images: it never looks."
    return render("figures", values=figures, note=note)


def _title(name):
    return name.replace("_", " ").replace("f1", "F1")


def _interval(share, count):
    """Wilson's interval of a share, which holds at 0 and 1 as well."""
    if not count:
        return ""
    z2 = 1.96**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    spread = math.sqrt(
        z2 * (share * (1 - share) + z2 / (4 * count)) / count
    ) / (1 + z2 / count)
    low, high = max(centre - spread, 0.0), min(centre + spread, 1.0)
    return f"({100 * low:.1f} to {100 * high:.1f})"


def _classes(per_class):
    known = {n: s for n, s in per_class.items() if not math.isnan(s)}
    ordered = sorted(known.items(), key=lambda pair: pair[1])  # worst first
    rows = [(name, share, False) for name, share in ordered]
    if len(rows) <= 2 * SHOWN_CLASSES:
        tables = [("Top-1 of each class, the worst first", rows)]
    else:
        heading = f"Top-1 of the {SHOWN_CLASSES} {{}} classes"
        tables = [
            (heading.format("worst"), rows[:SHOWN_CLASSES]),
            (heading.format("best"), rows[: -SHOWN_CLASSES - 1 : -1]),
        ]
    note = f"{len(known)} classes"
    if len(known) < len(per_class):
        note += f"; {len(per_class) - len(known)} more have no images here"
    return render("classes", note=f"{note}.", tables=tables)
