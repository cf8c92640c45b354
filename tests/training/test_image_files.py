import io
import os
import shutil
import socket
import threading

import numpy as np
import pytest

from keras_fgvc import data
from keras_fgvc.cli.image_names import read_names
from keras_fgvc.training import image_files as images


def test_files_folders_and_lists_in_their_order(mixed, monkeypatch):
    listed = f"gone.png\n\n{mixed / 'deep'}\r\nother name.jpg"
    monkeypatch.setattr("sys.stdin", io.StringIO(listed))
    names = read_names(["z.png", str(mixed), "-", "a.png"])
    found = images.find_images(names)
    inside = ["a.png", "b.png", "c.jpg", "d.JPEG", "deep/e.png"]
    assert found == [
        "z.png",
        *(str(mixed / name) for name in inside),
        "gone.png",
        str(mixed / "deep" / "e.png"),
        "other name.jpg",
        "a.png",
    ]


def test_one_path_alone_and_no_reading_of_standard_input(mixed, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert images.find_images(mixed / "a.png") == [str(mixed / "a.png")]
    assert images.find_images("-") == ["-"]  # a file of that name


def test_batches_hold_every_path_in_order_with_what_is_wrong(mixed, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    paths = [*images.find_images([str(mixed)]), "gone.png", str(empty)]
    batches = list(images.read_batches(paths, images.read_bytes, 3))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    found = [image for batch in batches for image in batch]
    assert [image.path for image in found] == paths
    assert [image.error for image in found] == [
        None,
        "is cut short or corrupt and cannot be decoded",
        "is empty (0 bytes)",
        "is not an image (its content is not JPEG, PNG, GIF, BMP or WebP)",
        None,
        "does not exist",
        "is a folder without images",
    ]
    assert found[0].content == (mixed / "a.png").read_bytes()
    assert all((i.content is None) == (i.error is not None) for i in found)


def test_no_paths_are_no_batches():
    assert list(images.read_batches([], images.read_bytes, 3)) == []


def test_the_next_batch_is_read_while_this_one_is_used():
    is_read = {name: threading.Event() for name in "abcd"}

    def read(path):
        is_read[path].set()

    batches = images.read_batches(list("abcd"), read, 2)
    next(batches)
    assert is_read["c"].wait(timeout=60)


def test_a_file_that_must_not_be_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    ((image,),) = images.read_batches(["a.png"], refuse, 2)
    assert image.error == "cannot be read: Permission denied"


def test_pixels_are_those_of_training(photographs, tmp_path):
    """Of a photograph with an orientation, too."""
    from PIL import Image

    lying = Image.effect_noise((31, 53), 90).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    root = shutil.copytree(photographs, tmp_path / "photographs")
    path = root / "test" / "red" / "lying.jpg"
    lying.save(path, exif=exif)
    dataset = data.open_dataset(str(root))
    batches = dataset.batches("test", load_size=40, batch_size=7)
    expected, _ = next(batches.as_numpy_iterator())
    paths = dataset.subset("test").paths
    assert str(path) in paths
    for pixels, name in zip(expected, paths, strict=True):
        np.testing.assert_array_equal(images.read_pixels(name, 40), pixels)
    assert images.read_pixels(path, 40).dtype == np.uint8


def test_unexpected_errors_are_not_taken_for_a_bad_file():
    def broken(path):
        raise KeyError(path)

    with pytest.raises(KeyError):
        list(images.read_batches(["a.png"], broken, 2))


def test_names_of_standard_input_need_not_be_utf_8(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(b"a\xe9.png\r\nb.png\n"), "utf-8")
    monkeypatch.setattr("sys.stdin", stream)
    names = read_names(["-"])
    assert [os.fsencode(name) for name in names] == [b"a\xe9.png", b"b.png"]
    assert images.find_images([b"a\xe9.png", *names[1:]]) == names


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("pipe", "it is a pipe (FIFO)"),
        ("socket", "it is a socket"),
        ("device", "it is a device"),
    ],
)
def test_what_is_no_file_is_never_opened(tmp_path, monkeypatch, kind, reason):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    if kind == "pipe":
        os.mkfifo("x.jpg")
    elif kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        server.bind("x.jpg")
        server.close()
    else:
        os.symlink("/dev/zero", "x.jpg")
    for read in (images.read_bytes, lambda path: images.read_pixels(path, 8)):
        ((image,),) = images.read_batches(images.find_images("."), read, 2)
        assert (image.path, image.content) == ("./x.jpg", None)
        assert image.error == f"cannot be read: {reason}"


def test_a_name_with_nul():
    ((image,),) = images.read_batches(["a\0.png"], images.read_bytes, 2)
    assert image.error == "holds a NUL character, as no file name can"


def test_other_endings_are_found_and_no_text(mixed, tmp_path):
    folder = tmp_path / "others"
    folder.mkdir()
    for name in ("a.jfif", "b", "c.JPE", "d.tif", "notes"):
        shutil.copy(mixed / "a.png", folder / name)
    (folder / "notes").write_text("hello")
    found = images.find_images(folder)
    assert [os.path.basename(f) for f in found] == ["a.jfif", "b", "c.JPE"]
