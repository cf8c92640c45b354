"""Mutated image files, read by everything that reads image files.

    python -m tests.decoding.fuzz --count=1000 --seed=0

Each file goes through three readers: a data set (its full check, then a
batch), the files of `keras-fgvc predict`, and an exported model's
`serving_bytes`. All of them must read it, to the same pixels, or refuse it in
words. Prints how many files were read and refused, and each disagreement;
exits with 1 if there is one. A crash or a file that takes longer than
`--limit` seconds ends it with the path of that file.
"""

import argparse
import collections
import faulthandler
import io
import pathlib
import sys
import tempfile

import numpy as np
from PIL import Image

LOAD_SIZE = 32
BATCH = 25
TOLERANCE = 1e-5  # of probabilities


def seeds() -> dict[str, bytes]:
    """Whole files of each format and kind of pixels."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 8, 4), "uint8")
    rgba = Image.fromarray(pixels).resize((40, 30), Image.Resampling.BICUBIC)
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    palette = rgb.quantize(16)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = {
        "jpeg": (rgb, "JPEG", {}),
        "jpeg, progressive": (rgb, "JPEG", {"progressive": True}),
        "jpeg, grey": (grey, "JPEG", {}),
        "jpeg, CMYK": (rgb.convert("CMYK"), "JPEG", {}),
        "jpeg, turned": (rgb, "JPEG", {"exif": exif.tobytes()}),
        "jpeg, large": (rgb.resize((300, 200)), "JPEG", {}),
        "png": (rgb, "PNG", {}),
        "png, alpha": (rgba, "PNG", {}),
        "png, palette": (palette, "PNG", {}),
        "png, transparent": (palette, "PNG", {"transparency": 3}),
        "png, 1 bit": (grey.convert("1"), "PNG", {}),
        "png, 16 bit": (grey.convert("I;16"), "PNG", {}),
        "png, turned": (rgb, "PNG", {"exif": exif.tobytes()}),
        "gif": (palette, "GIF", {}),
        "gif, transparent": (palette, "GIF", {"transparency": 2}),
        "gif, animated": (
            palette,
            "GIF",
            {"save_all": True, "append_images": [rgb.quantize(8)]},
        ),
        "bmp": (rgb, "BMP", {}),
        "bmp, palette": (palette, "BMP", {}),
        "webp": (rgb, "WEBP", {}),
        "webp, lossless": (rgb, "WEBP", {"lossless": True}),
        "webp, alpha": (rgba, "WEBP", {"lossless": True}),
        "webp, turned": (rgb, "WEBP", {"exif": exif.tobytes()}),
    }
    found = {}
    for name, (image, kind, options) in kinds.items():
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        found[name] = buffer.getvalue()
    return found


def mutate(content: bytes, rng) -> bytes:
    """Changes one file in one or two of six ways."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 3)):
        size = max(len(content), 1)
        # A third of all places lie in the header.
        place = int(
            rng.integers(0, size if rng.random() < 0.7 else min(64, size))
        )
        way = rng.integers(6)
        if way == 0:  # bits
            content[place : place + 1] = bytes([rng.integers(256)])
        elif way == 1:  # the end
            del content[place:]
        elif way == 2:  # a piece
            del content[place : place + int(rng.integers(1, 20))]
        elif way == 3:  # more of the same
            content[place:place] = content[place : place + 12]
        elif way == 4:  # a number
            number = int(rng.choice([0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1]))
            order = "big" if rng.random() < 0.5 else "little"
            content[place : place + 4] = number.to_bytes(4, order)
        else:  # anything
            content[place : place + 8] = rng.bytes(8)
    return bytes(content)


