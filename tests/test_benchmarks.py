"""The parts of the benchmarks that decide something."""

import importlib
import math
import pathlib
import types

import numpy as np
import pytest

from keras_fgvc import data, evaluation

FOLDER = pathlib.Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Imports a script of the benchmarks, which are no package."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


def figures(top1, likelihood):
    return {"top1": top1, "negative_log_likelihood": likelihood}


def test_the_search_moves_on_while_an_edge_wins(load):
    equal_search = load("equal_search")
    tried = []

    def measure(rates):
        tried.append(rates)
        away = abs(math.log2(rates.backbone / 4e-4))
        away += abs(math.log2(rates.head / 4e-3))
        return figures(1 - 0.1 * away, away)

    start = equal_search.Rates(1e-4, 1e-3)
    found, is_inside = equal_search.search(start, (2, 4), measure)
    assert found == (4e-4, 4e-3)
    assert is_inside
    assert len(tried) == len(set(tried))  # none is trained twice


def test_the_search_says_when_it_gave_up_at_an_edge(load):
    equal_search = load("equal_search")
    start = equal_search.Rates(1e-4, None)
    found, is_inside = equal_search.search(
        start, (2, 4), lambda r: figures(r.backbone, -r.backbone), most_moves=2
    )
    assert found == (4e-4, None)
    assert not is_inside


def test_accuracy_and_likelihood_choose_together(load):
    winner = load("equal_search").winner
    found = {
        "slow": figures(0.60, 1.00),
        "middle": figures(0.66, 1.01),
        "fast": figures(0.67, 1.50),
    }
    # Places: 2 + 0, 1 + 1, 0 + 2; of equal sums the likelihood decides.
    assert winner(found) == "slow"
    found["worst"] = figures(0.61, 2.0)  # now slow has 3 + 0
    assert winner(found) == "middle"


def in_memory(count=47, classes=5):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, count).astype("int32")
    labels[:classes] = np.arange(classes)
    images = np.zeros((count, 8, 8, 3), "uint8")
    images[:, 0, 0, 0] = np.arange(count)
    boxes = np.tile(np.float32([0.25, 0.5, 0.75, 1.0]), (count, 1))
    examples = data.Examples(labels=labels, images=images, boxes=boxes)
    parts = np.array_split(np.arange(count), 3)
    splits = zip(("train", "validation", "test"), parts, strict=True)
    return data.LabeledImages(
        "five",
        tuple(map(str, range(classes))),
        {name: examples.take(rows) for name, rows in splits},
    )


def numbers(images, split):
    return images.subset(split).images[:, 0, 0, 0].tolist()


def test_folds_test_each_image_once(load):
    make_folds = load("equal_images").make_folds
    images = in_memory()
    tested, chosen = [], []
    for number in range(3):
        found = make_folds(images, 3, number, seed=0)
        everything = [n for name in found.splits for n in numbers(found, name)]
        assert sorted(everything) == list(range(47))
        tested += numbers(found, "test")
        other = make_folds(images, 3, number, seed=1)
        assert numbers(other, "test") == numbers(found, "test")
        chosen.append(
            numbers(other, "validation") == numbers(found, "validation")
        )
        labels = found.subset("test").labels
        for label in range(5):
            whole = sum(
                np.sum(s.labels == label) for s in images.splits.values()
            )
            assert abs(np.sum(labels == label) - whole / 3) < 1
    assert sorted(tested) == list(range(47))
    assert not all(chosen)  # the seed chooses the validation images


def test_cut_shows_the_box_alone(load):
    images = in_memory()
    pixels = images.subset("test").images
    pixels[:] = 0
    pixels[:, 2:6, 4:8] = 200  # the box
    cut = load("equal_images").cut(images, "boxes").subset("test")
    np.testing.assert_array_equal(cut.images, np.full_like(pixels, 200))
    assert cut.boxes is None
    middle = load("equal_images").cut(images, "center").subset("test").images
    # Rows 1 to 7 of 8: of 6 x 6 pixels 4 x 3 are of the box.
    share = middle[0, ..., 0].mean() / 200
    np.testing.assert_allclose(share, 4 * 3 / 36, atol=0.02)


