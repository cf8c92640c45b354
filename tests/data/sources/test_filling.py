"""Computing a cache: what is said, what is checked, and going on after."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.data.cached_images import (
    NOTED,
    SIZES,
    TOTAL,
    Thirds,
    assert_holds_all,
    cache,
    numbered_images,
    row_files,
    rows_done,
)

pytestmark = pytest.mark.usefixtures("noted_often")


def test_it_says_what_it_will_do_and_only_then(tmp_path, capsys):
    folder = tmp_path / "new/deep"
    cached = cache(folder)
    assert capsys.readouterr().out == ""
    cached.ensure()
    first, *bar = capsys.readouterr().out.splitlines()
    # 16 * 3 * 3 * 4 bytes.
    assert first == (
        "numbered: 16 arrays of shape (3, 3), float32, 576 bytes in "
        f"{folder}; 0 of them are there already."
    )
    assert "16/16" in bar[-1]


def test_a_whole_cache_is_used_in_silence(tmp_path, capsys):
    data, compute = numbered_images(), Thirds()
    cache(tmp_path, data).ensure()
    capsys.readouterr()
    again = cache(tmp_path, data, compute)
    again.batches("train", batch_size=3)
    assert_holds_all(again, data)
    assert compute.seen == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("batch_size", [2, 3])
def test_an_interrupted_computation_goes_on(tmp_path, capsys, batch_size):
    data = numbered_images()
    # Noted is what ends with or behind each fourth image.
    calls, noted = (5, 8) if batch_size == 2 else (3, 6)
    with pytest.raises(KeyboardInterrupt):
        cache(
            tmp_path, data, Thirds(fail_at=calls), batch_size=batch_size
        ).ensure()
    assert row_files(tmp_path) == ["rows-train.npy"]
    assert rows_done(tmp_path) == {"train": noted}
    capsys.readouterr()

    compute = Thirds()
    again = cache(tmp_path, data, compute, batch_size=batch_size)
    assert_holds_all(again, data)
    numbers = [n for batch in compute.seen for n in batch]
    assert numbers == [*range(noted, 11), *range(SIZES["validation"])]
    out = capsys.readouterr().out
    assert f"; {noted} of them are there already." in out
    assert rows_done(tmp_path) == SIZES


def lose_rows(folder, **done):
    """Makes of a whole cache one that was interrupted there."""
    path = folder / "cache.json"
    key = json.loads(path.read_text())
    path.write_text(json.dumps(key | {"done": key["done"] | done}))


def test_a_batch_is_the_same_whatever_was_there(tmp_path):
    """Networks round differently in batches of another size."""
    compute = Thirds()
    cache(tmp_path, compute=compute, batch_size=3).ensure()
    whole = compute.seen[:4]
    assert whole == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]
    for done, lost in ((6, whole[2:]), (7, whole[2:]), (9, whole[3:])):
        lose_rows(tmp_path, train=done)
        compute = Thirds()
        cache(tmp_path, compute=compute, batch_size=3).ensure()
        assert compute.seen == lost


def test_going_on_in_other_batches(tmp_path):
    data, compute = numbered_images(), Thirds()
    cache(tmp_path, data, batch_size=2).ensure()
    lose_rows(tmp_path, train=8)
    assert_holds_all(cache(tmp_path, data, compute, batch_size=5), data)
    assert compute.seen == [[5, 6, 7, 8, 9], [10]]


class Recorded:
    """A dataset that writes down which part of it is asked for."""

    def __init__(self, dataset, log):
        self.dataset, self.log = dataset, log

    def __getattr__(self, name):
        def call(*numbers):
            self.log.append((name, *numbers))
            return Recorded(getattr(self.dataset, name)(*numbers), self.log)

        return call

    def as_numpy_iterator(self):
        return self.dataset.as_numpy_iterator()


class RecordedImages:
    name, fingerprint, split_sizes = "recorded", "constant", SIZES

    def __init__(self, data):
        self.data, self.log = data, []

    def batches(self, split, **options):
        self.log.append(split)
        return Recorded(self.data.batches(split, **options), self.log)


def test_only_what_is_missing_is_read(tmp_path):
    source = RecordedImages(numbered_images())
    cache(tmp_path, source).ensure()
    lose_rows(tmp_path, train=8)
    source.log.clear()
    cache(tmp_path, source).ensure()
    assert source.log == ["train", ("skip", 4), ("take", 2)]


def test_a_split_can_be_added_later(tmp_path):
    data, compute = numbered_images(), Thirds()
    cache(tmp_path, data, compute, splits=("validation",)).ensure()
    assert compute.num_seen == SIZES["validation"]
    assert_holds_all(cache(tmp_path, data, compute), data)
    assert compute.num_seen == TOTAL


SCRIPT = """
import sys, time
from keras_fgvc.data.sources import stored_rows
from tests.data.cached_images import Thirds, cache

