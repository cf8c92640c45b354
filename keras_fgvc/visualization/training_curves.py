"""Draws the figures of a training over epochs, stage after stage."""

import math

import numpy as np

from keras_fgvc.visualization.curves import make_panels, stage_spans
from keras_fgvc.visualization.drawing import new_figure

COLUMNS = 3
PANEL_INCHES = (3.6, 2.6)


INK, FAINT = "#1f2328", "#d0d7de"
TRAINING_COLOUR, VALIDATION_COLOUR = "#4c78a8", "#e45756"


def save_training_curves(path, logs, *, monitors=None) -> None:
    """Saves all figures of a run's logs, training against validation.

    A panel a figure. Stages follow one another, divided by lines; the best
    epoch of each, whose weights were kept, has a ring.

    Args:
        path: File to write; its ending chooses the format.
        logs: From a stage's name to a list of one dict an epoch, as
            `training.Run.logs()` returns.
        monitors: From such a name to the validation figure whose best epoch
            was kept, as `recipes.Stage.monitor`. Defaults to
            `"val_accuracy"` where the log has it, else `"val_loss"`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is no epoch, or a monitor is not in the log.

    Example:

    ```python
    from keras_fgvc import visualization

    rows = [
        {"epoch": 0, "loss": 2.1, "val_loss": 2.0, "val_accuracy": 0.4},
        {"epoch": 1, "loss": 1.2, "val_loss": 1.4, "val_accuracy": 0.6},
    ]
    visualization.save_training_curves("curves.png", {"1-classifier": rows})
    ```
    """
    spans, panels = stage_spans(logs, monitors), make_panels(logs)
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    width, height = PANEL_INCHES
    figure = new_figure(columns * width, rows * height, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1)
    for number, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, columns, number)
        draw_panel(axes, panel, spans)
        if number == 1:
            draw_legend(axes)
    figure.savefig(path, dpi=110)


def draw_panel(axes, panel, spans) -> None:
    """One figure over the epochs, counted from 1 through all stages."""
    for span in spans:
        epochs = slice(span.start, span.stop)
        numbers = np.arange(span.start, span.stop) + 1
        for values, colour, label in (
            (panel.training, TRAINING_COLOUR, "training"),
            (panel.validation, VALIDATION_COLOUR, "validation"),
        ):
            shown = label if span is spans[0] else None
            axes.plot(numbers, values[epochs], ".-", color=colour, label=shown)
        best = panel.validation[span.best]
        shown = "best epoch" if span is spans[0] else None
        axes.plot(
            span.best + 1,
            best,
            "o",
            color=INK,
            markersize=9,
            fillstyle="none",
            label=shown,
        )
        if span.monitor == f"val_{panel.name}":
            _name_value(axes, span.best + 1, best)
    _name_stages(axes, spans)
    axes.set_title(
        panel.title,
        fontsize=9,
        color=INK,
        pad=8 if len(spans) == 1 else 24,  # above the stages' names
    )
    _dress(axes, spans[-1].stop)


def draw_legend(axes) -> None:
    axes.legend(
        fontsize=7,
        edgecolor=FAINT,
        labelcolor=INK,
    )


def _name_value(axes, epoch, value):
    axes.annotate(
        f"{value:.3g}",
        (epoch, value),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
        fontsize=8,
        color=INK,
    )


def _name_stages(axes, spans):
    """A line where a stage ends, its name at its middle where it fits."""
    for span in spans:
        if span.start:
            axes.axvline(span.start + 0.5, color=FAINT, linestyle="--")
    if len(spans) == 1:
        return
    for number, span in enumerate(spans):
        axes.text(
            (span.start + span.stop + 1) / 2,
            1.01 + 0.07 * (number % 2),  # short stages: above one another
            span.name,
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=6,
            color=INK,
        )


def _dress(axes, epochs):
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch", fontsize=8, color=INK)
    axes.set_xlim(0.5, epochs + 0.5)
    axes.margins(y=0.15)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.grid(True, axis="y", color=FAINT, linewidth=0.5)
    axes.tick_params(labelsize=8, colors=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)
