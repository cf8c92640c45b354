"""The tables and pictures of equal_budget.py, out of what it left."""

import json
import math

import numpy as np

from keras_fgvc import evaluation, training, visualization
from keras_fgvc.models.declaration import meanings_of, object_map


def gains_table(setting, workdirs, picture, open_data):
    """All figures; the gains beside the papers', which it draws too.

    Args:
        setting: `equal_rows.Setting`.
        workdirs: From each row to the work directories of its seeds.
        picture: File to draw into.
        open_data: Function from a seed to its `LabeledImages`.

    Returns:
        Markdown, two tables: the whole and the short one.
    """
    table = evaluation.tabulate(
        {
            name: [
                evaluation.Predictions.load(w / "predictions-test.npz")
                for w in row
            ]
            for name, row in workdirs.items()
        }
    )
    papers = {name: setting.rows[name].paper for name in table.rows}
    lines = [str(table), "", *short_table(table, papers, workdirs, open_data)]
    if len(table.rows) > 1:
        gains = {n: p[1] - p[0] for n, p in papers.items() if p}
        visualization.save_comparison(picture, table, references=gains)
        lines += ["", f"picture: {picture}"]
    return "\n".join(lines) + "\n"


def short_table(table, papers, workdirs, open_data):
    """Lines: top-1, the gain, that of the paper, how often it is found."""
    lines = [
        "| | test top-1 % (spread) | gain | gain in its paper | "
        "object found, IoU >= 0.5, % |",
        "|---|---|---|---|---|",
    ]
    for name, row in table.rows.items():
        found = [find(workdir, open_data) for workdir in workdirs[name]]
        shares = [100 * f["share"] for f in found if f]
        cells = (
            name,
            with_spread(100 * row.comparison.mean, 100 * row.comparison.spread),
            gain_cell(row.comparison) if name != table.baseline else "",
            paper_cell(papers[name], row.comparison),
            with_spread(*evaluation.mean_and_spread(shares), digits=1)
            if shares
            else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def with_spread(mean, spread, digits=2):
    """Of one seed there is no spread."""
    text = f"{mean:.{digits}f}"
    return text if math.isnan(spread) else f"{text} ({spread:.{digits}f})"


def gain_cell(comparison):
    gain, error = 100 * comparison.difference, 100 * comparison.error
    return f"{gain:+.2f} ± {error:.2f}"


def paper_cell(paper, comparison):
    """The paper's gain, and whether ours is one: by two standard errors."""
    if not paper:
        return ""
    before, after = paper
    gain, error = comparison.difference, comparison.error
    if abs(gain) <= 2 * error:
        verdict = "not reproduced: no difference seen"
    else:
        verdict = "reproduced" if gain > 0 else "not reproduced: behind"
    return f"{after - before:+.1f} ({before} to {after}): {verdict}"


def find(workdir, open_data):
    """How often a map's box is the object's, at validation's best threshold."""
    path = workdir / "found.json"
    if not path.exists():
        run = training.open_run(workdir)
        model = run.load_model()
        found = find_with(model, open_data(run.seed), run.recipe)
        path.write_text(json.dumps(found) + "\n")
    return json.loads(path.read_text())


def find_with(model, images, recipe):
    name = object_map(meanings_of(model))
    if name is None or images.subset("test").boxes is None:
        return None
    size = {"load_size": recipe.load_size}
    tau = evaluation.best_threshold(model, images, heatmap=name, **size)
    found = evaluation.evaluate(model, images, threshold=tau, **size)
    share = found.localization[name]
    return {"map": name, "threshold": tau, "share": share}


def clutter_table(setting, workdirs, picture):
    """Top-1 by method and number of distractors, which it draws too."""
    counts = setting.clutter
    titles = " | ".join(f"{count} distractors" for count in counts)
    lines = [f"| test top-1 %, mean (spread) | {titles} |"]
    lines.append("|---" * (1 + len(counts)) + "|")
    found = {}
    for name, row in workdirs.items():
        texts = [(w / "clutter.json").read_text() for w in row]
        runs = [[json.loads(t)[str(c)] for c in counts] for t in texts]
        pairs = [
            evaluation.mean_and_spread(column)
            for column in zip(*runs, strict=True)
        ]
        found[name] = 100 * np.array(pairs).T
        cells = [f"{100 * m:.2f} ({100 * s:.2f})" for m, s in pairs]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    draw(found, counts, picture)
    return "\n".join([*lines, "", f"picture: {picture}", ""])


def draw(found, counts, path):
    """Lead over the first row, by distractors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    (first, (base, _)), *others = found.items()
    for name, (mean, spread) in others:
        axes.errorbar(
            counts, mean - base, yerr=spread, marker="o", capsize=3, label=name
        )
    axes.axhline(0, color="#333333", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, counts)
    axes.set_xlabel("distractors in the test images; bars: spread over seeds")
    axes.set_ylabel(f"top-1 less that of {first}, in points")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
