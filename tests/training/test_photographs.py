import numpy as np
from PIL import Image

from keras_fgvc.data import Examples
from keras_fgvc.training.photographs import (
    LONGEST,
    names_of,
    photographs_of,
    read_photograph,
)


def write(path, height, width):
    path.parent.mkdir(exist_ok=True)
    row = np.linspace(0, 255, width).astype("uint8")
    pixels = np.tile(row[None, :, None], (height, 1, 3))
    Image.fromarray(pixels).save(path)
    return str(path)


def test_photographs_keep_their_aspect_ratio(tmp_path):
    paths = (
        write(tmp_path / "a" / "wide.png", 300, 1000),
        write(tmp_path / "b" / "small.png", 40, 30),
    )
    examples = Examples(np.array([0, 1]), paths=paths)
    wide, small = photographs_of(examples, np.array([0, 1]))
    assert wide.shape == (144, LONGEST, 3)
    assert small.shape == (40, 30, 3)  # never enlarged
    assert read_photograph(paths[0]).shape == wide.shape
    assert wide[0, -1, 0] > wide[0, 0, 0]
    assert names_of(examples) == ["a/wide.png", "b/small.png"]


def test_images_in_memory_have_numbers():
    images = np.zeros((2, 10, 20, 3), "uint8")
    images[1] = 7
    examples = Examples(np.array([0, 1]), images=images)
    assert names_of(examples) == ["image 0", "image 1"]
    (shown,) = photographs_of(examples, [1])
    np.testing.assert_array_equal(shown, images[1])


def test_cropped_and_padded_images_are_shown_as_they_are_seen(tmp_path):
    """Boxes and maps are those of this part, not of the whole photograph."""
    path = write(tmp_path / "wide.png", 300, 600)
    cropped = read_photograph(path, "crop")
    assert cropped.shape == (LONGEST, LONGEST, 3)
    # The middle half of a ramp from 0 to 255.
    np.testing.assert_allclose(cropped[0, [0, -1], 0], [64, 191], atol=2)
    examples = Examples(np.array([0]), paths=(path,))
    (padded,) = photographs_of(examples, [0], "pad")
    assert padded.shape == cropped.shape
    np.testing.assert_array_equal(padded[[0, -1]], 127)
    np.testing.assert_allclose(padded[LONGEST // 2, [0, -1], 0], [0, 255], 2)
