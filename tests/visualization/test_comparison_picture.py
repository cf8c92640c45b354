import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from keras_fgvc import evaluation, visualization

LABELS = np.array([0, 1, 0, 1, 1, 0, 1, 0])


def run(*wrong):
    """Predictions that are right but for these images."""
    named = LABELS.copy()
    named[list(wrong)] ^= 1
    return evaluation.Predictions(LABELS, np.eye(2)[named], ("cat", "dog"))


@pytest.fixture
def table():
    return evaluation.tabulate(
        {
            "plain": [run(0, 1), run(0, 3)],
            "better": [run(0), run()],
            "worse": [run(0, 1, 2), run(4, 5, 6)],
        }
    )


def test_a_name_is_no_mathematics(tmp_path):
    path = tmp_path / "gains.png"
    runs = {"$\\frac$": [run(0)], "$_$": [run(1)]}
    visualization.save_comparison(path, evaluation.tabulate(runs))
    assert path.exists()


def drawn(monkeypatch, name):
    """The arguments of each call of a method of the axes."""
    calls, method = [], getattr(Axes, name)

    def call(axes, *args, **kwargs):
        calls.append((args, kwargs))
        return method(axes, *args, **kwargs)

    monkeypatch.setattr(Axes, name, call)
    return calls


def test_bars_are_the_differences_in_points(table, monkeypatch, tmp_path):
    bars = drawn(monkeypatch, "barh")
    whiskers = drawn(monkeypatch, "errorbar")
    visualization.save_comparison(tmp_path / "a.png", table)
    (((places, points), _),) = bars
    # From below; wrong are 2 of 8 without, 0.5 and 3 of 8 with.
    assert dict(zip(places, points, strict=True)) == {0: -12.5, 1: 18.75}
    better = table.rows["better"].comparison
    errors = [100 * better.error_over_images, 100 * better.error]
    found = [k["xerr"] for (_, place), k in whiskers if place == 1]
    assert found == pytest.approx(errors)
    with Image.open(tmp_path / "a.png") as image:
        assert len(image.convert("RGB").getcolors(1 << 20)) > 2


def test_references_stand_beside_their_rows(table, monkeypatch, tmp_path):
    marks = drawn(monkeypatch, "scatter")
    visualization.save_comparison(
        tmp_path / "a.png", table, references={"worse": 4.5}
    )
    (((x, y), _),) = marks
    assert (x, y) == ([4.5], [0])


def test_one_seed_has_no_error_over_seeds(monkeypatch, tmp_path):
    whiskers = drawn(monkeypatch, "errorbar")
    table = evaluation.tabulate({"plain": [run(0)], "better": [run()]})
    visualization.save_comparison(tmp_path / "a.png", table)
    assert len(whiskers) == 1


def test_wrong_arguments(table, tmp_path):
    alone = evaluation.tabulate({"plain": [run(0)]})
    with pytest.raises(ValueError, match=r"beside its baseline.*plain"):
        visualization.save_comparison(tmp_path / "a.png", alone)
    with pytest.raises(ValueError, match=r"rows of better, worse.*'plain'"):
        visualization.save_comparison(
            tmp_path / "a.png", table, references={"plain": 1.0}
        )
