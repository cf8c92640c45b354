"""Small image files of every kind, made by Pillow, for the tests."""

import io

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 44, 60


def smooth_pixels(height=HEIGHT, width=WIDTH, seed=0):
    """A smooth random uint8 image, on which JPEG loses little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.BICUBIC)
    return np.array(image)


def encode(pixels_or_image, kind, **options) -> bytes:
    if isinstance(pixels_or_image, np.ndarray):
        pixels_or_image = Image.fromarray(pixels_or_image)
    buffer = io.BytesIO()
    pixels_or_image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(seed=0, height=HEIGHT, width=WIDTH) -> bytes:
    return encode(smooth_pixels(height, width, seed), "JPEG", quality=95)


def write(path, content) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def write_csv(folder, lines, header="path,label,split") -> str:
    """A split.csv with these lines; the images are there already."""
    path = folder / "split.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


def write_class_folders(root, counts) -> None:
    """`counts` is a dictionary from folder to the number of its images."""
    for folder, count in counts.items():
        for number in range(count):
            name = root / folder / f"{number:02d}.jpg"
            write(name, jpeg(seed=number, height=11, width=13))
