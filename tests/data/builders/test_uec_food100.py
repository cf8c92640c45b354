"""UEC FOOD 100: its boxes, and a split that no photograph crosses."""

import hashlib

import pytest

from tests.data.builders.archives import (
    assert_box,
    examples,
    lines,
    names_by_file,
    photograph,
)

HEIGHT, WIDTH = 41, 53
HEADER = "img x1 y1 x2 y2"
# Folder -> the lines of its bb_info.txt; 7 is in two folders, twice in one.
BOXES = {
    1: ["1 0 5 20 30", "2 3 5 40 41", "3 0 0 53 41", "4 1 2 60 40"],
    2: ["7 5 5 11 13", "7 20 20 31 31", "8 13 7 2 3", "9 0 0 5 5"],
    3: ["7 20 5 31 17"],
}


def files(**others) -> dict:
    names = {number: f"dish {number}" for number in range(1, 101)}
    names |= {1: "rice", 2: "chicken-'n'-egg on rice", 99: "soup", 100: "soup"}
    contents = {
        "category.txt": lines(
            "id\tname", *(f"{number}\t{name}" for number, name in names.items())
        )
    }
    for number in range(1, 101):
        rows = BOXES.get(number, [])
        contents[f"{number}/bb_info.txt"] = lines(HEADER, *rows)
        for row in rows:
            image = f"{number}/{row.split()[0]}.jpg"
            contents[image] = photograph(HEIGHT, WIDTH)
    contents["1/55.jpg"] = b"not listed in bb_info.txt"
    contents |= others
    return {f"UECFOOD100/{name}": content for name, content in contents.items()}


def prepare(downloads):
    builder = downloads.prepare("uec_food100")
    return builder, examples(builder, "train") | examples(builder, "test")


@pytest.mark.parametrize("archive", ["UECFOOD100.zip", "dataset100.zip"])
def test_names_and_examples(downloads, archive):
    downloads.zip(archive, files())
    builder, found = prepare(downloads)
    names = builder.info.features["label"].names
    assert names[:3] == ["rice", "chicken-'n'-egg on rice", "dish 3"]
    assert names[98:] == ["soup (99)", "soup (100)"]
    assert {file: example["label"] for file, example in found.items()} == {
        "1/1.jpg": 0,
        "1/2.jpg": 0,
        "1/3.jpg": 0,
        "1/4.jpg": 0,
        "2/7.jpg": 1,
        "2/8.jpg": 1,
        "2/9.jpg": 1,
        "3/7.jpg": 2,
    }


def test_boxes_by_hand(downloads):
    downloads.put(files())
    _, found = prepare(downloads)
    assert_box(found["1/1.jpg"], [5 / 41, 0, 30 / 41, 20 / 53])
    assert_box(found["1/3.jpg"], [0, 0, 1, 1])
    assert_box(found["1/4.jpg"], [2 / 41, 1 / 53, 40 / 41, 1])
    # The first of two boxes in one folder, another one in another folder.
    assert_box(found["2/7.jpg"], [5 / 41, 5 / 53, 13 / 41, 11 / 53])
    assert_box(found["3/7.jpg"], [5 / 41, 20 / 53, 17 / 41, 31 / 53])
    # Turned round: the whole image.
    assert_box(found["2/8.jpg"], [0, 0, 1, 1])


def test_the_split_by_hand(downloads):
    downloads.put(files())
    builder, _ = prepare(downloads)
    # 4 images, so round(0.8) = 1 of test: the one with the lowest hash.
    first = min(
        "1234", key=lambda n: hashlib.sha256(f"0/{n}".encode()).hexdigest()
    )
    second = min(
        "789", key=lambda n: hashlib.sha256(f"0/{n}".encode()).hexdigest()
    )
    expected = {f"1/{first}.jpg", f"2/{second}.jpg"}
    expected |= {"3/7.jpg"} if second == "7" else set()
    assert set(names_by_file(builder, "test")) == expected


def test_the_split_is_stratified_and_no_photograph_crosses_it():
    from keras_fgvc.data.builders.uec_food100 import split_images

    own = [[f"{n}" for n in range(100 * c, 100 * c + 53)] for c in range(7)]
    shared = [[*images, *own[0][:17]] for images in own[1:]]
    is_test = split_images([own[0], *shared])
    # The 17 shared photographs count for the first class only.
    for images in own:
        assert sum(is_test[image] for image in images) == 11
    # It depends on the numbers alone, not on their order.
    assert is_test == split_images([own[0][::-1], *shared])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"category.txt": lines("id\tname", "1\trice")},
            r"category\.txt must give 100 classes\. Received: 1\.",
        ),
        (
            {"3/bb_info.txt": lines(HEADER, "12 1 2 3 4")},
            r"3/12\.jpg is listed but cannot be read",
        ),
        (
            {"3/bb_info.txt": lines(HEADER, "7 1 2 3")},
            r"3/bb_info\.txt, line 2: expected 5 columns",
        ),
    ],
)
def test_what_is_wrong_is_named(downloads, change, message):
    downloads.put(files(**change))
    with pytest.raises(ValueError, match=message):
        downloads.prepare("uec_food100")


def test_missing_archive(downloads):
    downloads.put({"other.txt": b""})
    message = rf"no UECFOOD100\.zip and no data.* in {downloads.manual}\. Put"
    with pytest.raises(ValueError, match=message):
        downloads.prepare("uec_food100")
