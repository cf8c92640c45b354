"""Stanford Cars in the layouts that copies of it have."""

import io

import numpy as np
import pytest

from tests.data.builders.archives import (
    assert_box,
    examples,
    names_by_file,
    photograph,
)

HEIGHT, WIDTH = 211, 307
NAMES = [f"Maker Model {number} 2012" for number in range(1, 196)]
NAMES.append("Ram C/V Cargo Van Minivan 2012")
# Split -> (box, class, file).
CARS = {
    "train": [
        ((31, 41, 283, 199), 1, "00001.jpg"),
        ((1, 1, 307, 211), 196, "00002.jpg"),
        # In uint8 and uint16 the subtraction of 1 must not wrap around.
        ((0, 255, 256, 300), 7, "00003.jpg"),
    ],
    "test": [((5, 7, 11, 13), 196, "00001.jpg")],
}
FIELDS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")


def mat(**variables) -> bytes:
    from scipy.io import savemat

    buffer = io.BytesIO()
    savemat(buffer, variables)
    return buffer.getvalue()


def annotations(cars, fields=FIELDS) -> bytes:
    rows = np.empty((1, len(cars)), [(field, object) for field in fields])
    for at, (box, label, name) in enumerate(cars):
        values = [np.min_scalar_type(n).type(n) for n in (*box, label)]
        cells = dict(zip(FIELDS, [*values, name], strict=True))
        rows[0, at] = tuple(cells[field] for field in fields)
    return mat(annotations=rows)


def devkit() -> dict:
    names = np.empty((1, len(NAMES)), object)
    names[0, :] = NAMES
    return {
        "devkit/cars_meta.mat": mat(class_names=names),
        "devkit/cars_train_annos.mat": annotations(CARS["train"]),
    }


LABELS = "cars_test_annos_withlabels.mat"


def images(split) -> dict:
    return {
        f"cars_{split}/{name}": photograph(HEIGHT, WIDTH, label)
        for _, label, name in CARS[split]
    }


def everything() -> dict:
    test = {f"devkit/{LABELS}": annotations(CARS["test"])}
    return devkit() | test | images("train") | images("test")


def check(downloads):
    builder = downloads.prepare("stanford_cars")
    assert builder.info.features["label"].names == NAMES
    assert names_by_file(builder, "train") == {
        "cars_train/00001.jpg": NAMES[0],
        "cars_train/00002.jpg": NAMES[195],
        "cars_train/00003.jpg": NAMES[6],
    }
    assert names_by_file(builder, "test") == {"cars_test/00001.jpg": NAMES[195]}


def test_archives(downloads):
    downloads.tar("car_devkit.tgz", devkit())
    downloads.put({LABELS: annotations(CARS["test"])})
    for split in CARS:
        downloads.tar(f"cars_{split}.tgz", images(split))
    check(downloads)


@pytest.mark.parametrize(
    "place",
    [
        lambda name: name,
        lambda name: f"stanford_cars/{name}",
        lambda name: name.removeprefix("devkit/"),
        # Where the labels of test lie beside the folders.
        lambda name: LABELS if name.endswith(LABELS) else name,
        # Nested once more.
        lambda name: (
            ("car_" if "devkit" in name else "")
            + f"{name.split('/')[0]}/{name}"
        ),
    ],
)
def test_unpacked(downloads, place):
    downloads.put({place(name): file for name, file in everything().items()})
    check(downloads)


def test_boxes_by_hand(downloads):
    contents = everything()
    downloads.put(contents)
    builder = downloads.prepare("stanford_cars")
    train = examples(builder, "train")
    # Pixels 31 to 283 and 41 to 199 from 1: edges 30, 283, 40 and 199.
    expected = [40 / 211, 30 / 307, 199 / 211, 283 / 307]
    assert_box(train["cars_train/00001.jpg"], expected)
    assert_box(train["cars_train/00002.jpg"], [0, 0, 1, 1])
    for name, example in train.items():
        assert example["image"] == contents[name]


def test_small_integers_do_not_wrap_around(downloads):
    from keras_fgvc.data.builders.stanford_cars import _list_images

    path = downloads.manual / "annos.mat"
    path.write_bytes(annotations(CARS["train"]))
    listed = _list_images(path, "cars_train", 196)
    assert [car.box for car in listed] == [
        (30, 40, 283, 199),
        (0, 0, 307, 211),
        (-1, 254, 256, 300),
    ]
    assert [car.label for car in listed] == [0, 195, 6]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            f"devkit/{LABELS}",
            lambda: annotations(CARS["test"], [*FIELDS[:4], "fname"]),
            rf"{LABELS} lacks the field\(s\) class\. Labels of the test",
        ),
        (
            "devkit/cars_train_annos.mat",
            lambda: annotations([((1, 1, 2, 2), 197, "a.jpg")]),
            r"class of a\.jpg must be between 1 and 196\. Received: 197",
        ),
        (
            "devkit/cars_meta.mat",
            lambda: mat(class_names=np.array(["Audi", "BMW"], object)),
            r"cars_meta\.mat must give 196 classes\. Received: 2\.",
        ),
        (
            "devkit/cars_meta.mat",
            lambda: b"<html>404</html>",
            r"cars_meta\.mat cannot be read as a MATLAB file",
        ),
    ],
)
def test_what_is_wrong_is_named(downloads, name, content, message):
    downloads.put(everything() | {name: content()})
    with pytest.raises(ValueError, match=message):
        downloads.prepare("stanford_cars")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (LABELS, rf"there is no devkit/{LABELS} in"),
        ("cars_meta.mat", r"no car_devkit\.tgz and no devkit/cars_meta\.mat"),
        ("cars_test/", r"no cars_test\.tgz and no folder cars_test in"),
    ],
)
def test_what_is_missing_is_named(downloads, name, message):
    contents = everything()
    downloads.put({k: v for k, v in contents.items() if name not in k})
    with pytest.raises(ValueError, match=rf"{message}.*links are dead"):
        downloads.prepare("stanford_cars")
