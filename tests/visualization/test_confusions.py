import sys

import numpy as np
import pytest

from keras_fgvc.visualization import most_confused, save_confusions
from keras_fgvc.visualization.confusion_picture import example_title
from keras_fgvc.visualization.confusions import (
    classes_of,
    confusion_matrix,
    pair_examples,
)
from tests.visualization import pixels

NAMES = ("ant", "bee", "crow", "duck", "eel")
#        0  1  2  3  4  5  6  7  8  9  10 11 12 13
TRUTH = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4]
SAID_ = [0, 1, 1, 2, 0, 0, 0, 2, 3, 2, 3, 4, 4, 4]
# ant/bee: 2 + 3. crow/duck: 1 + 1. ant/crow: 1. duck/eel: 1.


def test_pairs_counted_by_hand():
    pairs = most_confused(TRUTH, SAID_, NAMES)
    assert [(pair.names, pair.counts) for pair in pairs] == [
        (("bee", "ant"), (3, 2)),  # the bee is mistaken more often
        (("crow", "duck"), (1, 1)),
        # One mistake each: first the pair of fewer images, 3 + 2 of 4 + 2.
        (("duck", "eel"), (1, 0)),
        (("ant", "crow"), (1, 0)),
    ]
    assert [pair.count for pair in pairs] == [5, 2, 1, 1]
    assert pairs[0].labels == (1, 0)
    assert str(pairs[0]) == (
        "bee and ant: 3 of the first taken for the second, 2 the other way"
    )
    assert most_confused(TRUTH, SAID_, NAMES, count=2) == pairs[:2]


def test_equal_pairs_come_in_the_order_of_their_labels():
    pairs = most_confused([0, 1, 2, 3], [1, 2, 3, 0], NAMES)
    labels = [pair.labels for pair in pairs]
    assert labels == [(0, 1), (3, 0), (1, 2), (2, 3)]


def test_against_a_plain_loop():
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 7, (2, 300))
    expected = {}
    for a in range(7):
        for b in range(a + 1, 7):
            expected[a, b] = sum(
                {t, s} == {a, b} for t, s in zip(truth, said, strict=True)
            )
    pairs = most_confused(truth, said, list("abcdefg"), count=99)
    assert {tuple(sorted(p.labels)): p.count for p in pairs} == expected
    counts = [pair.count for pair in pairs]
    assert counts == sorted(counts, reverse=True)


def test_where_nothing_is_confused():
    assert most_confused([0, 1], [0, 1], NAMES) == []
    assert most_confused([], [], NAMES) == []
    assert most_confused([0, 0], [0, 0], ["ant"]) == []


def test_matrix_counted_by_hand():
    matrix = confusion_matrix(TRUTH, SAID_, [1, 0, 3])
    expected = [
        # bee ant duck others
        [0, 3, 0, 0],
        [2, 1, 0, 1],
        [0, 0, 1, 2],
    ]
    np.testing.assert_array_equal(matrix, expected)


def test_matrix_against_a_plain_loop():
    rng = np.random.default_rng(1)
    truth, said = rng.integers(0, 7, (2, 300))
    classes = [5, 2, 3]
    expected = np.zeros((3, 4), int)
    for t, s in zip(truth, said, strict=True):
        if t in classes:
            column = classes.index(s) if s in classes else 3
            expected[classes.index(t), column] += 1
    np.testing.assert_array_equal(
        confusion_matrix(truth, said, classes), expected
    )


def test_a_missing_scikit_learn_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    message = r"A confusion matrix needs .*sklearn.*\[demo\]"
    with pytest.raises(ImportError, match=message):
        confusion_matrix([0], [1], [0, 1])


def test_classes_that_are_confused_stand_together():
    pairs = most_confused([0, 3, 1], [2, 4, 2], NAMES)
    assert [pair.labels for pair in pairs] == [(0, 2), (1, 2), (3, 4)]
    assert classes_of(pairs) == [0, 2, 1, 3, 4]
    assert classes_of([pairs[0], pairs[2], pairs[1]]) == [0, 2, 1, 3, 4]


