"""A changed byte in a cache of arrays is noticed before it is trained on."""

import json

import numpy as np
import pytest

from tests.data.cached_images import Thirds, cache, expected, numbered_images

pytestmark = pytest.mark.usefixtures("noted_often")
HEADER = 128  # bytes of a .npy file before its numbers
NAMES = ["rows-train.npy", "rows-validation.npy"]


def flip_byte(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("size", [4, 3])  # of a batch, then and now
def test_rows_that_a_disk_changed_are_computed_again(tmp_path, capsys, size):
    data = numbered_images()
    cache(tmp_path, data).ensure()
    flip_byte(tmp_path / NAMES[0], HEADER + 5 * 36 + 1)  # in the sixth row
    capsys.readouterr()
    compute = Thirds()
    again = cache(tmp_path, data, compute, batch_size=size)
    np.testing.assert_allclose(
        again.arrays("train"), expected(data, "train"), rtol=1e-6
    )
    out = capsys.readouterr().out
    assert f"{NAMES[0]}: rows from 4 on are not as they were written" in out
    assert out.count("rows from") == 1
    seen = [n for batch in compute.seen for n in batch]
    assert seen == list(range(4 if size == 4 else 3, 11))
    fresh = Thirds()
    cache(tmp_path, data, fresh, batch_size=size).ensure()
    assert fresh.num_seen == 0
    assert capsys.readouterr().out == ""


def test_a_cache_without_check_sums_is_read_as_before(tmp_path):
    cache(tmp_path).ensure()
    path, compute = tmp_path / "cache.json", Thirds()
    description = json.loads(path.read_text())
    del description["sums"]
    path.write_text(json.dumps(description))
    cache(tmp_path, compute=compute).ensure()
    assert compute.num_seen == 0
