"""The logs of a run as lines over epochs, all stages after one another."""

import dataclasses

import numpy as np

from keras_fgvc.recipes.monitoring import best_epoch

NOT_FIGURES = ("epoch", "learning_rate")


@dataclasses.dataclass(frozen=True)
class StageSpan:
    """Place of a stage among all epochs: `start` to `stop`, its best."""

    name: str
    start: int
    stop: int
    best: int  # index among all epochs
    monitor: str  # what it was the best by


@dataclasses.dataclass(frozen=True)
class Panel:
    """One figure over all epochs, NaN where a stage does not have it."""

    title: str
    name: str
    training: np.ndarray
    validation: np.ndarray


def stage_spans(logs: dict, monitors=None) -> list[StageSpan]:
    """The stages of `Run.logs()`, in order.

    Args:
        logs: From a stage to a list of one dict an epoch.
        monitors: From a stage to the name of the validation figure whose
            best epoch was kept. Defaults to the accuracy, else the loss.

    Raises:
        ValueError: If there is no epoch, or a monitor is not in the log.
    """
    spans, start = [], 0
    for name, rows in logs.items():
        if not rows:
            continue
        monitor = (monitors or {}).get(name) or _usual_monitor(rows[0])
        if monitor not in rows[0]:
            raise ValueError(
                f"The log of {name} must have its monitor {monitor!r}. "
                f"Received: {', '.join(rows[0])}."
            )
        best = best_epoch([row[monitor] for row in rows], monitor)
        stop = start + len(rows)
        spans.append(StageSpan(name, start, stop, start + best, monitor))
        start = stop
    if not spans:
        raise ValueError(
            "`logs` must hold at least one epoch. Received: "
            f"{list(logs) or 'no stage'}. Train first: see `training.fit`."
        )
    return spans


def make_panels(logs: dict) -> list[Panel]:
    """The accuracy, the loss, then every other figure by its name."""
    rows = [row for stage in logs.values() for row in stage]
    names = dict.fromkeys(
        name.removeprefix("val_")
        for row in rows
        for name in row
        if name not in NOT_FIGURES
    )
    first = [name for name in ("accuracy", "loss") if name in names]
    others = [name for name in names if name not in first]
    panels = {name: _panel(rows, name) for name in (*first, *others)}
    return _without_copies_of_the_loss(panels)


def _panel(rows, name):
    lines = [
        np.array([row.get(key, np.nan) for row in rows])
        for key in (name, f"val_{name}")
    ]
    return Panel(name.replace("_", " "), name, *lines)


def _without_copies_of_the_loss(panels):
    """A loss of one term needs no second panel."""
    loss = panels.get("loss")
    kept = []
    for panel in panels.values():
        same = loss is not None and np.array_equal(
            panel.training, loss.training, equal_nan=True
        )
        if panel is loss or not same:
            kept.append(panel)
            continue
        title = f"{loss.title}: {panel.title}"
        kept[kept.index(loss)] = loss = dataclasses.replace(loss, title=title)
    return kept


def _usual_monitor(row):
    return "val_accuracy" if "val_accuracy" in row else "val_loss"
