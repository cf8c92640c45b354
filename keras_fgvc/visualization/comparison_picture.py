"""A picture of how much better than the plain network each method is."""

import math

from keras_fgvc.visualization.drawing import new_figure

INCHES_A_ROW = 0.4
WIDTH, MARGIN = 7, 1.2  # inches
GREY, BAR, REFERENCE = "#333333", "#a6bddb", "#e6550d"


def save_comparison(path, table, *, references: dict | None = None) -> None:
    """Bars of the differences in top-1 to a table's baseline.

    Args:
        path: Where the picture goes; the suffix names its format.
        table: `evaluation.Table` of at least two rows.
        references: From the name of a row to a difference in points to mark
            beside it, such as what its paper reports.

    Raises:
        ValueError: If there is nothing to compare with the baseline, or a
            reference is of no row.
        ImportError: If Matplotlib is not installed.

    Example:

    ```python
    import numpy as np
    from keras_fgvc import evaluation, visualization

    def run(seed):
        rng = np.random.default_rng(seed)
        rows = rng.dirichlet(np.ones(3), size=12)
        labels = np.arange(12) % 3
        return evaluation.Predictions(labels, rows, ("cat", "dog", "hen"))

    table = evaluation.tabulate(
        {"plain": [run(0), run(1)], "attention": [run(2), run(3)]}
    )
    visualization.save_comparison(
        "comparison.png", table, references={"attention": 1.5}
    )
    ```
    """
    found = {name: row.comparison for name, row in table.rows.items()}
    del found[table.baseline]
    references = references or {}
    _check(found, references, table)
    places = {name: place for place, name in enumerate([*found][::-1])}
    figure = new_figure(WIDTH, MARGIN + INCHES_A_ROW * len(found))
    axes = figure.subplots()
    points = [100 * found[name].difference for name in places]
    axes.barh(list(places.values()), points, height=0.6, color=BAR)
    for name, comparison in found.items():
        _draw_errors(axes, comparison, places[name])
    if references:
        axes.scatter(
            list(references.values()),
            [places[name] for name in references],
            color=REFERENCE,
            marker="D",
            zorder=3,
            label="its paper",
        )
        axes.legend()
    _name_axes(axes, places, table.baseline)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def _check(found, references, table):
    if not found:
        raise ValueError(
            "`table` must have a row beside its baseline. Received: "
            f"{', '.join(table.rows)}."
        )
    for name in references:
        if name not in found:
            raise ValueError(
                f"`references` must name rows of {', '.join(found)}. "
                f"Received: {name!r}."
            )


def _draw_errors(axes, comparison, place):
    """Thick over images, thin over images and seeds."""
    whisker = {"fmt": "none", "ecolor": GREY}
    at = 100 * comparison.difference, place
    over_images = 100 * comparison.error_over_images
    axes.errorbar(*at, xerr=over_images, elinewidth=4, **whisker)
    if not math.isnan(comparison.error_over_seeds):
        axes.errorbar(*at, xerr=100 * comparison.error, capsize=4, **whisker)


def _name_axes(axes, places, baseline):
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set_yticks(list(places.values()), list(places), parse_math=False)
    axes.set_ylim(-0.6, len(places) - 0.4)
    axes.set_xlabel(
        f"top-1 less that of {baseline}, in points\n± one standard "
        "error: thick over images, thin over images and seeds",
        parse_math=False,
    )
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
