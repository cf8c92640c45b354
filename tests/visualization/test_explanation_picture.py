import numpy as np
import pytest

from keras_fgvc.visualization import (
    PREDICTED_COLOUR,
    TRUE_COLOUR,
    Explanation,
    TopClass,
    save_explanations,
)
from keras_fgvc.visualization.explanation_picture import title_of, true_name
from tests.visualization import pixels

GREY = np.full((1, 30, 30, 3), 128, "uint8")
BOX = np.float32([[0.2, 0.2, 0.7, 0.8]])


def explanation(maps=(), boxes=None, gates=None, members=None):
    top = (TopClass(1, "wren", 0.7), TopClass(0, "crow", 0.2))
    return Explanation(top, dict(maps), boxes or {}, gates or {}, members or {})


def hot(row, column):
    heatmap = np.zeros((4, 4), "float32")
    heatmap[row, column] = 1.0
    return heatmap


def test_each_map_is_bright_where_it_is_high(tmp_path):
    path = tmp_path / "seen.png"
    maps = {
        "upper left": hot(0, 0),
        "lower right": hot(3, 3),
        "flat": np.ones((4, 4)),
    }
    photographs = GREY.copy()
    photographs[:, :15] -= 40
    save_explanations(path, photographs, [explanation(maps)])
    photograph, first, second, flat = list(pixels.panels(path))[:4]
    for panel in (photograph, flat):  # upright, as it came
        assert panel[:40].max() < panel[-40:].min() - 10
    for panel, bright, dark in (
        (first, np.s_[:9, :9], np.s_[-9:, -9:]),
        (second, np.s_[-9:, -9:], np.s_[:9, :9]),
    ):
        assert panel[bright].mean() > panel[dark].mean() + 40


def test_nothing_lies_where_a_map_does_not_reach(tmp_path):
    heatmap = np.full((4, 4), np.nan, "float32")
    heatmap[2:, 2:] = hot(0, 0)[:2, :2]
    nowhere = np.full((4, 4), np.nan, "float32")
    path = tmp_path / "seen.png"
    save_explanations(path, GREY, [explanation({"a": heatmap, "b": nowhere})])
    _, part, none = list(pixels.panels(path))[:3]
    for panel in (part[:50, :50], none):
        np.testing.assert_allclose(panel, 128, atol=4)
    assert np.ptp(part[-60:, -60:]) > 40


def test_boxes_and_the_true_class_have_their_colours(tmp_path):
    path = tmp_path / "seen.png"
    plain = explanation()
    boxed = explanation(boxes={"parts": np.concatenate([BOX, BOX / 2])})
    counts = []
    for found, truth in (
        (plain, {}),
        (boxed, {"true_boxes": 1 - BOX[:, ::-1]}),
    ):
        save_explanations(path, GREY, [found], **truth)
        picture = pixels.read(path)
        counts.append(
            [
                pixels.count_of(picture, colour)
                for colour in (PREDICTED_COLOUR, TRUE_COLOUR)
            ]
        )
    assert counts[0] == [0, 0]
    assert min(counts[1]) > 50
    save_explanations(path, GREY, [plain])
    without = pixels.read(path)
    for box in (np.full((1, 4), np.nan), np.zeros((1, 4))):  # no true box
        save_explanations(path, GREY, [plain], true_boxes=box)
        np.testing.assert_array_equal(pixels.read(path), without)
    # The bar of the true class is green, faintly.
    save_explanations(path, GREY, [plain], labels=[1])
    with_truth = pixels.read(path)
    save_explanations(path, GREY, [plain], labels=[5])
    greens = [
        int(np.sum(p[..., 1] > p[..., 0] + 30))
        for p in (with_truth, pixels.read(path))
    ]
    assert greens[0] > 500
    assert greens[1] == 0


def test_members_and_gates_get_bars_of_their_own(tmp_path):
    said = TopClass(1, "wren", 0.9)
    members = {"network": said, "module 1, head 1": said}
    path = tmp_path / "seen.png"
    blue = []
    for gates in (None, {"network": 0.1, "module 1, head 1": 0.1}):
        found = explanation(members=members, gates=gates)
        save_explanations(path, GREY, [found])
        picture = pixels.read(path)
        half = picture.shape[1] * 3 // 5
        is_bar = picture[..., 2] > picture[..., 0] + 30
        blue.append(int(is_bar[:, half:].sum()))
    # How sure each is, 0.9, or what it weighs, 0.1.
    assert blue[0] > 4 * blue[1] > 0


def test_images_with_different_maps(tmp_path):
    """Methods of many maps wrap; an image without any has its row."""
    many = explanation({f"map {n}": hot(0, n % 4) for n in range(14)})
    path = tmp_path / "seen.png"
    save_explanations(path, np.repeat(GREY, 2, 0), [many, explanation()])
    picture = pixels.read(path)
    tall = picture.shape
    for line in range(4):  # three of maps, and the other image
        middle = picture[int((line + 0.5) * tall[0] / 4)]
        assert (middle < 250).sum() > 100
    save_explanations(path, GREY, [explanation({"map": hot(0, 0)})])
    low = pixels.read(path).shape
    assert tall[0] == pytest.approx(4 * low[0], rel=0.05)  # 3 lines and 1
    members = dict.fromkeys(range(11), TopClass(1, "wren", 0.9))
    save_explanations(path, GREY, [explanation(members=members)])
    assert pixels.read(path).shape[0] == pytest.approx(2 * low[0], rel=0.05)


def test_any_name_may_be_written(tmp_path):
    path, odd = tmp_path / "seen.png", "$\\frac$ & <b>"  # no mathematics
    found = Explanation((TopClass(0, odd, 1.0),), {}, {}, {}, {})
    save_explanations(path, GREY, [found])
    top = (TopClass(0, "plain", 1.0),)
    found = Explanation(top, {odd: hot(0, 0)}, {}, {odd: 1.0}, {})
    save_explanations(path, GREY, [found], labels=[0], class_names=[odd])


def test_titles():
    found = explanation()
    assert title_of(found, None) == "wren"
    assert title_of(found, 0) == "is crow, said wren"
    assert title_of(found, 2) == "is class 2, said wren"
    assert title_of(found, 2, ["a", "b", "owl"]) == "is owl, said wren"
    assert true_name(found, 2, ["a", "b", "owl"]) == "owl"


def test_wrong_arguments(tmp_path):
    path = tmp_path / "seen.png"
    with pytest.raises(ValueError, match="`explanations` must be as long"):
        save_explanations(path, GREY, [])
    with pytest.raises(ValueError, match=r"`labels` must be as long.*\(1\)"):
        save_explanations(path, GREY, [explanation()], labels=[1, 2])
    with pytest.raises(ValueError, match=r"give at most 31[0-9] images"):
        save_explanations(path, [GREY[0]] * 400, [explanation()] * 400)
    with pytest.raises(ValueError, match="at least one image"):
        save_explanations(path, GREY[:0], [])
