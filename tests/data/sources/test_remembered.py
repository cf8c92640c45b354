"""What a check found is kept: an unchanged file is decoded only once."""

import json
import multiprocessing
import os
import pathlib

import pytest

from keras_fgvc.data import info, load, open_dataset
from keras_fgvc.data.sources import files, remembered
from tests.data.image_files import jpeg, write, write_class_folders, write_csv

COUNTS = {"a": 5, "b": 3}
SETTINGS = {"validation_fraction": 0, "test_fraction": 0}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("own cache")
    monkeypatch.setenv(remembered.CACHE_VARIABLE, str(folder))
    monkeypatch.setattr(files, "PROGRESS_AFTER", 600.0)  # on a slow machine
    remembered._say_once.cache_clear()
    return folder / "verified"


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that were decoded, in any order."""
    names, real = [], files._decode

    def decode(path):
        names.append(pathlib.Path(path).relative_to(path.parents[1]).as_posix())
        return real(path)

    monkeypatch.setattr(
        files, "_decode", lambda path: decode(pathlib.Path(path))
    )
    return names


@pytest.fixture
def photographs(tmp_path):
    write_class_folders(tmp_path, COUNTS)
    return tmp_path


def test_a_second_opening_decodes_nothing(photographs, decoded):
    first = open_dataset(photographs)
    assert len(set(decoded)) == len(decoded) == 8
    for _ in range(2):
        assert open_dataset(photographs).split_sizes == first.split_sizes
    load(photographs, "train", load_size=5, batch_size=2)
    assert len(decoded) == 8


def test_what_is_kept_of_a_file(photographs, cache):
    path = photographs / "a" / "00.jpg"
    turned = jpeg(height=11, width=13)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    exif += bytes(4)
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    write(path, turned[:2] + segment + turned[2:])
    open_dataset(photographs)
    (file,) = cache.iterdir()
    content = json.loads(file.read_text())
    assert content["key"] == remembered.KEY
    assert len(content["files"]) == 8
    size, orientation, digest = content["files"]["a/00.jpg"][2:5]
    assert (size, orientation) == ([13, 11], 6)  # turned: it stands
    assert len(digest) == 64
    others = {entry[4] for entry in content["files"].values()}
    assert len(others) == 6  # b's three hold what a's first have, but one


@pytest.mark.parametrize("how", ["later", "longer"])
def test_only_a_changed_file_is_decoded_again(photographs, decoded, how):
    open_dataset(photographs)
    decoded.clear()
    path = photographs / "a" / "03.jpg"
    before = path.stat()
    if how == "longer":
        path.write_bytes(path.read_bytes() + b"\0")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    open_dataset(photographs)
    open_dataset(photographs)
    assert decoded == ["a/03.jpg"]


def test_a_file_that_breaks_later_is_found(photographs, decoded):
    open_dataset(photographs)
    path = photographs / "b" / "01.jpg"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"b/01\.jpg: is cut short"):
        open_dataset(photographs)


def test_errors_are_remembered_with_their_path(photographs, decoded):
    write(photographs / "a" / "half.jpg", jpeg()[:900])
    write(photographs / "a" / "text.jpg", b"no image")
    write(photographs / "b" / "empty.jpg", b"")
    told = []
    for _ in range(2):
        with pytest.raises(ValueError, match="Not usable") as caught:
            open_dataset(photographs)
        told.append(str(caught.value))
        data = open_dataset(photographs, on_error="skip")
        told.append(data.report.left_out)
        assert sum(data.split_sizes.values()) == 8
    assert told[:2] == told[2:]
    assert "a/half.jpg: is cut short or corrupt" in told[0]
    assert "a/text.jpg: is not an image" in told[0]
    assert "b/empty.jpg: is empty" in told[0]
    assert len(decoded) == 10  # each once; nothing is in the empty one


def test_a_missing_file_is_looked_for_again(tmp_path):
    write(tmp_path / "a.jpg", jpeg())
    path = write_csv(tmp_path, ["a.jpg,a,train", "b.jpg,a,train"])
    with pytest.raises(ValueError, match=r"b\.jpg: does not exist"):
        open_dataset(path)
    write(tmp_path / "b.jpg", jpeg(1))
    assert sum(open_dataset(path).split_sizes.values()) == 2


def garbage(text):
    return lambda file: file.write_text(text)


def change(**fields):
    def write_changed(file):
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))

    return write_changed


def spoil(file):
    content = json.loads(file.read_text())
    for name in content["files"]:
        content["files"][name] = content["files"][name][:4]
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "corrupt",
    [
        garbage(""),
        garbage("{"),
        garbage("[1, 2]"),
        garbage("7"),
        garbage('{"mine": 1}'),
        lambda file: file.write_bytes(b"\xff\xfe\0"),
        lambda file: file.write_text(file.read_text()[:-30]),
        change(key={"format": 0, "check": 1}),
        change(key=remembered.KEY | {"check": 0}),
        change(files=[1, 2]),
        change(files={"a/00.jpg": 3, "a/01.jpg": []}),
        spoil,
    ],
)
def test_another_file_in_its_place_is_made_anew(
    photographs, decoded, cache, capsys, corrupt
):
    open_dataset(photographs)
    (file,) = cache.iterdir()
    sound = json.loads(file.read_text())
    corrupt(file)
    open_dataset(photographs)
    assert len(decoded) == 16
    assert json.loads(file.read_text()) == sound
    open_dataset(photographs)
    assert len(decoded) == 16
    assert capsys.readouterr().out == ""


def test_sizes_that_are_none_are_not_believed(photographs, decoded, cache):
    open_dataset(photographs)
    (file,) = cache.iterdir()
    content = json.loads(file.read_text())
    for entry in content["files"].values():
        entry[2] = [0.5, "x"]
    file.write_text(json.dumps(content))
    open_dataset(photographs)
    assert len(decoded) == 16


def test_a_folder_that_cannot_be_written_is_named_once(
    photographs, decoded, cache, capsys
):
    cache.write_text("a file where a folder should be")
    for count in (8, 16):
        open_dataset(photographs)
        assert len(decoded) == count
    told = capsys.readouterr().out
    assert told.count("cannot be kept") == 1
    assert str(cache) in told
    assert "KERAS_FGVC_CACHE" in told


def test_without_a_home_it_goes_on(photographs, decoded, monkeypatch, capsys):
    def no_home(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(pathlib.Path, "expanduser", no_home)
    open_dataset(photographs)
    assert len(decoded) == 8
    assert "cannot be kept (Could not determine" in capsys.readouterr().out


def test_half_a_cache_is_never_seen(photographs, cache, monkeypatch, capsys):
    open_dataset(photographs)
    (file,) = cache.iterdir()
    before = file.read_text()
    os.utime(photographs / "a" / "00.jpg")

    def fail(source, target):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        open_dataset(photographs)
    assert "no space left" in capsys.readouterr().out
    assert list(cache.iterdir()) == [file]
    assert file.read_text() == before


def test_an_interrupted_check_keeps_what_it_found(
    photographs, decoded, monkeypatch
):
    real = files.Remembered.add

    def add(self, path, *facts):
        if pathlib.Path(path).name == "04.jpg":  # the fifth
            raise KeyboardInterrupt
        real(self, path, *facts)

    with monkeypatch.context() as patch:
        patch.setattr(files.Remembered, "add", add)
        with pytest.raises(KeyboardInterrupt):
            open_dataset(photographs)
    decoded.clear()
    open_dataset(photographs)
    assert sorted(decoded) == ["a/04.jpg", *(f"b/0{n}.jpg" for n in range(3))]


def test_a_long_check_saves_now_and_then(photographs, cache, monkeypatch):
    monkeypatch.setattr(files, "SAVE_INTERVAL", 0.0)
    saved, real = [], files.Remembered.save

    def save(self):
        real(self)
        files = list(cache.glob("*.json"))
        texts = [json.loads(file.read_text()) for file in files]
        saved.append([len(text["files"]) for text in texts])

    monkeypatch.setattr(files.Remembered, "save", save)
    open_dataset(photographs)
    assert saved == [[n] for n in range(1, 9)] + [[8]]


def test_lists_of_one_folder_do_not_displace_each_other(tmp_path, decoded):
    for number in range(4):
        write(tmp_path / "all" / f"{number}.jpg", jpeg(number))
    lists = []
    for name, numbers in (("one", (0, 1)), ("two", (2, 3)), ("both", range(4))):
        lines = [f"all/{number}.jpg,a,train" for number in numbers]
        path = write_csv(tmp_path / "all", lines)
        lists.append(str(tmp_path / f"{name}.csv"))
        os.rename(path, lists[-1])
    for path in lists:
        open_dataset(path)
    assert len(decoded) == 4


def test_files_that_are_gone_are_forgotten(photographs, cache):
    open_dataset(photographs)
    os.remove(photographs / "a" / "00.jpg")
    write(photographs / "a" / "05.jpg", jpeg(5))
    open_dataset(photographs)
    (file,) = cache.iterdir()
    names = json.loads(file.read_text())["files"]
    assert len(names) == 8
    assert "a/00.jpg" not in names
    assert "a/05.jpg" in names


def test_data_sets_have_files_of_their_own(tmp_path, cache):
    for name in ("x", "y"):
        write_class_folders(tmp_path / name / "photographs", COUNTS)
        open_dataset(tmp_path / name / "photographs")
    names = sorted(file.name for file in cache.iterdir())
    assert len(names) == 2
    assert all(name.startswith("photographs-") for name in names)


@pytest.mark.parametrize(
    ("verify", "finds"), [("full", True), ("headers", False), ("never", False)]
)
def test_how_far_a_check_goes(photographs, decoded, verify, finds):
    write(photographs / "a" / "half.jpg", jpeg()[:900])
    data = open_dataset(photographs, on_error="skip", verify=verify)
    assert bool(data.report.left_out) == finds
    assert len(decoded) == (9 if finds else 0)


def test_quick_looks_use_what_a_full_check_found(photographs, decoded):
    write(photographs / "a" / "half.jpg", jpeg()[:900])
    assert info(photographs).report.left_out == ()
    open_dataset(photographs, on_error="skip")
    (problem,) = info(photographs).report.left_out
    assert problem.reason.startswith("is cut short")
    # What only a header was read of is not taken as decoded.
    write(photographs / "b" / "half.jpg", jpeg()[:900])
    info(photographs)
    with pytest.raises(ValueError, match=r"b/half\.jpg"):
        open_dataset(photographs)
    assert len(decoded) == 10


def test_never_opens_no_image(tmp_path, monkeypatch):
    lines = ["gone.jpg,a,train", "nowhere.jpg,b,train"]
    path = write_csv(tmp_path, lines)
    data = open_dataset(path, verify="never", **SETTINGS)
    assert data.split_sizes == {"train": 2}
    # Boxes are in pixels, so the sizes are needed.
    write(tmp_path / "one.jpg", jpeg(height=20, width=40))
    header = "path,label,split,x_min,y_min,x_max,y_max"
    path = write_csv(tmp_path, ["one.jpg,a,train,10,5,20,10"], header)
    data = open_dataset(path, verify="never", **SETTINGS)
    assert data.subset("train").boxes.tolist() == [[0.25, 0.25, 0.5, 0.5]]


def test_how_it_is_verified_is_no_fact_of_a_run(photographs):
    opened = [
        open_dataset(photographs, verify=verify).opened_by
        for verify in files.VERIFY
    ]
    assert opened[0] == opened[1] == opened[2]


def _open_often(path):
    for _ in range(10):
        os.utime(os.path.join(path, "a", "00.jpg"))
        assert sum(open_dataset(path).split_sizes.values()) == 8


@pytest.mark.slow
def test_several_processes_do_not_disturb_each_other(photographs, cache, capfd):
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        pool.map(_open_often, [str(photographs)] * 3)
    (file,) = cache.iterdir()
    assert len(json.loads(file.read_text())["files"]) == 8
    assert "cannot be kept" not in capfd.readouterr().out
