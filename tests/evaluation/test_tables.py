import json
import math

import numpy as np
import pytest

from keras_fgvc.evaluation import (
    Predictions,
    compare,
    evaluate_predictions,
    tabulate,
)

LABELS = np.arange(24) % 3


def run(seed, outputs=()):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(3), size=24)
    corners = np.sort(rng.uniform(size=(24, 2, 2)), axis=1).reshape(24, 4)
    boxes = dict.fromkeys(outputs, corners)
    whole = np.tile([0, 0, 1, 1], (24, 1))
    return Predictions(LABELS, rows, ("a", "b", "c"), boxes, whole)


RUNS = {
    "plain": [run(0), run(1), run(2)],
    "with boxes": [run(3, ["boxes", "heatmap"]), run(4, ["heatmap"])],
    "a|b": [run(5)],
}


def test_figures_are_means_over_seeds():
    table = tabulate(RUNS, "plain")
    compared = compare(RUNS, "plain")
    for name, row in table.rows.items():
        for field in vars(compared[name]):
            found = getattr(row.comparison, field)
            expected = getattr(compared[name], field)
            assert found == pytest.approx(expected, nan_ok=True)
        each = [evaluate_predictions(p) for p in RUNS[name]]
        assert [e.top5 for e in row.evaluations] == [e.top5 for e in each]
        for figure in ("mean_per_class", "negative_log_likelihood"):
            values = [getattr(e, figure) for e in each]
            mean, spread = row.figures[figure]
            assert mean == pytest.approx(sum(values) / len(values))
            if len(values) > 1:
                squares = [(v - mean) ** 2 for v in values]
                expected = math.sqrt(sum(squares) / (len(values) - 1))
                assert spread == pytest.approx(expected)


def test_boxes_are_shown_where_all_seeds_have_them():
    figures = tabulate(RUNS).rows["with boxes"].figures
    assert "localization.heatmap" in figures
    assert "localization.boxes" not in figures


def test_markdown():
    lines = str(tabulate(RUNS, "plain")).splitlines()
    # A bar inside a name is escaped, so it ends no cell.
    cells = [
        [c.strip() for c in x.replace("\\|", "!").split("|")] for x in lines
    ]
    assert len({len(row) for row in cells}) == 1
    head, _, plain, boxes, single = (row[1:-1] for row in cells)
    assert head[:6] == [
        "", "seeds", "top-1 %", "less plain", "± images", "± seeds",
    ]  # fmt: skip
    assert head[-1] == "IoU >= 0.5 by heatmap %"
    assert plain[0:2] == ["plain", "3"]
    assert plain[3:6] == ["", "", ""]
    assert plain[-1] == ""
    row = tabulate(RUNS, "plain").rows["with boxes"]
    mean, spread = row.figures["top1"]
    assert boxes[2] == f"{100 * mean:.2f} ({100 * spread:.2f})"
    assert boxes[3] == f"{100 * row.comparison.difference:+.2f}"
    assert boxes[4] == f"{100 * row.comparison.error_over_images:.2f}"
    assert boxes[5] == f"{100 * row.comparison.error_over_seeds:.2f}"
    mean, spread = row.figures["negative_log_likelihood"]
    assert boxes[head.index("negative log likelihood")] == (
        f"{mean:.3f} ({spread:.3f})"
    )
    assert boxes[-1] != ""
    assert single[:2] == ["a!b", "1"]
    assert "(" not in single[2]  # the spread of one seed is not known
    assert single[5] == ""


def test_all_of_it_goes_to_json():
    table = tabulate(RUNS, "plain")
    found = json.loads(json.dumps(table.as_dict(), allow_nan=False))
    assert found["baseline"] == "plain"
    assert list(found["rows"]) == list(RUNS)
    row = found["rows"]["with boxes"]
    expected = table.rows["with boxes"]
    assert row["comparison"]["mean"] == expected.comparison.mean
    assert row["error"] == expected.comparison.error
    assert row["figures"]["top5"]["mean"] == expected.figures["top5"][0]
    assert [e["top1"] for e in row["seeds"]] == [
        e.top1 for e in expected.evaluations
    ]
    assert found["rows"]["a|b"]["comparison"]["spread"] is None


def test_what_cannot_be_compared_cannot_be_tabulated():
    other = Predictions(LABELS[::-1], np.eye(3)[LABELS], ("a", "b", "c"))
    with pytest.raises(ValueError, match="same images"):
        tabulate({"plain": [run(0)], "other": [other]})
