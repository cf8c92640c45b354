"""The tables and pictures of equal_budget.py, out of what it left."""

import json

import numpy as np

from keras_fgvc import evaluation, training, visualization

MAPS = ("heatmap", "mean_activation")  # of the object, the first there is


def gains_table(setting, workdirs, picture, open_data):
    """All figures, gains beside the papers', found objects; draws the gains.

    Args:
        setting: `equal_rows.Setting`.
        workdirs: From each row to the work directories of its seeds.
        picture: File to draw into.
        open_data: Function from a seed to its `LabeledImages`.

    Returns:
        Markdown.
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
    lines = [str(table), "", "| | gain here | gain in its paper | |"]
    lines.append("|---|---|---|---|")
    papers = {}
    for name, row in table.rows.items():
        paper = setting.rows[name].paper
        if not paper or name == table.baseline:
            continue
        before, after = paper
        papers[name] = after - before
        gain, error = row.comparison.difference, row.comparison.error
        lines.append(
            f"| {name} | {100 * gain:+.2f} ± {100 * error:.2f} | "
            f"{papers[name]:+.1f} (from {before} to {after}) | "
            f"{verdict(gain, error)} |"
        )
    lines += ["", *found_lines(workdirs, open_data)]
    if len(table.rows) > 1:
        visualization.save_comparison(picture, table, references=papers)
        lines += ["", f"picture: {picture}"]
    return "\n".join(lines) + "\n"


def verdict(gain, error):
    """By two standard errors; between them nothing can be said."""
    if abs(gain) <= 2 * error:
        return "not reproduced: no difference seen"
    return "reproduced" if gain > 0 else "not reproduced: behind"


def found_lines(workdirs, open_data):
    """A line for each row whose model has a map of the object."""
    lines = [
        "| | box of | object found (IoU >= 0.5), test % |",
        "|---|---|---|",
    ]
    for name, row in workdirs.items():
        found = [find(workdir, open_data) for workdir in row]
        if all(found):
            mean, spread = evaluation.mean_and_spread(
                [100 * f["share"] for f in found]
            )
            lines.append(
                f"| {name} | {found[0]['map']} | {mean:.1f} ({spread:.1f}) |"
            )
    return lines


def find(workdir, open_data):
    """How often a map's box is the object's, at validation's best threshold."""
    path = workdir / "found.json"
    if not path.exists():
        run = training.open_run(workdir)
        found = find_with(run.load_model(), open_data(run.seed), run.recipe)
        path.write_text(json.dumps(found) + "\n")
    return json.loads(path.read_text())


def find_with(model, images, recipe):
    name = next((name for name in MAPS if name in model.output), None)
    if name is None or images.subset("test").boxes is None:
        return None
    size = {"image_size": recipe.load_size}
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
    axes.set_xlabel(f"distractors in the test images ({first}: 0)")
    axes.set_ylabel(f"top-1 less that of {first}, in points")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