@pytest.mark.parametrize(
    ("difference", "error", "answer"),
    [
        (0.030, 0.010, "ahead, below the paper's gain"),
        (0.041, 0.010, "ahead, within the paper's gain"),
        (0.010, 0.010, "not told apart, below the paper's gain"),
        (0.019, 0.025, "not told apart, within the paper's gain"),
        (-0.03, 0.010, "behind, below the paper's gain"),
    ],
)
def test_verdicts(load, difference, error, answer):
    verdict = load("equal_verdicts").verdict
    assert verdict(difference, error, paper=6.0) == answer
    assert verdict(difference, error) == answer.partition(",")[0]


def test_the_power_is_that_of_a_simulated_experiment(load):
    """Four of five experiments find a gain of the size that it names."""
    module = load("equal_verdicts")
    text = module.power(1_000, 3)
    gain = float(text.partition("a gain of ")[2].partition(" points")[0]) / 100
    rng = np.random.default_rng(0)
    image_error = math.sqrt(module.IMAGE_VARIANCE / 1_000)
    seeds = rng.normal(0, module.SEED_SPREAD, (20_000, 2, 3)).mean(axis=2)
    noise = seeds[:, 0] - seeds[:, 1]
    noise += rng.normal(0, image_error, 20_000)
    is_found = gain + noise > module.SURE * noise.std()
    np.testing.assert_allclose(is_found.mean(), 0.8, atol=0.03)


def test_folds_know_the_error_of_their_networks(load):
    error_of = load("equal_verdicts").error_of
    comparison = types.SimpleNamespace(error=0.01)
    assert error_of(comparison, [0.02]) == 0.01
    by_fold = [0.00, 0.06, 0.03]
    expected = np.std(by_fold, ddof=1) / math.sqrt(3)
    np.testing.assert_allclose(error_of(comparison, by_fold), expected)
    assert error_of(comparison, [0.03, 0.03, 0.03]) == 0.01


def test_networks_and_folds_are_joined(load, tmp_path):
    report = load("equal_report")
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(3), size=(2, 4))
    workdirs = [tmp_path / "a", tmp_path / "b"]
    for workdir, each in zip(workdirs, rows, strict=True):
        workdir.mkdir()
        evaluation.Predictions(
            np.arange(4) % 3, each, ("a", "b", "c"), image_digest="x"
        ).save(workdir / "predictions-test.npz")
    mean = report.join_networks(workdirs)
    np.testing.assert_allclose(mean.probabilities, rows.mean(0), rtol=1e-5)
    both = report.join_folds([report.join_networks([w]) for w in workdirs])
    np.testing.assert_allclose(
        both.probabilities, rows.reshape(8, 3), rtol=1e-5
    )


def test_results_are_written_between_their_comments(
    load, tmp_path, monkeypatch
):
    results = load("results")
    page = tmp_path / "birds.md"
    page.write_text("Before\n<!-- T -->\nold\n<!-- end of T -->\nbehind\n")
    monkeypatch.setattr(results, "PAGES", tmp_path)
    monkeypatch.setattr(results, "ROOT", tmp_path)
    script = tmp_path / "x.py"
    monkeypatch.setattr(
        results.sys, "argv", [str(script), "--data=/home/me/birds", "--n=3"]
    )
    results.write("T", "| new |\n")
    text = page.read_text()
    assert text.startswith(
        "Before\n<!-- T -->\n`python x.py --data=birds --n=3"
    )
    assert text.endswith(":\n\n| new |\n<!-- end of T -->\nbehind\n")
    with pytest.raises(SystemExit, match="<!-- U -->"):
        results.write("U", "")
