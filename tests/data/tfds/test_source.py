"""Data sets of TFDS: its own builders on tiny archives."""

import os
import pathlib

import keras
import numpy as np
import pytest

from keras_fgvc import training
from keras_fgvc.data import (
    Augmentation,
    Examples,
    LabeledImages,
    info,
    open_dataset,
)
from keras_fgvc.data.builders import catalogue
from keras_fgvc.data.builders.celeb_a_attributes import CELEB_A_ATTRIBUTES
from keras_fgvc.decoding.images import decode
from tests.data.image_files import write
from tests.data.tfds import archives
from tests.data.tfds.contents import by_content, contents_of

HEIGHT, WIDTH = archives.HEIGHT, archives.WIDTH


def test_cub_classes_boxes_and_splits(birds):
    data = open_dataset("cub200", data_dir=birds, validation_fraction=0)
    assert data.split_sizes == {"train": 5, "test": 2}
    assert data.class_names[0] == "Black footed Albatross"
    assert data.class_names[1] == "Laysan Albatross"
    assert data.class_names[199] == "Common Yellowthroat"
    assert data.num_classes == 200
    assert data.name == "cub200"
    assert "caltech.edu" in data.source
    assert birds in data.source
    assert data.report.notes == ()
    found = by_content(data, "train") | by_content(data, "test")
    for name, content in archives.bird_files().items():
        _, x, y, width = archives.BIRDS[name]
        label, box = found.pop(content)
        number = int(name[:3]) - 1
        assert label == data.class_names[number]
        bottom, right = y + archives.BIRD_HEIGHT, x + width
        expected = [y / HEIGHT, x / WIDTH, bottom / HEIGHT, right / WIDTH]
        np.testing.assert_allclose(box, expected, rtol=1e-6)
    assert not found


def test_a_validation_split_is_cut_from_train(birds):
    data = open_dataset("cub200", data_dir=birds, seed=3)
    # One of three and one of two.
    assert data.split_sizes == {"train": 3, "validation": 2, "test": 2}
    assert list(data.splits) == ["train", "validation", "test"]
    assert sorted(data.subset("validation").labels) == [0, 1]
    offsets = [data.subset(s).records.offsets for s in ("train", "validation")]
    assert len(set(np.concatenate(offsets))) == 5
    assert "validation was cut from train (10%" in data.summary()
    again = open_dataset("cub200", data_dir=birds, seed=3)
    for split in data.splits:
        np.testing.assert_array_equal(
            data.subset(split).records.offsets,
            again.subset(split).records.offsets,
        )


@pytest.fixture
def same_as_files(birds, tmp_path):
    """CUB, and the same images in the same order as files."""
    data = open_dataset("cub200", data_dir=birds, validation_fraction=0)
    train = data.subset("train")
    paths = tuple(
        write(tmp_path / "files" / f"{i}.jpg", content)
        for i, content in enumerate(contents_of(data, "train"))
    )
    examples = Examples(train.labels, paths=paths, boxes=train.boxes)
    return data, LabeledImages("x", data.class_names, {"train": examples})


def collect(data, epochs):
    batches = data.batches(
        "train",
        load_size=(19, 23),
        batch_size=2,
        training=True,
        seed=5,
        epochs=epochs,
        with_boxes=True,
        augmentation=Augmentation(
            rotation=20, horizontal_flip=True, random_crop=(0.5, 1.0)
        ),
    )
    return [
        (images.numpy(), targets["label"].numpy(), targets["box"].numpy())
        for images, targets in batches
    ]


def assert_same_batches(received, expected):
    assert len(received) == len(expected)
    for one, other in zip(received, expected, strict=True):
        for array, other_array in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, other_array)


def test_order_augmentation_and_resume_are_those_of_files(same_as_files):
    data, as_files = same_as_files
    whole = collect(data, range(3))
    assert len(whole) == 3 * 2
    assert_same_batches(whole, collect(as_files, range(3)))
    assert_same_batches(collect(data, range(1, 3)), whole[2:])


def test_pixels_are_those_of_the_file(birds):
    data = open_dataset("cub200", data_dir=birds)
    ((images, labels),) = data.batches(
        "test", load_size=(HEIGHT, WIDTH), batch_size=2
    )
    for image, content in zip(images, contents_of(data, "test"), strict=True):
        np.testing.assert_array_equal(image, decode(content))
    assert sorted(labels.numpy()) == [1, 199]