def test_examples_of_a_pair():
    truth, said = np.array(TRUTH), np.array(SAID_)
    first, _, third, _ = most_confused(truth, said, NAMES)
    # No bee was right; no eel was taken for a duck.
    assert pair_examples(truth, said, first) == [None, 4, 0, 1]
    assert pair_examples(truth, said, third) == [10, 11, 12, None]
    titles = [example_title(first, number) for number in range(4)]
    assert titles == [
        "bee",
        "bee,\ntaken for ant (3x)",
        "ant",
        "ant,\ntaken for bee (2x)",
    ]
    assert example_title(first, 0, True) == "no bee\nwas recognised"
    assert example_title(third, 3, True) == "no eel\nwas taken for duck"


def shades(indices):
    """Photographs in a colour that only their index has."""
    images = np.zeros((len(indices), 8, 8, 3), "uint8")
    images[:] = (10 * np.asarray(indices) + 40)[:, None, None, None]
    images[..., 0] = 250
    return images


def test_picture_shows_the_right_photographs(tmp_path):
    path, asked = tmp_path / "confusions.png", []

    def photographs(indices):
        asked.extend(indices)
        return shades(indices)

    save_confusions(path, TRUTH, SAID_, photographs, class_names=NAMES, count=1)
    assert asked == [0, 1, 4]  # these alone are read
    picture = pixels.read(path)
    place = {}
    for index in asked:
        shade = 10 * index + 40
        found = np.all(np.abs(picture - [250, shade, shade]) < 3, axis=-1)
        assert found.sum() > 5000
        place[index] = np.argwhere(found).mean(axis=0)
    # A bee taken for an ant, an ant, an ant taken for a bee; one row.
    assert place[4][1] < place[0][1] < place[1][1]
    assert np.ptp([row for row, _ in place.values()]) < 2
    # An array of all photographs is as good.
    other = tmp_path / "array.png"
    everything = shades(np.arange(len(TRUTH)))
    save_confusions(other, TRUTH, SAID_, everything, class_names=NAMES, count=1)
    np.testing.assert_array_equal(pixels.read(other), picture)


def test_picture_without_a_mistake_says_so(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.text",
        lambda self, x, y, text, **options: written.append(text),
    )
    path = tmp_path / "confusions.png"
    save_confusions(path, [0], [0], None, class_names=["one $ class"])
    assert written == ["Nothing was confused."]
    assert path.stat().st_size > 100


def test_any_name_may_be_written(tmp_path):
    path = tmp_path / "confusions.png"
    for names in (("$\\frac$", "<b>"), ("<b>", "$\\frac$")):
        save_confusions(path, [0, 1], [1, 1], shades, class_names=names)


def test_wrong_arguments(tmp_path):
    path = tmp_path / "confusions.png"
    with pytest.raises(ValueError, match=r"integers \(n,\).*\(2,\).*\(3,\)"):
        most_confused([0, 1], [0, 1, 1], NAMES)
    with pytest.raises(ValueError, match=r"integers \(n,\).*float64"):
        most_confused([0.0, 1.0], [0, 1], NAMES)
    with pytest.raises(ValueError, match="from 0 to 4"):
        most_confused([0, 1], [0, 5], NAMES)
    with pytest.raises(ValueError, match="`count` must be at least 1"):
        most_confused([0, 1], [0, 1], NAMES, count=0)
    with pytest.raises(ValueError, match=r"as long as `labels` \(2\).*: 3"):
        save_confusions(
            path, [0, 1], [1, 1], shades(range(3)), class_names="ab"
        )
    with pytest.raises(ValueError, match=r"1 images for 2 indices"):
        save_confusions(
            path, [0, 1], [1, 1], lambda i: shades(i[:1]), class_names="ab"
        )
