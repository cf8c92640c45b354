"""The files of a cache: torn, old, foreign, and too many for the disk."""

import collections
import json
import os
import shutil

import numpy as np
import pytest

from keras_fgvc.data.sources import stored_rows
from tests.data.cached_images import (
    TOTAL,
    Thirds,
    cache,
    expected,
    numbered_images,
    row_files,
    rows_done,
)

pytestmark = pytest.mark.usefixtures("noted_often")
NAMES = ["rows-train.npy", "rows-validation.npy"]
HEADER = 128  # bytes of a .npy file before its numbers
Usage = collections.namedtuple("Usage", "total used free")


def save(array):
    return lambda path: np.save(path, array)


def cut(num_bytes):
    return lambda path: path.write_bytes(path.read_bytes()[:num_bytes])


@pytest.mark.parametrize(
    "tear",
    [
        cut(-1),
        cut(40),  # inside the header
        cut(0),
        save(np.zeros((10, 3, 3), np.float32)),
        save(np.zeros((11, 9), np.float32)),
        save(np.zeros((11, 3, 3), np.float16)),
        save(np.array([None, "x"])),
        lambda path: path.write_bytes(b"no array at all, but bytes"),
        lambda path: path.unlink(),
    ],
)
def test_a_torn_file_is_computed_again(tmp_path, capsys, tear):
    data, compute = numbered_images(), Thirds()
    cache(tmp_path, data).ensure()
    assert row_files(tmp_path) == NAMES
    tear(tmp_path / NAMES[0])
    capsys.readouterr()
    again = cache(tmp_path, data, compute)
    np.testing.assert_allclose(
        again.arrays("train"), expected(data, "train"), rtol=1e-6
    )
    assert [n for batch in compute.seen for n in batch] == list(range(11))
    assert "; 5 of them are there already." in capsys.readouterr().out
    assert row_files(tmp_path) == NAMES


def test_rows_are_written_before_they_count(tmp_path, monkeypatch):
    """Killed in between, they are computed again."""
    data, real, seen = numbered_images(), stored_rows.StoredRows.note, []

    def note(self, split, done):
        seen.append((split, done))
        if done:
            stored = np.load(tmp_path / f"rows-{split}.npy")
            np.testing.assert_allclose(
                stored[:done], expected(data, split)[:done], rtol=1e-6
            )
        real(self, split, done)

    monkeypatch.setattr(stored_rows.StoredRows, "note", note)
    cache(tmp_path, data).ensure()
    train = [("train", done) for done in (0, 4, 8, 11)]
    assert seen == [*train, *(("validation", done) for done in (0, 4, 5))]


def test_a_new_file_counts_from_nothing(tmp_path):
    """The number of those done may be that of a file that was lost."""
    cache(tmp_path).ensure()
    (tmp_path / NAMES[0]).unlink()
    with pytest.raises(KeyboardInterrupt):
        cache(tmp_path, compute=Thirds(fail_at=0)).ensure()
    assert rows_done(tmp_path) == {"train": 0, "validation": 5}


def one_pixel():
    data = numbered_images()
    data.subset("validation").images[4, 2, 4, 2] ^= 1
    return data


@pytest.mark.parametrize(
    ("options", "differing"),
    [
        ({"fingerprint": "other weights"}, "compute"),
        ({"data": one_pixel()}, "source"),
        ({"dtype": "float16"}, "dtype"),
        ({"load_size": (3, 7)}, "load_size"),
        ({"fingerprint": "x", "dtype": "float16"}, "compute, dtype"),
    ],
)
def test_another_cache_is_deleted(tmp_path, capsys, options, differing):
    cache(tmp_path).ensure()
    (tmp_path / "shard-train-00001.npy").write_bytes(b"of format 1")
    capsys.readouterr()
    compute = Thirds()
    again = cache(tmp_path, compute=compute, **options)
    again.ensure()
    assert (
        f"{tmp_path} holds other arrays ({differing} differ): 3 files are "
        "deleted."
    ) in capsys.readouterr().out
    assert compute.num_seen == TOTAL
    assert row_files(tmp_path) == NAMES
    # Silent the next time: cache.json is that of the new one.
    cache(tmp_path, compute=compute, **options).ensure()
    assert capsys.readouterr().out == ""


def test_other_splits_rows_are_deleted_with_the_rest(tmp_path):
    cache(tmp_path).ensure()
    cache(tmp_path, fingerprint="other", splits=("validation",)).ensure()
    assert row_files(tmp_path) == NAMES[1:]


@pytest.mark.parametrize("field", ["format", "shape"])
def test_every_field_of_the_description_counts(tmp_path, capsys, field):
    cache(tmp_path).ensure()
    path = tmp_path / "cache.json"
    description = json.loads(path.read_text())
    if field == "shape":
        del description[field]
    else:
        description[field] += 1
    path.write_text(json.dumps(description))
    capsys.readouterr()
    cache(tmp_path).ensure()
    assert f"({field} differ): 2 files" in capsys.readouterr().out
    assert json.loads(path.read_text())["shape"] == [3, 3]


