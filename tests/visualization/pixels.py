"""What is in a picture that was written."""

import numpy as np
from PIL import Image


def read(path):
    """RGB pixels of a file."""
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def count_of(pixels, colour):
    """Pixels of a colour such as "#2ca02c"."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int(np.sum(np.all(np.abs(pixels - wanted) < 12, axis=-1)))


def panels(path, kind=lambda pixels: pixels.max(axis=-1) < 250):
    """Brightness of each block of columns that are not ground, left to right.

    Blocks narrower than 40 pixels are texts.
    """
    pixels = read(path)
    ink = kind(pixels).sum(axis=0) > 60
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ink, [0]])))
    for start, stop in edges.reshape(-1, 2):
        if stop - start < 40:
            continue
        block = pixels[:, start:stop]
        rows = np.flatnonzero(kind(block).mean(axis=1) > 0.9)
        yield block[rows.min() : rows.max() + 1].mean(axis=-1)
