import numpy as np
import pytest
from PIL import Image

from keras_fgvc import visualization

IMAGES = np.full((5, 20, 30, 3), 128, "uint8")
BOXES = np.tile(np.float32([0.1, 0.1, 0.9, 0.6]), (5, 1))


def test_grid_shows_both_boxes(tmp_path):
    path = tmp_path / "grid.png"
    visualization.save_grid(
        path,
        IMAGES,
        titles=list("abcde"),
        true_boxes=BOXES,
        boxes=1 - BOXES[:, ::-1],
        columns=3,
    )
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    for colour in (
        visualization.TRUE_COLOUR,
        visualization.PREDICTED_COLOUR,
    ):
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.sum(np.all(np.abs(pixels - wanted) < 8, axis=1)) > 100


def test_a_title_is_no_mathematics(tmp_path):
    path = tmp_path / "grid.png"
    visualization.save_grid(path, IMAGES[:1], titles=["$\\frac$"])
    assert path.exists()


def test_without_boxes_there_are_none(tmp_path):
    path = tmp_path / "grid.png"
    visualization.save_grid(path, IMAGES)
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert np.all(np.ptp(pixels, axis=-1) < 8)  # grey and white only


def test_heat_map_is_bright_where_it_is_high(tmp_path):
    path = tmp_path / "grid.png"
    heatmap = np.zeros((1, 2, 3), "float32")
    heatmap[0, 1, 2] = 1.0  # the lower right corner
    visualization.save_grid(path, IMAGES[:1], heatmaps=heatmap)
    pixels = np.asarray(Image.open(path).convert("L")).astype(int)
    ink = np.argwhere(pixels < 250)  # the picture on its white ground
    (top, left), (bottom, right) = ink.min(0), ink.max(0)
    inner = pixels[top : bottom + 1, left : right + 1]
    height, width = inner.shape
    corner = inner[-height // 4 :, -width // 6 :].mean()
    assert corner > inner[: height // 2, : width // 2].mean() + 40


def test_images_may_be_left_without_and_have_several_boxes(tmp_path):
    colour = visualization.PREDICTED_COLOUR
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    ink = []
    for boxes in (BOXES[:1], np.stack([BOXES[0], 1 - BOXES[0, ::-1]])):
        path = tmp_path / f"{len(boxes)}.png"
        visualization.save_grid(
            path,
            IMAGES[:2],
            boxes=[None, boxes],
            heatmaps=[np.eye(3), None],
        )
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
        is_box = np.all(np.abs(pixels - wanted) < 8, axis=-1)
        middle = pixels.shape[1] // 2
        assert not is_box[:, :middle].any()
        ink.append(is_box.sum())
        # The heat map colours the left image, the right one stays grey.
        assert np.ptp(pixels[:, :middle], axis=-1).max() > 50
        others = pixels[:, middle:][~is_box[:, middle:]]
        assert np.median(np.ptp(others, axis=-1)) == 0
    assert ink[1] > 1.5 * ink[0]


def test_wrong_arguments(tmp_path):
    path = tmp_path / "grid.png"
    with pytest.raises(ValueError, match="at least one image"):
        visualization.save_grid(path, IMAGES[:0])
    with pytest.raises(ValueError, match=r"`boxes` must be as long.*\(5\)"):
        visualization.save_grid(path, IMAGES, boxes=BOXES[:2])
    with pytest.raises(ValueError, match="`heatmaps` must be as long"):
        visualization.save_grid(path, IMAGES, heatmaps=np.ones((2, 3, 3)))