def test_rows_without_a_description_are_not_trusted(tmp_path, capsys):
    cache(tmp_path).ensure()
    (tmp_path / "cache.json").unlink()
    capsys.readouterr()
    compute = Thirds()
    cache(tmp_path, compute=compute).ensure()
    assert compute.num_seen == TOTAL
    assert "(cache.json differ): 2 files" in capsys.readouterr().out


def test_the_description_comes_first(tmp_path):
    """Else rows of old weights could pass for those of new ones."""
    cache(tmp_path).ensure()
    seen = []

    def look(images):
        if len(seen) < 2:  # before and after the old ones are deleted
            text = (tmp_path / "cache.json").read_text()
            seen.append((json.loads(text)["compute"], row_files(tmp_path)))
        return images.mean((1, 2))

    cache(tmp_path, compute=look, fingerprint="new").ensure()
    assert seen == [("thirds", NAMES), ("new", NAMES[:1])]


def test_old_rows_go_before_their_description(tmp_path, monkeypatch):
    """Killed in between, the next one still sees that they are old."""
    cache(tmp_path).ensure()

    def fail(path, write):
        raise KeyboardInterrupt

    monkeypatch.setattr(stored_rows, "move_into_place", fail)
    with pytest.raises(KeyboardInterrupt):
        cache(tmp_path, fingerprint="new").ensure()
    assert row_files(tmp_path) == []
    description = json.loads((tmp_path / "cache.json").read_text())
    assert description["compute"] == "thirds"


def test_other_files_are_left_alone(tmp_path):
    others = ["weights.npy", "rows-notes.txt", "my-rows-train.npy"]
    for name in others:
        (tmp_path / name).write_text("mine")
    cache(tmp_path).ensure()
    cache(tmp_path, fingerprint="other").ensure()
    assert all((tmp_path / name).read_text() == "mine" for name in others)


@pytest.mark.parametrize("content", ['{"mine": 1}', "[1]", "not JSON", ""])
def test_somebody_elses_description_raises(tmp_path, content):
    path, compute = tmp_path / "cache.json", Thirds()
    path.write_text(content)
    with pytest.raises(
        ValueError, match=r"cache\.json is not what .*another f"
    ):
        cache(tmp_path, compute=compute).ensure()
    assert path.read_text() == content
    assert compute.seen == []


def test_a_full_disk_raises_before_anything_is_deleted(tmp_path, monkeypatch):
    cache(tmp_path / "old").ensure()
    asked = []

    def usage(path):
        asked.append(path)
        return Usage(10**12, 0, 99_999_000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    message = (
        r"new/deep needs 576 bytes for arrays and 100 MB to spare, and has "
        r'100 MB free. Give a folder on a larger disk, dtype="float16", or a '
        r"smaller `load_size`"
    )
    with pytest.raises(OSError, match=message):
        cache(tmp_path / "new/deep").ensure()
    assert asked == [tmp_path]
    assert not (tmp_path / "new").exists()
    # What will be deleted counts as free, and is not deleted in vain.
    with pytest.raises(OSError, match="old needs 576 bytes"):
        cache(tmp_path / "old", fingerprint="new").ensure()
    assert row_files(tmp_path / "old") == NAMES
    # A whole cache needs nothing.
    cache(tmp_path / "old").ensure()


@pytest.mark.parametrize(
    ("free", "fits"), [(100e6 + 575, False), (1e8 + 576, True)]
)
def test_it_fits_to_the_byte(tmp_path, monkeypatch, free, fits):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free))
    if fits:
        cache(tmp_path).ensure()
        return
    with pytest.raises(OSError, match="100 MB to spare"):
        cache(tmp_path).ensure()


def test_only_what_is_missing_must_fit(tmp_path, monkeypatch):
    cache(tmp_path, splits=("train",)).ensure()
    # 5 arrays of 36 bytes.
    monkeypatch.setattr(shutil, "disk_usage", lambda p: Usage(0, 0, 1e8 + 179))
    with pytest.raises(OSError, match="needs 180 bytes"):
        cache(tmp_path).ensure()
    monkeypatch.setattr(shutil, "disk_usage", lambda p: Usage(0, 0, 1e8 + 180))
    cache(tmp_path).ensure()
    # The old files make room for the new.
    old = 576 + 2 * HEADER
    assert sum((tmp_path / name).stat().st_size for name in NAMES) == old
    monkeypatch.setattr(
        shutil, "disk_usage", lambda p: Usage(0, 0, 1e8 + 576 - old)
    )
    cache(tmp_path, fingerprint="other").ensure()
    assert row_files(tmp_path) == NAMES


def test_a_large_cache_leaves_a_share_free(tmp_path, monkeypatch):
    stored = stored_rows.StoredRows(
        tmp_path, {"train": 10**6}, (1000,), "float32", {}
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 4.1e9))
    with pytest.raises(OSError, match=r"needs 4\.0 GB for .* and 200 MB to"):
        stored_rows.check_space(stored, will_start_anew=False)


def test_the_room_is_taken_at_once(tmp_path, monkeypatch):
    """A memory map on a full disk would end the process."""

    def no_room(handle, start, end):
        raise OSError(f"no space for {end - start}")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(OSError, match=f"no space for {HEADER + 11 * 36}"):
        cache(tmp_path).ensure()
    assert rows_done(tmp_path) == {"train": 0}