def test_keras_trains_on_it(birds):
    data = open_dataset("cub200", data_dir=birds)
    model = keras.Sequential(
        [
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(200, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    batches = data.batches("train", load_size=8, batch_size=3, training=True)
    model.build((None, 8, 8, 3))
    before = model.layers[-1].kernel.numpy()
    history = model.fit(batches, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert (model.layers[-1].kernel.numpy() != before).any()


def test_flowers_have_a_validation_split_of_their_own(tmp_path, manual):
    archives.flowers(manual)
    data = open_dataset("oxford_flowers102", data_dir=str(tmp_path))
    assert data.split_sizes == {"train": 3, "validation": 2, "test": 4}
    assert data.report.notes == ()
    assert sorted(data.subset("train").labels) == [0, 4, 101]
    assert sorted(data.subset("validation").labels) == [0, 1]
    assert data.class_names[101] == "blackberry lily"
    assert data.subset("train").boxes is None


def test_mnist_is_grey_in_three_channels(tmp_path, manual, monkeypatch):
    from tensorflow_datasets.image_classification import mnist

    rng = np.random.default_rng(0)
    digits = {
        "train": (rng.integers(0, 256, (13, 28, 28)), np.arange(13) % 10),
        "t10k": (rng.integers(0, 256, (5, 28, 28)), np.arange(5)),
    }
    monkeypatch.setattr(mnist, "_TRAIN_EXAMPLES", 13)
    monkeypatch.setattr(mnist, "_TEST_EXAMPLES", 5)
    archives.mnist(manual, digits)
    data = open_dataset("mnist", data_dir=str(tmp_path))
    assert data.split_sizes == {"train": 10, "validation": 3, "test": 5}
    assert data.class_names == tuple("0123456789")
    ((images, labels),) = data.batches("test", load_size=28, batch_size=5)
    assert sorted(labels.numpy()) == list(range(5))
    for image, label in zip(images.numpy(), labels.numpy(), strict=True):
        for channel in range(3):
            np.testing.assert_array_equal(
                image[..., channel], digits["t10k"][0][label]
            )


def test_an_attribute_of_celeb_a_makes_two_classes(tmp_path, manual):
    archives.celeb_a(manual, [True, False, True, False, False, True])
    data = open_dataset("celeb_a/Smiling", data_dir=str(tmp_path))
    assert data.class_names == ("not Smiling", "Smiling")
    assert data.split_sizes == {"train": 2, "validation": 2, "test": 2}
    labels = {s: sorted(data.subset(s).labels) for s in data.splits}
    assert labels == {"train": [0, 1], "validation": [0, 0], "test": [1, 1]}
    other = open_dataset("celeb_a/Young", data_dir=str(tmp_path))
    assert other.class_names == ("not Young", "Young")
    assert not other.subset("test").labels.any()


def test_all_attributes_of_celeb_a_at_once(tmp_path, manual):
    is_smiling = [True, False, True, False, False, True]
    archives.celeb_a(manual, is_smiling)
    data = open_dataset("celeb_a", data_dir=str(tmp_path))
    assert data.is_multi_label
    assert data.class_names == CELEB_A_ATTRIBUTES
    smiling = CELEB_A_ATTRIBUTES.index("Smiling")
    alone = open_dataset("celeb_a/Smiling", data_dir=str(tmp_path))
    assert not alone.is_multi_label
    for split, examples in data.splits.items():
        assert examples.labels.shape == (2, 40)
        np.testing.assert_array_equal(
            examples.labels[:, smiling], alone.subset(split).labels
        )
        rest = np.delete(examples.labels, smiling, axis=1)
        assert not rest.any()
    batches = data.batches(
        "test", load_size=16, batch_size=2, training=True, epochs=range(1)
    )
    ((images, labels),) = batches
    assert images.shape == (2, 16, 16, 3)
    assert labels.shape == (2, 40)
    assert labels.numpy().sum() == 2  # both smile
    # The second time the index is read; a model of the user's own trains.
    again = open_dataset("celeb_a", data_dir=str(tmp_path))
    np.testing.assert_array_equal(
        again.subset("train").labels, data.subset("train").labels
    )
    with pytest.raises(ValueError, match=r"one class each.*have 40 labels"):
        training.fit(None, None, data, tmp_path)


def test_a_builder_of_ours(tmp_path, manual, monkeypatch):
    from keras_fgvc.data import builders

    monkeypatch.setattr(builders.find("nabirds"), "NUM_CLASSES", 2)
    rows = ["a 1 1 5 7 31 20", "b 2 1 0 0 9 9", "c 1 0 1 2 3 4"]
    names = ("image_class_labels", "train_test_split", "bounding_boxes")
    tables = {name: [] for name in names}
    for row in rows:
        image, label, part, *box = row.split()
        for name, value in zip(
            names, (label, part, " ".join(box)), strict=True
        ):
            tables[name].append(f"{image} {value}")
        photo = archives.jpeg(1, HEIGHT, WIDTH)
        write(manual / f"nabirds/images/{image}.jpg", photo)
    tables["images"] = [f"{image} {image}.jpg" for image in "abc"]
    tables["classes"] = ["1 Common_Eider", "2 Tern"]
    for name, lines in tables.items():
        text = "\n".join(lines) + "\n"
        write(manual / f"nabirds/{name}.txt", text.encode())
    data = open_dataset("nabirds", data_dir=str(tmp_path))
    assert data.split_sizes == {"train": 2, "test": 1}
    assert data.class_names == ("Common Eider", "Tern")
    boxes = data.subset("train").boxes[data.subset("train").labels.argsort()]
    expected = [7 / HEIGHT, 5 / WIDTH, 27 / HEIGHT, 36 / WIDTH]
    np.testing.assert_allclose(boxes[0], expected, rtol=1e-6)
    assert info("nabirds", data_dir=str(tmp_path)).split_sizes["test"] == 1


def test_info_of_what_is_on_disk(birds):
    """A version that TFDS would not open is none."""
    folder = os.path.join(birds, "caltech_birds2011")
    write(pathlib.Path(folder) / "0.1.0/dataset_info.json", b"{}")
    entry = catalogue.CATALOGUE["cub200"]
    assert info("cub200", data_dir=birds) is entry
    assert os.listdir(folder) == ["0.1.0"]
    open_dataset("cub200", data_dir=birds)
    told = info("cub200", data_dir=birds)
    assert told.split_sizes == {"train": 3, "validation": 2, "test": 2}
