"""NABirds, and with it what all builders have in common."""

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
from tests.data.image_files import encode

CLASSES = ("0 Birds", "9 Common Eider ", "31 Tern (Adult)", "100 Tern (Adult)")
# Image -> class, 1 for train, box x y w h; each is 53 wide and 41 high.
IMAGES = {
    "aa": ("31", "1", "5 3 20 30"),
    "bb": ("9", "1", "0 0 53 41"),
    "cc": ("100", "0", "50 40 9 9"),
    "dd": ("9", "0", "60 3 7 7"),
    "ee": ("9", "1", "1 1 2 2"),
}


def files(**others) -> dict:
    labels = {image: row[0] for image, row in IMAGES.items()}
    parts = {image: row[1] for image, row in IMAGES.items()}
    boxes = {image: row[2] for image, row in IMAGES.items()}
    tables = {
        "images.txt": {
            image: f"0{labels[image]}/{image}.jpg" for image in IMAGES
        },
        "image_class_labels.txt": labels,
        "train_test_split.txt": parts,
        "bounding_boxes.txt": boxes,
    }
    contents = {
        name: lines(*(f"{key} {value}" for key, value in table.items()))
        for name, table in tables.items()
    }
    contents["classes.txt"] = lines(*CLASSES)
    for seed, path in enumerate(tables["images.txt"].values()):
        contents[f"images/{path}"] = photograph(41, 53, seed)
    contents |= others
    return {f"nabirds/{name}": value for name, value in contents.items()}


@pytest.fixture
def _few_classes(monkeypatch):
    monkeypatch.setattr(builders.find("nabirds"), "NUM_CLASSES", 3)


pytestmark = pytest.mark.usefixtures("_few_classes")


def test_splits_and_names(downloads):
    downloads.tar("nabirds.tar.gz", files())
    builder = downloads.prepare("nabirds")
    names = ["Common Eider", "Tern (Adult) (31)", "Tern (Adult) (100)"]
    assert builder.name == "nabirds"
    assert str(builder.version) == "1.0.0"
    assert builder.info.features["label"].names == names
    assert builder.info.supervised_keys == ("image", "label")
    assert "Van Horn" in builder.info.citation
    again = builders.make("nabirds", data_dir=downloads.data_dir)
    assert again.info.features["label"].names == names
    assert names_by_file(builder, "train") == {
        "031/aa.jpg": names[1],
        "09/bb.jpg": names[0],
        "09/ee.jpg": names[0],
    }
    assert names_by_file(builder, "test") == {
        "0100/cc.jpg": names[2],
        "09/dd.jpg": names[0],
    }


def test_boxes_by_hand(downloads, caplog):
    downloads.put(files())  # Unpacked already.
    builder = downloads.prepare("nabirds")
    train, test = (examples(builder, split) for split in ("train", "test"))
    # y 3 to 33 of 41, x 5 to 25 of 53.
    assert_box(train["031/aa.jpg"], [3 / 41, 5 / 53, 33 / 41, 25 / 53])
    assert_box(train["09/bb.jpg"], [0, 0, 1, 1])
    # Reaches beyond the lower right corner.
    assert_box(test["0100/cc.jpg"], [40 / 41, 50 / 53, 1, 1])
    # Lies outside.
    assert_box(test["09/dd.jpg"], [0, 0, 1, 1])
    bad = [text for text in caplog.messages if "whole image" in text]
    assert len(bad) == 1
    assert "09/dd.jpg: the box lies outside the image of 53 x 41" in bad[0]


def test_images_are_the_files(downloads):
    contents = files()
    downloads.put(contents)
    builder = downloads.prepare("nabirds")
    for name, example in examples(builder, "train").items():
        assert example["image"] == contents[f"nabirds/images/{name}"]
    for image, _ in builder.as_dataset(split="train", as_supervised=True):
        assert image.shape == (41, 53, 3)


def test_a_gif_becomes_a_png(downloads):
    """TFDS would fail on it in the middle of a training."""
    frames = [Image.new("RGB", (53, 41), c) for c in ("red", "blue")]
    gif = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    downloads.put(files(**{"images/09/bb.jpg": gif}))
    builder = downloads.prepare("nabirds")
    example = examples(builder, "train")["09/bb.jpg"]
    image = Image.open(io.BytesIO(example["image"]))
    assert image.format == "PNG"
    assert image.size == (53, 41)
    assert image.getpixel((7, 5)) == (255, 0, 0)
    assert_box(example, [0, 0, 1, 1])