stored_rows.NOTED_ROWS = 4
thirds = Thirds()

def slow(images):
    if len(thirds.seen) == 5:
        print("after ten rows", flush=True)
        time.sleep(60)
    return thirds(images)

cache(__import__("pathlib").Path(sys.argv[1]), compute=slow).ensure()
"""


@pytest.mark.slow
def test_a_killed_process_leaves_what_was_noted(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    with process:
        assert any("after ten rows" in line for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    data, compute = numbered_images(), Thirds()
    assert_holds_all(cache(tmp_path, data, compute), data)
    assert compute.num_seen == TOTAL - 2 * NOTED


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (lambda n: np.ones((n + 1, 3)), r"image: \(2, ...\). Rec.* \(3, 3\)"),
        (lambda n: np.float32(1), r"one array an image.*shape \(\)"),
        (lambda n: np.ones((n, 0)), r"one array an image.*shape \(2, 0\)"),
        (lambda n: np.full((n, 3), 65520.0), r"up to 65504. Rec.*: 65520\."),
        (
            lambda n: np.full((n, 3), -1e5),
            r'Rec.*: 100000\. Pass dtype="float3',
        ),
        (lambda n: np.full((n, 3), np.nan), "finite values. Received: NaN"),
        (lambda n: np.full((n, 3), np.inf), "finite values. Received: NaN"),
    ],
)
def test_arrays_that_do_not_fit_raise(tmp_path, arrays, message):
    cached = cache(
        tmp_path, compute=lambda images: arrays(len(images)), dtype="float16"
    )
    with pytest.raises(ValueError, match=message):
        cached.ensure()
    assert row_files(tmp_path) == []


def test_what_float16_can_hold_is_taken(tmp_path):
    compute = lambda images: np.full((len(images), 3), 65504.0)  # noqa: E731
    assert cache(tmp_path, compute=compute, dtype="float16").arrays(
        "train"
    ).max() == np.float32(65504)
    large = lambda images: np.full((len(images), 3), 1e5)  # noqa: E731
    assert cache(tmp_path / "float32", compute=large).arrays(
        "train"
    ).max() == np.float32(1e5)


@pytest.mark.parametrize("small", [(3,), ()])
def test_arrays_of_changing_shape_raise(tmp_path, small):
    # The last batch of the training split is of one image.
    def compute(images):
        return np.ones((len(images), *(small if len(images) == 2 else (5,))))

    with pytest.raises(
        ValueError, match=r"of one shape, so far .*Rec.*: \(5,\)"
    ):
        cache(tmp_path, compute=compute).ensure()


def test_another_function_under_the_same_name_raises(tmp_path):
    cache(tmp_path).ensure()
    lose_rows(tmp_path, train=8)
    other = cache(tmp_path, compute=lambda images: images.mean((1, 2)))
    with pytest.raises(ValueError, match="function than the one with this `fi"):
        other.ensure()
