"""Transparent pixels of a GIF lie on white."""

import numpy as np
import pytest
from PIL import Image

from keras_fgvc.decoding.images import decode
from tests.data.image_files import encode

COLOURS = ((200, 10, 20), (30, 220, 40), (50, 60, 230))
CODES = np.arange(35, dtype=np.uint8).reshape(5, 7) % 3


def indexed():
    image = Image.fromarray(CODES, "L").convert("P")
    image.putdata(CODES.ravel())
    image.putpalette([value for colour in COLOURS for value in colour])
    return image


@pytest.mark.parametrize("transparent", [None, 0, 2])
def test_transparent_colour_becomes_white(transparent):
    options = {} if transparent is None else {"transparency": transparent}
    expected = np.array(COLOURS)[CODES]
    if transparent is not None:
        expected[transparent == CODES] = 255
    encoded = encode(indexed(), "GIF", optimize=False, **options)
    np.testing.assert_array_equal(decode(encoded), expected)