def test_an_image_that_exif_turns_keeps_its_stored_size(downloads):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((41, 53, 3), np.uint8)
    turned = encode(pixels, "JPEG", exif=exif)
    downloads.put(files(**{"images/031/aa.jpg": turned}))
    example = examples(downloads.prepare("nabirds"), "train")["031/aa.jpg"]
    assert_box(example, [3 / 41, 5 / 53, 33 / 41, 25 / 53])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"images/09/bb.jpg": photograph(41, 53)[:600]},
            r"images/09/bb\.jpg is empty, cut short or corrupt",
        ),
        (
            {"images/09/bb.jpg": b"no image"},
            r"images/09/bb\.jpg is empty, cut short or corrupt",
        ),
        (
            {"images.txt": lines(*(f"{i} {i}.jpg" for i in IMAGES))},
            r"images/aa\.jpg is listed but cannot be read: No such file",
        ),
        (
            {"bounding_boxes.txt": lines("aa 1 2 3 4", "bb 1 2 3")},
            r"bounding_boxes\.txt, line 2: expected 5 columns.*'bb 1 2 3'",
        ),
        (
            {"bounding_boxes.txt": lines("aa 1 2 3 four")},
            r"bounding_boxes\.txt: expected numbers\. Received: '1 2 3 four'",
        ),
        (
            {"bounding_boxes.txt": lines("aa 1 2 3 4")},
            r"bounding_boxes\.txt lacks 4 entries, such as bb, cc, dd, ee\.",
        ),
        (
            {"images.txt": lines("aa a.jpg", "bb b.jpg", "aa c.jpg")},
            r"images\.txt names something twice",
        ),
        (
            {"train_test_split.txt": lines(*(f"{i} 2" for i in IMAGES))},
            r"train_test_split\.txt must hold 1 \(train\) or 0.*Received: 2\.",
        ),
        (
            {"image_class_labels.txt": lines(*(f"{i} 9" for i in IMAGES))},
            r"image_class_labels\.txt must give 3 classes\. Received: 1\.",
        ),
    ],
)
def test_what_is_wrong_is_named(downloads, change, message):
    downloads.put(files(**change))
    with pytest.raises(ValueError, match=message):
        downloads.prepare("nabirds")


def test_a_missing_table_is_named(downloads):
    contents = files()
    del contents["nabirds/classes.txt"]
    downloads.put(contents)
    message = r"nabirds/classes\.txt of the data set cannot be read: No such"
    with pytest.raises(ValueError, match=message):
        downloads.prepare("nabirds")


def test_many_bad_boxes_are_an_error(downloads, monkeypatch):
    name = "keras_fgvc.data.builders._listed_images.MAX_BAD_BOXES"
    monkeypatch.setattr(name, 2)
    downloads.put(
        files(
            **{"bounding_boxes.txt": lines(*(f"{i} 7 7 0 0" for i in IMAGES))}
        )
    )
    message = r"09/ee\.jpg: the box is turned round or empty.*More than 2 boxes"
    with pytest.raises(ValueError, match=message):
        downloads.prepare("nabirds")


def test_missing_archive(downloads):
    downloads.put({"other.txt": b""})
    message = (
        r'"nabirds" cannot be prepared: there is no nabirds\.tar\.gz and no '
        rf"nabirds/images\.txt in {downloads.manual}\. Accept the terms at "
        r"https.*manual_dir="
    )
    with pytest.raises(ValueError, match=message):
        downloads.prepare("nabirds")


def test_missing_folder(downloads):
    downloads.manual.rmdir()
    message = rf"Manual directory {downloads.manual} does not exist.*\. Accept"
    with pytest.raises(ValueError, match=message):
        downloads.prepare("nabirds")


def test_an_archive_of_something_else(downloads):
    downloads.tar("nabirds.tar.gz", {"readme.txt": b"hello"})
    message = r"nabirds\.tar\.gz holds no nabirds/images\.txt or images\.txt"
    with pytest.raises(ValueError, match=message):
        downloads.prepare("nabirds")