class Readers:
    """The three readers, each from a path to pixels or a sentence."""

    def __init__(self, folder):
        import tensorflow as tf

        from keras_fgvc import export
        from keras_fgvc.decoding.headers import MAX_PIXELS
        from keras_fgvc.models import Baseline
        from tests import tiny

        self.model = Baseline(tiny.backbone(), tiny.NUM_CLASSES, tap=8)
        path = export.export_saved_model(
            self.model,
            pathlib.Path(folder) / "served" / "1",
            class_names=("red", "green", "blue"),
            load_size=LOAD_SIZE,
            max_pixels=MAX_PIXELS,
        )
        self.loaded = tf.saved_model.load(str(path))  # keeps its resources
        self.serve = self.loaded.signatures["serving_bytes"]

    def data(self, paths):
        """(pixels or None, reason) of each path."""
        from keras_fgvc.data.sources.files import FileSource, check_images
        from keras_fgvc.data.sources.report import ProblemLog

        log = ProblemLog("skip")
        found = check_images(list(paths), "full", log)
        good = [p for p, f in zip(paths, found, strict=True) if f.size]
        pixels = iter(self.batch(FileSource(tuple(good))) if good else ())
        return [
            (next(pixels), "") if each.size else (None, "refused")
            for each in found
        ]

    def batch(self, source):
        import tensorflow as tf

        read, size = source.reader(), (LOAD_SIZE, LOAD_SIZE)
        places = tf.data.Dataset.range(len(source))
        images = places.map(lambda place: read(place, size))
        return [image.numpy() for image in images]

    def predict(self, paths):
        from keras_fgvc.training.image_files import read_batches, read_pixels

        batches = read_batches(
            paths, lambda path: read_pixels(path, LOAD_SIZE), BATCH
        )
        return [
            (image.content, image.error) for batch in batches for image in batch
        ]

    def served(self, paths):
        """(probabilities or None, reason) of each path."""
        import tensorflow as tf

        files = [pathlib.Path(path).read_bytes() for path in paths]
        answer = self.serve(image_bytes=tf.constant(files))
        errors = [text.decode() for text in answer["error"].numpy()]
        rows = answer["probabilities"].numpy()
        return [
            (None if error else row, error)
            for row, error in zip(rows, errors, strict=True)
        ]

    def compare(self, paths):
        """Yields (path, whether it was read, what is in disagreement)."""
        three = self.data(paths), self.predict(paths), self.served(paths)
        for path, *found in zip(paths, *three, strict=True):
            (pixels, _), (predicted, reason), (answer, error) = found
            read = [value is not None for value, _ in found]
            problem = None
            if len(set(read)) > 1:
                problem = (
                    f"read by data, predict, server: {read} {reason} {error}"
                )
            elif not all(read):
                problem = None if reason and error else "refused without a word"
            elif not np.array_equal(pixels, predicted):
                problem = "pixels of data and predict differ"
            elif self.distance(pixels, answer) > TOLERANCE:
                problem = "the server saw other pixels"
            yield path, all(read), problem

    def distance(self, pixels, answer):
        outputs = self.model(pixels[None].astype("float32"))
        return float(np.abs(outputs["probabilities"][0] - answer).max())


def run(
    count: int, seed: int, limit: float
) -> tuple[collections.Counter, list]:
    """Counts of files read and refused, and the disagreements."""
    rng = np.random.default_rng(seed)
    files, counts, problems = seeds(), collections.Counter(), []
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fuzz_"))
    readers = Readers(folder)
    for start in range(0, count, BATCH):
        paths = []
        for number in range(start, min(start + BATCH, count)):
            name = list(files)[number % len(files)]
            path = folder / f"{number}-{name.replace(', ', '-')}.jpg"
            path.write_bytes(mutate(files[name], rng))
            paths.append(str(path))
        faulthandler.dump_traceback_later(limit * len(paths), exit=True)
        for path, is_read, problem in readers.compare(paths):
            counts["read" if is_read else "refused"] += 1
            if problem:
                problems.append(f"{path}: {problem}")
        faulthandler.cancel_dump_traceback_later()
    return counts, problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=10.0)
    options = parser.parse_args()
    counts, problems = run(options.count, options.seed, options.limit)
    print(dict(counts), f"disagreements: {len(problems)}")
    print("\n".join(problems))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
