"""The table of several methods: every figure with its spread over seeds."""

import dataclasses
import math

from keras_fgvc._files import without_nan
from keras_fgvc.evaluation.comparison import (
    Comparison,
    compare,
    mean_and_spread,
)
from keras_fgvc.evaluation.figures import Evaluation, evaluate_predictions

FIGURES = (
    "top1",
    "top5",
    "mean_per_class",
    "macro_f1",
    "calibration_error",
    "equal_mass_calibration_error",
    "negative_log_likelihood",
)
TITLES = {
    "top5": "top-5 %",
    "mean_per_class": "mean per class %",
    "macro_f1": "macro F1 %",
    "calibration_error": "calibration error %",
}
LOCALIZATION = "localization."  # in front of an output that gives boxes


@dataclasses.dataclass(frozen=True)
class Row:
    """One method of a `Table`.

    Args:
        comparison: Its `Comparison` with the baseline.
        evaluations: An `Evaluation` a seed.
        figures: From a figure's name, as "top5" or "localization.boxes", to
            the pair of its mean and its spread over seeds. A localisation
            is there if all seeds have it.
    """

    comparison: Comparison
    evaluations: tuple[Evaluation, ...]
    figures: dict


@dataclasses.dataclass(frozen=True)
class Table:
    """Result of `tabulate`; `str(table)` is Markdown.

    Args:
        baseline: Name of the row that the others are compared with.
        rows: Dict from a name to its `Row`.
    """

    baseline: str
    rows: dict[str, Row]

    def __str__(self):
        names = dict.fromkeys(n for r in self.rows.values() for n in r.figures)
        found = [name for name in names if name.startswith(LOCALIZATION)]
        titles = ["", "seeds", "top-1 %", f"less {self.baseline}"]
        titles += ["± images", "± seeds", *TITLES.values()]
        titles += ["negative log likelihood"]
        titles += [f"IoU >= 0.5 by {_output(name)} %" for name in found]
        lines = [_line(titles), "|---" * len(titles) + "|"]
        for name, row in self.rows.items():
            cells = [name, str(row.comparison.seeds), *_top1(row)]
            cells += [_percent(row.figures[figure]) for figure in TITLES]
            cells.append(_plain(row.figures["negative_log_likelihood"]))
            cells += [_percent(row.figures.get(figure)) for figure in found]
            lines.append(_line(cells))
        return "\n".join(lines)

    def as_dict(self) -> dict:
        """Returns figures for a JSON file, None where one is not known."""
        rows = {}
        for name, row in self.rows.items():
            rows[name] = {
                "comparison": dataclasses.asdict(row.comparison),
                "error": row.comparison.error,
                "figures": {
                    figure: {"mean": mean, "spread": spread}
                    for figure, (mean, spread) in row.figures.items()
                },
                "seeds": [e.as_dict() for e in row.evaluations],
            }
        return without_nan({"baseline": self.baseline, "rows": rows})


def tabulate(runs: dict, baseline: str | None = None) -> Table:
    """Figures of several methods, and their differences to one of them.

    Args:
        runs: From the name of a row to a list of `Predictions`, one a seed.
        baseline: Name of the row that others are compared with. Defaults to
            the first.

    Returns:
        `Table`. `str` makes Markdown of it, in percent: means, with spreads
        over seeds in brackets where there are several; "± images" and
        "± seeds" are one standard error of the difference, see `compare`.

    Raises:
        ValueError: As `compare` does.

    Example:

    ```python
    import numpy as np
    from keras_fgvc.evaluation import Predictions, tabulate

    def run(seed):
        rng = np.random.default_rng(seed)
        rows = rng.dirichlet(np.ones(3), size=12)
        return Predictions(np.arange(12) % 3, rows, ("cat", "dog", "hen"))

    table = tabulate({"plain": [run(0), run(1)], "attention": [run(2)]})
    print(table)
    ```
    """
    compared = compare(runs, baseline)
    rows = {}
    for name, seeds in runs.items():
        evaluations = tuple(map(evaluate_predictions, seeds))
        rows[name] = Row(compared[name], evaluations, _figures(evaluations))
    return Table(next(iter(runs)) if baseline is None else baseline, rows)


def _figures(evaluations):
    values = {n: [getattr(e, n) for e in evaluations] for n in FIGURES}
    found = [e.all_localization for e in evaluations]
    for output in found[0]:
        if all(output in each for each in found):
            shares = [each[output] for each in found]
            values[LOCALIZATION + output] = shares
    return {name: mean_and_spread(v) for name, v in values.items()}


def _top1(row):
    """The mean with its spread, the difference and its two errors."""
    found = row.comparison
    errors = (found.error_over_images, found.error_over_seeds)
    return [
        _percent(row.figures["top1"]),
        _number(100 * found.difference, "+.2f"),
        *(_number(100 * error, ".2f") for error in errors),
    ]


def _percent(pair):
    return "" if pair is None else _pair(*(100 * v for v in pair), ".2f")


def _plain(pair):
    return _pair(*pair, ".3f")


def _pair(mean, spread, form):
    """Formats "67.28 (0.77)"; without a spread if it is not known."""
    behind = "" if math.isnan(spread) else f" ({spread:{form}})"
    return _number(mean, form) + behind


def _number(value, form):
    return "" if math.isnan(value) else f"{value:{form}}"


def _line(cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _output(figure):
    return figure.removeprefix(LOCALIZATION)
