"""The tables and pictures of equal_budget.py, out of what it left."""

import dataclasses
import hashlib
import json
import math

import numpy as np
from equal_verdicts import error_of, verdict

from keras_fgvc import evaluation, training, visualization
from keras_fgvc.models.declaration import meanings_of, object_map


def gains_table(setting, runs, picture, open_data):
    """All figures; the gains beside the controls and the papers.

    Args:
        setting: `equal_rows.Setting`.
        runs: From each row to its work directories: a list of seeds, of folds,
            of networks whose answers are averaged.
        picture: File to draw into.
        open_data: Function from a work directory to its `LabeledImages`.

    Returns:
        Markdown, two tables: the whole and the short one.
    """
    by_fold = {
        name: [[join_networks(fold) for fold in seed] for seed in seeds]
        for name, seeds in runs.items()
    }
    predictions = {
        name: [join_folds(seed) for seed in seeds]
        for name, seeds in by_fold.items()
    }
    table = evaluation.tabulate(predictions)
    found = {name: find_all(seeds, open_data) for name, seeds in runs.items()}
    lines = [str(table), ""]
    lines += short_table(setting, by_fold, predictions, table, found)
    if len(table.rows) > 1:
        papers = {name: setting.rows[name].paper for name in table.rows}
        gains = {n: p[1] - p[0] for n, p in papers.items() if p}
        gains.pop(table.baseline, None)
        visualization.save_comparison(picture, table, references=gains)
        lines += ["", f"picture: {picture}"]
    return "\n".join(lines) + "\n"


def join_networks(workdirs):
    """The mean of the answers of several networks on the same images."""
    each = [
        evaluation.Predictions.load(w / "predictions-test.npz")
        for w in workdirs
    ]
    mean = np.mean([one.probabilities for one in each], axis=0)
    boxes = each[0].boxes if len(each) == 1 else {}
    return dataclasses.replace(each[0], probabilities=mean, boxes=boxes)


def join_folds(each):
    """The answers of all folds, one for each image."""
    if len(each) == 1:
        return each[0]
    digests = "".join(one.image_digest for one in each)
    return evaluation.Predictions(
        labels=np.concatenate([one.labels for one in each]),
        probabilities=np.concatenate([one.probabilities for one in each]),
        class_names=each[0].class_names,
        image_digest=hashlib.sha256(digests.encode()).hexdigest(),
    )


def short_table(setting, by_fold, predictions, table, found):
    """Lines: top-1, gains over two rows with verdicts, and what is found."""
    lines = [
        "| | test top-1 % (spread) | gain | verdict | less its control | "
        "verdict | gain in its paper | object found, IoU >= 0.5, % | by a box "
        "that never looks |",
        "|---" * 9 + "|",
    ]
    for name, row in table.rows.items():
        setting_row = setting.rows[name]
        paper = (
            setting_row.paper and setting_row.paper[1] - setting_row.paper[0]
        )
        cells = [name]
        cells.append(
            with_spread(100 * row.comparison.mean, 100 * row.comparison.spread)
        )
        cells += gain_cells(by_fold, predictions, name, table.baseline, paper)
        control = setting_row.control
        beside = gain_cells(by_fold, predictions, name, control)
        if beside[0] and control != table.baseline:
            beside[0] += f" ({control})"
        cells += beside
        cells.append(paper_cell(setting_row.paper))
        cells += found[name]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def gain_cells(by_fold, predictions, name, other, paper=None):
    """The difference to another row with its error, and the verdict."""
    if other not in predictions or name == other:
        return ["", ""]
    pair = {key: predictions[key] for key in (other, name)}
    comparison = evaluation.compare(pair)[name]
    top1 = {
        key: np.mean(
            [[np.mean(f.ranks < 1) for f in seed] for seed in by_fold[key]],
            axis=0,
        )
        for key in pair
    }
    error = error_of(comparison, list(top1[name] - top1[other]))
    gain = comparison.difference
    text = f"{100 * gain:+.2f} ± {100 * error:.2f}"
    return [text, verdict(gain, error, paper)]


def paper_cell(paper):
    if not paper:
        return ""
    before, after = paper
    return f"{after - before:+.1f} ({before} to {after})"


def find_all(seeds, open_data):
    """Two cells: how often the object is found, and by a constant box."""
    workdirs = [workdir for seed in seeds for fold in seed for workdir in fold]
    found = [find(workdir, open_data) for workdir in workdirs]
    found = [each for each in found if each]
    if not found:
        return ["", ""]
    return [
        with_spread(
            *evaluation.mean_and_spread([100 * each[key] for each in found]), 1
        )
        for key in ("share", "constant_box")
    ]


def with_spread(mean, spread, digits=2):
    """Of one seed there is no spread."""
    text = f"{mean:.{digits}f}"
    return text if math.isnan(spread) else f"{text} ({spread:.{digits}f})"


def find(workdir, open_data):
    """How often a map's box is the object's, at validation's best threshold."""
    path = workdir / "found.json"
    if not path.exists():
        run = training.open_run(workdir)
        found = find_with(run.load_model(), open_data(workdir), run.recipe)
        path.write_text(json.dumps(found) + "\n")
    return json.loads(path.read_text())


def find_with(model, images, recipe):
    name = object_map(meanings_of(model))
    if name is None or images.subset("test").boxes is None:
        return None
    size = {"load_size": recipe.load_size}
    tau = evaluation.best_threshold(model, images, heatmap=name, **size)
    found = evaluation.evaluate(model, images, threshold=tau, **size)
    constant = found.constant_localization  # the best centred box, a mean one
    return {
        "map": name,
        "threshold": tau,
        "share": found.localization[name],
        "constant_box": max(constant.values(), default=float("nan")),
    }


def clutter_table(setting, runs, picture):
    """Top-1 by method and number of distractors, which it draws too."""
    workdirs = {
        name: [workdir for seed in seeds for fold in seed for workdir in fold]
        for name, seeds in runs.items()
    }
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
