"""FGVC-Aircraft: three levels, boxes by hand, and the banner cut off."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_fgvc.data import builders
from tests.data.builders.archives import (
    assert_box,
    examples,
    lines,
    names_by_file,
    photograph,
)

ARCHIVE = "fgvc-aircraft-2013b.tar.gz"
URL = f"https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/{ARCHIVE}"
BANNER = 20
HEIGHT, WIDTH = 67, 53  # With the banner.
LEFT = HEIGHT - BANNER  # 47
NUM_NAMES = {"variant": 100, "family": 70, "manufacturer": 30}
FILES = {
    "variant": "variants.txt",
    "family": "families.txt",
    "manufacturer": "manufacturers.txt",
}
# Image -> split, numbers of variant, family and manufacturer, box.
IMAGES = {
    "0034309": ("train", (99, 69, 29), "5 7 29 36"),
    "1025794": ("train", (0, 0, 0), "0 0 52 46"),
    "0000001": ("train", (1, 0, 0), "3 40 11 60"),
    "0481847": ("val", (2, 1, 0), "3 5 7 11"),
    "0062765": ("test", (99, 69, 29), "2 1 3 1"),
}


def files(**others) -> dict:
    contents = {
        FILES[level]: lines(*(f"{level} 7-{n}/A" for n in range(count)))
        for level, count in NUM_NAMES.items()
    }
    for at, level in enumerate(NUM_NAMES):
        for split in ("train", "val", "test"):
            contents[f"images_{level}_{split}.txt"] = lines(
                *(
                    f"{image} {level} 7-{numbers[at]}/A"
                    for image, (part, numbers, _) in IMAGES.items()
                    if part == split
                )
            )
    contents["images_box.txt"] = lines(
        *(f"{image} {box}" for image, (_, _, box) in IMAGES.items())
    )
    for seed, image in enumerate(IMAGES):
        contents[f"images/{image}.jpg"] = photograph(HEIGHT, WIDTH, seed)
    contents |= others
    return {
        f"fgvc-aircraft-2013b/data/{name}": content
        for name, content in contents.items()
    }


def test_variants(downloads):
    downloads.tar(ARCHIVE, files())
    builder = downloads.prepare("fgvc_aircraft")
    assert builder.builder_config.name == "variant"
    assert builder.info.features["label"].num_classes == 100
    assert set(builder.info.splits) == {"train", "val", "test"}
    assert names_by_file(builder, "train") == {
        "0034309.jpg": "variant 7-99/A",
        "1025794.jpg": "variant 7-0/A",
        "0000001.jpg": "variant 7-1/A",
    }
    assert names_by_file(builder, "val") == {"0481847.jpg": "variant 7-2/A"}
    assert names_by_file(builder, "test") == {"0062765.jpg": "variant 7-99/A"}


@pytest.mark.parametrize(
    ("config", "number"), [("family", 69), ("manufacturer", 29)]
)
def test_other_levels(downloads, config, number):
    downloads.put(files())
    builder = downloads.prepare("fgvc_aircraft", config)
    assert builder.builder_config.name == config
    assert builder.info.features["label"].num_classes == NUM_NAMES[config]
    names = names_by_file(builder, "test")
    assert names == {"0062765.jpg": f"{config} 7-{number}/A"}


def test_boxes_by_hand(downloads):
    downloads.put(files())
    builder = downloads.prepare("fgvc_aircraft")
    train = examples(builder, "train")
    # Pixels 5 to 29 of 53 and 7 to 36 of the 47 that are left, both included.
    expected = [7 / 47, 5 / 53, 37 / 47, 30 / 53]
    assert_box(train["0034309.jpg"], expected)
    assert_box(train["1025794.jpg"], [0, 0, 1, 1])
    # It reaches into the banner, which begins at row 47.
    assert_box(train["0000001.jpg"], [40 / 47, 3 / 53, 1, 12 / 53])
    test = examples(builder, "test")
    # A single row of two pixels is no empty box.
    assert_box(test["0062765.jpg"], [1 / 47, 2 / 53, 2 / 47, 4 / 53])


def test_the_banner_is_cut_off(downloads):
    contents = files()
    downloads.put(contents)
    builder = downloads.prepare("fgvc_aircraft")
    for name, example in examples(builder, "train").items():
        path = f"fgvc-aircraft-2013b/data/images/{name}"
        with_banner = np.array(Image.open(io.BytesIO(contents[path])))
        image = Image.open(io.BytesIO(example["image"]))
        assert image.format == "JPEG"
        assert image.size == (WIDTH, LEFT)
        difference = np.array(image) - with_banner[:LEFT].astype(float)
        assert np.sqrt(np.square(difference).mean()) < 2


def test_without_a_file_it_is_downloaded(downloads, monkeypatch, tmp_path):
    import tensorflow_datasets as tfds

    downloads.put(files())
    downloads.manual.rename(tmp_path / "unpacked")
    urls = []

    def download(self, url):
        from etils import epath

        urls.append(url)
        return epath.Path(tmp_path / "unpacked")

    manager = tfds.download.DownloadManager
    monkeypatch.setattr(manager, "download_and_extract", download)
    builder = downloads.prepare("fgvc_aircraft")
    assert urls == [URL]
    assert builder.info.splits["train"].num_examples == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"variants.txt": lines("one", "two")},
            r"variants\.txt must give 100 classes\. Received: 2\.",
        ),
        (
            {"images_variant_val.txt": lines("0481847 Spitfire")},
            r"variants\.txt lacks 1 entries, such as Spitfire\.",
        ),
        (
            {"images_variant_val.txt": lines("7777777 variant 7-0/A")},
            r"images_box\.txt lacks 1 entries, such as 7777777\.",
        ),
        (
            {"images/0481847.jpg": photograph(BANNER, WIDTH)},
            r"0481847\.jpg must be higher than its banner of 20.*of 20\.",
        ),
    ],
)
def test_what_is_wrong_is_named(downloads, change, message):
    downloads.put(files(**change))
    with pytest.raises(ValueError, match=message):
        downloads.prepare("fgvc_aircraft")


def test_each_config_has_its_number_of_classes(tmp_path):
    for config, count in NUM_NAMES.items():
        builder = builders.make(
            "fgvc_aircraft", data_dir=tmp_path, config=config
        )
        assert builder.info.features["label"].num_classes == count
